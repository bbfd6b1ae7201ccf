//! The handshake: who is answered, and what a forged message does.

use pblink_protocol::secure::packet::Hello;
use pblink_protocol::secure::suite::{BoardSuite, ServerSuite};
use pblink_secure_suite::board::Board;
use pblink_secure_suite::keys::Id;
use pblink_secure_suite::random::Os;
use pblink_secure_suite::server::Server;

use crate::{Ends, NOW, issued, random};

#[test]
fn the_board_learns_the_servers_time() {
    for now in [0, 1, NOW, u64::MAX] {
        let mut ends = Ends::new(1);
        let (hello, challenge, handshake) = ends.hello();
        let (_, reply) = ends.server.answer(&hello, &challenge, now).unwrap();
        assert_eq!(ends.board.finish(&handshake, &reply).unwrap().1, now);
    }
}

#[test]
fn nothing_of_a_handshake_comes_again() {
    let mut ends = Ends::new(1);
    let challenge = ends.server.challenge();
    assert_ne!(challenge, ends.server.challenge());
    let (first, _) = ends.board.hello(5, &challenge);
    let (second, _) = ends.board.hello(5, &challenge);
    assert_ne!(first.message, second.message);
    let (_, one) = ends.server.answer(&first, &challenge, NOW).unwrap();
    let (_, other) = ends.server.answer(&first, &challenge, NOW).unwrap();
    assert_ne!(one, other);
    assert_ne!(ends.board.random(), ends.board.random());
    assert_ne!(ends.board.successor().expose(), ends.board.successor().expose());
}

#[test]
fn a_board_is_repeated_by_its_seed_until_it_is_stirred() {
    let hello = |noise: &[u8]| {
        let mut ends = Ends::new(1);
        if !noise.is_empty() {
            ends.board.stir(noise);
        }
        ends.board.hello(5, &[9; 16]).0
    };
    assert_eq!(hello(&[]), hello(&[]));
    assert_ne!(hello(&[]), hello(&[1]));
    assert_ne!(hello(&[1]), hello(&[2]));
}

#[test]
fn a_hello_with_any_changed_bit_is_not_authentic() {
    let mut ends = Ends::new(1);
    let (hello, challenge, _) = ends.hello();
    for bit in 0..8 * 70 {
        let (at, flip) = (bit / 8, 1 << (bit % 8));
        let mut changed = hello;
        match at {
            0 => changed.version ^= flip,
            1 => changed.key ^= flip,
            2..6 => changed.generation ^= u32::from(flip) << (8 * (5 - at)),
            6..54 => changed.message[at - 6] ^= flip,
            _ => changed.mac[at - 54] ^= flip,
        }
        assert!(!ends.server.is_authentic(&changed, &challenge), "bit {bit}");
    }
    for bit in 0..128 {
        let mut other = challenge;
        other[bit / 8] ^= 1 << (bit % 8);
        assert!(!ends.server.is_authentic(&hello, &other), "bit {bit} of the challenge");
    }
    assert!(ends.server.is_authentic(&hello, &challenge));
}

#[test]
fn a_board_with_another_shared_key_fails_before_the_curve() {
    let (keys, others) = (issued(1), issued(2));
    let mut ends = Ends::of(&keys, 1);
    let mut board = keys.board.clone();
    board.shared = others.board.shared.clone();
    let challenge = ends.server.challenge();
    let (hello, _) = Board::new(board, random(3)).hello(5, &challenge);
    assert!(!ends.server.is_authentic(&hello, &challenge));
    assert!(ends.server.answer(&hello, &challenge, NOW).is_none());
}

#[test]
fn a_server_with_another_key_is_not_understood() {
    let mut ends = Ends::new(1);
    let (hello, challenge, handshake) = ends.hello();
    let mut pretender = issued(1).server;
    pretender.private = issued(2).server.private.clone();
    let mut pretender = Server::new(pretender, random(3));
    assert!(pretender.answer(&hello, &challenge, NOW).is_none());
    let (_, reply) = ends.server.answer(&hello, &challenge, NOW).unwrap();
    assert!(ends.board.finish(&handshake, &reply).is_some());
}

#[test]
fn forged_replies_leave_the_handshake_as_it_was() {
    let mut ends = Ends::new(1);
    let (hello, challenge, handshake) = ends.hello();
    let (_, reply) = ends.server.answer(&hello, &challenge, NOW).unwrap();
    for at in 0..reply.len() {
        let mut forged = reply;
        forged[at] ^= 4;
        assert!(ends.board.finish(&handshake, &forged).is_none(), "byte {at}");
    }
    // Points that make any secret zero.
    for low in [0, 1] {
        let mut forged = reply;
        forged[..32].fill(0);
        forged[0] = low;
        assert!(ends.board.finish(&handshake, &forged).is_none());
    }
    assert!(ends.board.finish(&handshake, &reply).is_some());
}

#[test]
fn the_reply_to_another_hello_is_refused() {
    let mut ends = Ends::new(1);
    let (hello, challenge, first) = ends.hello();
    let (_, reply) = ends.server.answer(&hello, &challenge, NOW).unwrap();
    let (_, _, second) = ends.hello();
    assert!(ends.board.finish(&second, &reply).is_none());
    assert!(ends.board.finish(&first, &reply).is_some());
}

#[test]
fn points_that_make_any_secret_zero_are_refused() {
    let mut ends = Ends::new(1);
    let (hello, challenge, _) = ends.hello();
    for low in [0, 1] {
        let mut forged = hello;
        forged.message[..32].fill(0);
        forged.message[0] = low;
        assert!(ends.server.answer(&forged, &challenge, NOW).is_none());
    }
}

#[test]
fn an_id_without_keys_finds_no_hello_authentic() {
    let mut ends = Ends::new(1);
    let (hello, challenge, _) = ends.hello();
    let mut stranger = Server::stranger(Id::new("kitchen").unwrap(), Os);
    assert_ne!(stranger.challenge(), stranger.challenge());
    assert!(!stranger.is_authentic(&hello, &challenge));
    let zero = Hello { generation: 0, ..hello };
    assert!(!stranger.is_authentic(&zero, &challenge));
    assert!(stranger.answer(&zero, &challenge, NOW).is_none());
}
