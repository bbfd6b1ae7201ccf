//! Vectors that others have made.

use std::string::String;
use std::vec::Vec;

use pblink_protocol::secure::suite::Keys;
use serde_json::Value;

use crate::keys::{Id, PublicKey, Secret};

/// Reads hexadecimal digits.
pub fn hex(digits: &str) -> Vec<u8> {
    let digits: Vec<u8> =
        digits.chars().map(|c| c.to_digit(16).expect("a hexadecimal digit") as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

/// A vector of the pattern: see `tests/vectors/README.md`.
pub struct Vector(Value);

/// One message of a vector.
pub struct Message {
    pub payload: Vec<u8>,
    pub sealed: Vec<u8>,
}

impl Vector {
    pub fn read() -> Self {
        let text = include_str!("../tests/vectors/kkpsk0.json");
        let vector = Self(serde_json::from_str(text).expect("JSON"));
        assert_eq!(vector.text("protocol_name"), crate::SUITE);
        vector
    }

    fn text(&self, name: &str) -> &str {
        self.0[name].as_str().unwrap_or_else(|| panic!("the vector has no {name}"))
    }

    fn key(&self, name: &str) -> [u8; 32] {
        hex(self.text(name)).try_into().expect("a key has 32 bytes")
    }

    pub fn secret(&self, name: &str) -> Secret {
        Secret::new(self.key(name))
    }

    pub fn public(&self, name: &str) -> PublicKey {
        PublicKey(self.key(name))
    }

    pub fn psk(&self) -> Secret {
        let psk: String = self.0["init_psks"][0].as_str().expect("a psk").into();
        Secret::new(hex(&psk).try_into().expect("a psk has 32 bytes"))
    }

    pub fn prologue(&self) -> Vec<u8> {
        hex(self.text("init_prologue"))
    }

    /// The id does not enter: the prologue is the vector's.
    pub fn id() -> Id {
        Id::new("vector").expect("an id")
    }

    pub fn messages(&self) -> [Message; 6] {
        core::array::from_fn(|at| {
            let part = |name: &str| hex(self.0["messages"][at][name].as_str().expect("a message"));
            Message { payload: part("payload"), sealed: part("ciphertext") }
        })
    }

    /// Checks the messages behind the handshake: those at even places are sealed by the end that began it.
    pub fn check_traffic(&self, keys: &mut impl Keys, began: bool) {
        let [_, _, messages @ ..] = self.messages();
        let mut out = [0; 100];
        for (at, Message { payload, sealed }) in messages.iter().enumerate() {
            let counter = at as u32 / 2;
            if (at % 2 == 0) == began {
                let len = keys.seal(counter, payload, &mut out).expect("there is room");
                assert_eq!(out[..len], sealed[..]);
            } else {
                let len = keys.open(counter, sealed, &mut out).expect("it is the other end's");
                assert_eq!(out[..len], payload[..]);
            }
        }
    }
}
