//! The bytes to which a handshake is bound, and the MAC that the server checks before any arithmetic on the curve.
//!
//! Whoever writes an end in another language needs these exactly:
//!
//! ```text
//! prologue = "pblink2" ‖ version (1) ‖ generation (4, big-endian) ‖ key number (1)
//!          ‖ length of the id (1) ‖ id (UTF-8) ‖ challenge (16)
//! key      = HKDF-SHA256 (RFC 5869): IKM = the shared key (32), no salt, info = "pblink mac1", L = 32
//!          = HMAC(HMAC(32 zero bytes, shared key), "pblink mac1" ‖ 0x01)
//! mac      = the first 16 bytes of HMAC-SHA256(key, challenge (16) ‖ all of ~h before the mac (54))
//! ```
//!
//! Texts have no terminator. What `~h` has before its mac: version (1) ‖ key number (1) ‖ generation (4, big-endian) ‖
//! the first message of the handshake (48).

use heapless::Vec;
use hmac::Mac;
use pblink_protocol::secure::packet::Hello;
use pblink_protocol::tcp::line::MAX_ID;
use zeroize::Zeroizing;

use crate::hash;
use crate::keys::{Id, Secret};

const NAME: &[u8; 7] = b"pblink2";
const INFO: &[u8; 11] = b"pblink mac1";

/// Bytes of the longest prologue.
const LONGEST: usize = NAME.len() + 1 + 4 + 1 + 1 + MAX_ID + 16;

/// Returns the prologue of a handshake: both ends hash it in, so that it succeeds only if they mean the same.
pub fn prologue(
    version: u8,
    generation: u32,
    key: u8,
    id: &Id,
    challenge: &[u8; 16],
) -> Vec<u8, LONGEST> {
    let id = id.as_str().as_bytes();
    // An id has at most MAX_ID bytes.
    let parts: [&[u8]; 6] =
        [NAME, &[version], &generation.to_be_bytes(), &[key, id.len() as u8], id, challenge];
    let mut all = Vec::new();
    for part in parts {
        all.extend_from_slice(part).expect("there is room for the longest id");
    }
    all
}

/// The key of a hello's MAC, made from the key that board and server share.
#[derive(Debug, Clone)]
pub struct HelloKey(Secret);

impl HelloKey {
    /// Derives it.
    pub fn new(shared: &Secret) -> Self {
        Self(Secret::new(*Zeroizing::new(hash::hkdf(shared.expose(), INFO))))
    }

    /// Returns the MAC of a hello, whatever it has as [`mac`](Hello::mac).
    pub fn mac(&self, hello: &Hello, challenge: &[u8; 16]) -> [u8; 16] {
        let whole = hash::hmac(self.0.expose(), &[challenge, &hello.covered()]);
        core::array::from_fn(|at| whole[at])
    }

    /// Returns true if the hello's MAC is right. Takes the same time for each that is wrong.
    pub fn is_right(&self, hello: &Hello, challenge: &[u8; 16]) -> bool {
        hash::mac(self.0.expose(), &[challenge, &hello.covered()])
            .verify_truncated_left(&hello.mac)
            .is_ok()
    }
}
