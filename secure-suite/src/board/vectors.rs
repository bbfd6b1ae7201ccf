//! The pattern's vector against the board's half.

use clatter::Handshaker;

use super::{Traffic, begin, pair};
use crate::keys::{BoardKeys, PublicKey};
use crate::vectors::Vector;

#[test]
fn the_board_speaks_as_the_vector_does() {
    let vector = Vector::read();
    let keys = BoardKeys {
        id: Vector::id(),
        generation: 0,
        private: vector.secret("init_static"),
        server: vector.public("init_remote_static"),
        shared: vector.psk(),
    };
    let public = PublicKey(pair(&keys.private).public);
    assert_eq!(public, vector.public("resp_remote_static"));
    let ephemeral = vector.secret("init_ephemeral");
    let mut noise = begin(&keys, &keys.shared, public, &vector.prologue(), &ephemeral);

    let [first, second, ..] = vector.messages();
    let mut out = [0; 100];
    let len = noise.write_message(&first.payload, &mut out).unwrap();
    assert_eq!(out[..len], first.sealed);
    let len = noise.read_message(&second.sealed, &mut out).unwrap();
    assert_eq!(out[..len], second.payload);

    vector.check_traffic(&mut Traffic::new(noise).unwrap(), true);
}
