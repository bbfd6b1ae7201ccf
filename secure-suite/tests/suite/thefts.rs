//! Thefts: the use that a thief has of what he took.

use clatter::crypto::dh::X25519;
use pblink_protocol::secure::packet::{Hello, MAX_BYTES};
use pblink_protocol::secure::suite::{BoardSuite, Keys, ServerSuite};
use pblink_secure_suite::binding::prologue;
use pblink_secure_suite::board::Board;

use crate::forger::{Forged, FromTheOtherEnd, SWAP, sign};
use crate::{Ends, NOW, id, issued, random};

const CHALLENGE: [u8; 16] = [9; 16];

/// The hello of one who has the server's file.
fn hello(message: [u8; 48]) -> Hello {
    let mut hello = Hello { version: 1, key: 5, generation: 3, message, mac: [0; 16] };
    sign(&mut hello, &issued(1).server.shared, &CHALLENGE);
    hello
}

#[test]
fn the_servers_file_with_a_key_of_ones_own_makes_no_board() {
    let keys = issued(1);
    let mut ends = Ends::of(&keys, 1);
    let thief = issued(2).board.private.clone();
    let prologue = prologue(1, 3, 5, &id(), &CHALLENGE);
    let server = keys.board.server.0;
    let forged: Forged<X25519> =
        Forged::new(&thief, keys.server.board.0, server, &keys.server.shared, &prologue);
    let hello = hello(forged.message);
    assert!(ends.server.is_authentic(&hello, &CHALLENGE));
    assert!(ends.server.answer(&hello, &CHALLENGE, NOW).is_none());
}

/// The secret of both static keys is made with either private key, so the server's is enough for a hello that the server
/// answers. The reply needs the board's: the thief cannot read it, and has no keys for traffic.
#[test]
fn the_servers_private_key_makes_a_hello_but_no_board() {
    let keys = issued(1);
    let mut ends = Ends::of(&keys, 1);
    let prologue = prologue(1, 3, 5, &id(), &CHALLENGE);
    let (private, server, board) = (&keys.server.private, keys.board.server.0, keys.server.board.0);
    SWAP.set((*private.expose(), server, board));
    let forged: Forged<FromTheOtherEnd> =
        Forged::new(private, board, server, &keys.server.shared, &prologue);
    let hello = hello(forged.message);
    let (mut above, reply) = ends.server.answer(&hello, &CHALLENGE, NOW).unwrap();
    assert!(!forged.finish(&reply));

    // Nor does what he could have sealed with keys of a handshake between himself and himself.
    let (mut below, _) = Ends::of(&keys, 2).shake();
    let (mut sealed, mut out) = ([0; MAX_BYTES], [0; MAX_BYTES]);
    let len = below.seal(0, b"open the door", &mut sealed).unwrap();
    assert!(above.open(0, &sealed[..len], &mut out).is_none());
}

#[test]
fn a_board_makes_no_other_board() {
    let (keys, others) = (issued(1), issued(2));
    let mut ends = Ends::of(&keys, 1);
    // Everything of the stolen board, with the other one's generation and id, and the server that both have.
    let mut stolen = others.board.clone();
    stolen.server = keys.board.server;
    let challenge = ends.server.challenge();
    let (hello, _) = Board::new(stolen.clone(), random(4)).hello(5, &challenge);
    assert!(!ends.server.is_authentic(&hello, &challenge));
    // Nor with the shared key, if that had leaked.
    stolen.shared = keys.board.shared.clone();
    let (hello, _) = Board::new(stolen, random(4)).hello(5, &challenge);
    assert!(ends.server.is_authentic(&hello, &challenge));
    assert!(ends.server.answer(&hello, &challenge, NOW).is_none());
}

#[test]
fn a_hello_is_of_no_use_for_the_next_challenge() {
    let mut ends = Ends::new(1);
    let (hello, challenge, _) = ends.hello();
    let next = ends.server.challenge();
    assert!(ends.server.is_authentic(&hello, &challenge));
    assert!(!ends.server.is_authentic(&hello, &next));
    assert!(ends.server.answer(&hello, &next, NOW).is_none());
}
