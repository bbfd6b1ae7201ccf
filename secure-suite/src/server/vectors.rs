//! The pattern's vector against the server's half.

use super::{Traffic, begin, public_key};
use crate::keys::ServerKeys;
use crate::vectors::Vector;

#[test]
fn the_server_speaks_as_the_vector_does() {
    let vector = Vector::read();
    let keys = ServerKeys {
        id: Vector::id(),
        generation: 0,
        private: vector.secret("resp_static"),
        board: vector.public("resp_remote_static"),
        shared: vector.psk(),
    };
    assert_eq!(public_key(&keys.private), vector.public("init_remote_static"));
    let mut noise = begin(&keys, &vector.prologue(), vector.secret("resp_ephemeral"));

    let [first, second, ..] = vector.messages();
    let mut out = [0; 100];
    let len = noise.read_message(&first.sealed, &mut out).unwrap();
    assert_eq!(out[..len], first.payload);
    let len = noise.write_message(&second.payload, &mut out).unwrap();
    assert_eq!(out[..len], second.sealed);

    vector.check_traffic(&mut Traffic::new(noise).unwrap(), false);
}
