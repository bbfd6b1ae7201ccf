//! The board's half, with clatter. It needs no heap.
//!
//! | | multiplications on the curve |
//! |---|---|
//! | [`Board::new`] | 1 |
//! | [`hello`](BoardSuite::hello) | 3 |
//! | [`finish`](BoardSuite::finish) | 2 |

use core::fmt;

use clatter::bytearray::SensitiveByteArray;
use clatter::cipherstate::CipherState;
use clatter::crypto::cipher::ChaChaPoly;
use clatter::crypto::dh::X25519;
use clatter::crypto::hash::Sha256;
use clatter::handshakepattern::noise_kk_psk0;
use clatter::traits::Dh;
use clatter::{Handshaker, KeyPair, NqHandshakeCore};
use pblink_protocol::secure::packet::{Hello, MAX_COUNTER, TAG, VERSION};
use pblink_protocol::secure::suite::{BoardSuite, Keys};

use self::unasked::Unasked;
use crate::binding::{HelloKey, prologue};
use crate::drbg::Drbg;
use crate::keys::{BoardKeys, PublicKey, Secret};
use crate::random::Random;

mod unasked;
#[cfg(test)]
mod vectors;

type Noise = NqHandshakeCore<X25519, ChaChaPoly, Sha256, Unasked>;
type Pair = KeyPair<[u8; 32], SensitiveByteArray<[u8; 32]>>;

/// The board's half of the suite.
#[derive(Debug)]
pub struct Board {
    keys: BoardKeys,
    /// Made from the private key once: it is as much work as any other multiplication.
    public: PublicKey,
    hello: HelloKey,
    random: Drbg,
}

impl Board {
    /// Takes the keys, and a generator that was seeded for this start.
    pub fn new(keys: BoardKeys, random: Drbg) -> Self {
        let public = PublicKey(pair(&keys.private).public);
        Self { hello: HelloKey::new(&keys.shared), public, keys, random }
    }

    /// Returns the public half of the board's key.
    pub const fn public_key(&self) -> PublicKey {
        self.public
    }

    /// Mixes bytes into the generator: words of the chip's own source, as often as there are any.
    pub fn stir(&mut self, noise: &[u8]) {
        self.random.reseed(&[noise]);
    }

    /// Returns a seed that the next start mixes into its own, if it finds it.
    pub fn successor(&mut self) -> Secret {
        Secret::draw(&mut self.random)
    }
}

impl BoardSuite for Board {
    type Handshake = Handshake;
    type Keys = Traffic;

    fn random(&mut self) -> [u8; 8] {
        let mut out = [0; 8];
        self.random.fill(&mut out);
        out
    }

    fn hello(&mut self, key: u8, challenge: &[u8; 16]) -> (Hello, Handshake) {
        let generation = self.keys.generation;
        self.random.reseed(&[challenge]);
        let ephemeral = Secret::draw(&mut self.random);
        let prologue = prologue(VERSION, generation, key, &self.keys.id, challenge);
        let mut noise = begin(&self.keys, self.public, &prologue, &ephemeral);
        let mut message = [0; 48];
        noise.write_message(&[], &mut message).expect("the first message has 48 bytes");
        let mut hello = Hello { version: VERSION, key, generation, message, mac: [0; 16] };
        hello.mac = self.hello.mac(&hello, challenge);
        (hello, Handshake(noise))
    }

    fn finish(&mut self, handshake: &Handshake, reply: &[u8; 56]) -> Option<(Traffic, u64)> {
        // A forged reply ends the one that reads it.
        let mut noise = handshake.0.clone();
        let mut time = [0; 8];
        noise.read_message(reply, &mut time).ok()?;
        Some((Traffic::new(noise)?, u64::from_be_bytes(time)))
    }
}

/// Begins a handshake. The ephemeral key is drawn by the caller, so that clatter needs no source of its own.
fn begin(keys: &BoardKeys, public: PublicKey, prologue: &[u8], ephemeral: &Secret) -> Noise {
    let own = Pair::new(public.0, private(&keys.private));
    let (ephemeral, server) = (Some(pair(ephemeral)), Some(keys.server.0));
    let noise = Noise::new(noise_kk_psk0(), prologue, true, Some(own), ephemeral, server, None);
    let mut noise = noise.expect("the pattern has all its keys");
    noise.push_psk(keys.shared.expose());
    noise
}

fn private(secret: &Secret) -> SensitiveByteArray<[u8; 32]> {
    SensitiveByteArray::new(*secret.expose())
}

fn pair(secret: &Secret) -> Pair {
    let private = private(secret);
    Pair::new(X25519::pubkey(&private), private)
}

/// A handshake that waits for its reply.
pub struct Handshake(Noise);

impl fmt::Debug for Handshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handshake")
    }
}

/// The keys that a handshake has made.
pub struct Traffic {
    up: CipherState<ChaChaPoly>,
    down: CipherState<ChaChaPoly>,
    /// The least counter that was not used yet.
    next: u32,
}

impl Traffic {
    fn new(noise: Noise) -> Option<Self> {
        let both = noise.finalize().ok()?.take();
        Some(Self { up: both.initiator_to_responder, down: both.responder_to_initiator, next: 0 })
    }
}

impl Keys for Traffic {
    fn seal(&mut self, counter: u32, frames: &[u8], out: &mut [u8]) -> Option<usize> {
        let fresh = (self.next..=MAX_COUNTER).contains(&counter);
        let out = out.get_mut(..frames.len().checked_add(TAG)?).filter(|_| fresh)?;
        self.next = counter + 1;
        self.up.set_nonce(counter.into());
        self.up.encrypt_with_ad(&[], frames, out).ok()?;
        Some(out.len())
    }

    fn open(&mut self, counter: u32, sealed: &[u8], out: &mut [u8]) -> Option<usize> {
        let out = out.get_mut(..sealed.len().checked_sub(TAG)?)?;
        if counter > MAX_COUNTER {
            return None;
        }
        self.down.set_nonce(counter.into());
        self.down.decrypt_with_ad(&[], sealed, out).ok()?;
        Some(out.len())
    }
}

impl fmt::Debug for Traffic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Traffic").field("next", &self.next).finish_non_exhaustive()
    }
}
