//! A handshake whose ends do not mean the same fails, field by field, even for one who has all keys and can make the MAC.

use clatter::crypto::dh::X25519;
use pblink_protocol::secure::packet::Hello;
use pblink_protocol::secure::suite::{BoardSuite, ServerSuite};
use pblink_secure_suite::binding::prologue;
use pblink_secure_suite::board::Board;
use pblink_secure_suite::keys::Id;

use crate::forger::{Forged, sign};
use crate::{Ends, NOW, id, issued, random};

const CHALLENGE: [u8; 16] = [9; 16];

/// Returns true if the server answers a hello that says what it expects, made with this prologue.
fn is_answered(prologue: &[u8]) -> bool {
    let keys = issued(1);
    let mut ends = Ends::of(&keys, 1);
    let board = &keys.board;
    let forged: Forged<X25519> =
        Forged::new(&board.private, keys.server.board.0, board.server.0, &board.shared, prologue);
    let message = forged.message;
    let mut hello = Hello { version: 1, key: 5, generation: 3, message, mac: [0; 16] };
    sign(&mut hello, &board.shared, &CHALLENGE);
    assert!(ends.server.is_authentic(&hello, &CHALLENGE));
    ends.server.answer(&hello, &CHALLENGE, NOW).is_some()
}

#[test]
fn each_field_of_the_prologue_counts() {
    assert!(is_answered(&prologue(1, 3, 5, &id(), &CHALLENGE)));
    let other = Id::new("kitcheN").unwrap();
    let mut last = CHALLENGE;
    last[15] ^= 1;
    for (field, changed) in [
        ("version", prologue(2, 3, 5, &id(), &CHALLENGE)),
        ("generation", prologue(1, 4, 5, &id(), &CHALLENGE)),
        ("key number", prologue(1, 3, 6, &id(), &CHALLENGE)),
        ("id", prologue(1, 3, 5, &other, &CHALLENGE)),
        ("challenge", prologue(1, 3, 5, &id(), &last)),
    ] {
        assert!(!is_answered(&changed), "{field}");
    }
}

#[test]
fn no_bit_of_the_prologue_is_free() {
    let right = prologue(1, 3, 5, &id(), &CHALLENGE);
    for at in 0..right.len() {
        let mut changed = right.clone();
        changed[at] ^= 0x10;
        assert!(!is_answered(&changed), "byte {at}");
    }
    assert!(!is_answered(&right[..right.len() - 1]));
}

#[test]
fn what_a_hello_says_counts() {
    let keys = issued(1);
    let mut ends = Ends::of(&keys, 1);
    let (hello, challenge, _) = ends.hello();
    for (field, mut said) in [
        ("version", Hello { version: 2, ..hello }),
        ("generation", Hello { generation: 4, ..hello }),
        ("key number", Hello { key: 6, ..hello }),
    ] {
        assert!(!ends.server.is_authentic(&said, &challenge), "{field}");
        sign(&mut said, &keys.board.shared, &challenge);
        // The number of a key is the board's to choose: only the handshake knows that it was another one.
        assert_eq!(ends.server.is_authentic(&said, &challenge), field == "key number");
        assert!(ends.server.answer(&said, &challenge, NOW).is_none(), "{field}");
    }
    assert!(ends.server.answer(&hello, &challenge, NOW).is_some());
}

#[test]
fn a_board_of_another_id_with_the_same_keys_is_refused() {
    let keys = issued(1);
    let mut ends = Ends::of(&keys, 1);
    let mut other = keys.board.clone();
    other.id = Id::new("kitchen2").unwrap();
    let challenge = ends.server.challenge();
    let (hello, _) = Board::new(other, random(2)).hello(5, &challenge);
    assert!(ends.server.answer(&hello, &challenge, NOW).is_none());
}
