//! The cryptography of the secure link between a board's program and its server: `Noise_KKpsk0_25519_ChaChaPoly_SHA256`, the
//! only suite.
//!
//! It implements the traits of [`pblink_protocol::secure::suite`] twice, with Noise libraries of different authors.
//!
//! | module | contents | used by |
//! |---|---|---|
//! | [`keys`] | keys of a board and its server, ids, fingerprints | all |
//! | [`binding`] | the bytes to which a handshake is bound, and the MAC in front of it | all |
//! | [`drbg`] | a generator of random bytes for chips without a good source | board |
//! | [`random`] | sources of random bytes | all |
//! | `board` | the board's half (feature `board`, without a heap) | STM32, simulator |
//! | `server` | the server's half (feature `server`) | server, simulator |
//! | `issue` | making keys (feature `server`) | tools |
//!
//! # Limits
//! Secrets are overwritten when they are dropped. Copies that the compiler leaves on the stack, and the chaining key in
//! snow's handshake, are not; nor is the shared key in clatter's, which a board has in its flash anyway.

#![no_std]

#[cfg(any(test, feature = "server"))]
extern crate std;

pub mod binding;
pub mod drbg;
pub mod keys;
pub mod random;

#[cfg(feature = "board")]
pub mod board;
#[cfg(feature = "server")]
pub mod issue;
#[cfg(feature = "server")]
pub mod server;

mod fingerprint;
mod hash;

pub use fingerprint::Fingerprint;

#[cfg(test)]
mod vectors;

/// The examples of the README, as tests.
#[cfg(all(doctest, feature = "board", feature = "server"))]
#[doc = include_str!("../README.md")]
struct Readme;

/// The name of the suite, as the Noise specification writes it.
pub const SUITE: &str = "Noise_KKpsk0_25519_ChaChaPoly_SHA256";
