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
use pblink_protocol::secure::frame::KeyOutcome;
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

/// The place in which a board keeps its keys through a loss of power.
pub trait Store {
    /// Puts keys behind those that are there, and reads them back. They differ from these in generation and shared key only.
    /// Until they are [settled](Self::settle), those before them stay.
    fn append(&mut self, keys: &BoardKeys) -> KeyOutcome;

    /// Notes that those before the newest are needed no more, and forgets them if it can.
    fn settle(&mut self);
}

/// No such place: keys stay as they are.
impl Store for () {
    fn append(&mut self, _keys: &BoardKeys) -> KeyOutcome {
        KeyOutcome::Unsupported
    }

    fn settle(&mut self) {}
}

/// A key that board and server share, with its generation.
#[derive(Debug, Clone)]
pub struct Shared {
    /// As in [`BoardKeys`].
    pub generation: u32,
    /// The key.
    pub key: Secret,
}

/// The board's half of the suite.
#[derive(Debug)]
pub struct Board<S = ()> {
    keys: BoardKeys,
    /// Made from the private key once: it is as much work as any other multiplication.
    public: PublicKey,
    /// The shared key before the one in `keys`, while the server may have gone back to it.
    before: Option<Shared>,
    /// The next hello is made with that one.
    back: bool,
    store: S,
    random: Drbg,
}

impl Board {
    /// Takes the keys, and a generator that was seeded for this start. It takes no others over the link.
    pub fn new(keys: BoardKeys, random: Drbg) -> Self {
        Self::with_store(keys, None, (), random)
    }
}

impl<S: Store> Board<S> {
    /// Takes what is in a store: the newest keys, and the shared key before them if these are not settled.
    pub fn with_store(keys: BoardKeys, before: Option<Shared>, store: S, random: Drbg) -> Self {
        let public = PublicKey(pair(&keys.private).public);
        Self { public, keys, before, back: false, store, random }
    }

    /// Returns the generation of the newest keys.
    pub const fn generation(&self) -> u32 {
        self.keys.generation
    }

    /// Returns true if no key before the newest one is used any more.
    pub const fn is_settled(&self) -> bool {
        self.before.is_none()
    }

    /// Returns the store.
    pub const fn store(&self) -> &S {
        &self.store
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

impl<S: Store> BoardSuite for Board<S> {
    type Handshake = Handshake;
    type Keys = Traffic;

    fn random(&mut self) -> [u8; 8] {
        let mut out = [0; 8];
        self.random.fill(&mut out);
        out
    }

    fn hello(&mut self, key: u8, challenge: &[u8; 16]) -> (Hello, Handshake) {
        let (generation, shared) = match &self.before {
            Some(before) if self.back => (before.generation, &before.key),
            _ => (self.keys.generation, &self.keys.shared),
        };
        self.back = self.before.is_some() && !self.back;
        self.random.reseed(&[challenge]);
        let ephemeral = Secret::draw(&mut self.random);
        let prologue = prologue(VERSION, generation, key, &self.keys.id, challenge);
        let mut noise = begin(&self.keys, shared, self.public, &prologue, &ephemeral);
        let mut message = [0; 48];
        noise.write_message(&[], &mut message).expect("the first message has 48 bytes");
        let mut hello = Hello { version: VERSION, key, generation, message, mac: [0; 16] };
        hello.mac = HelloKey::new(shared).mac(&hello, challenge);
        (hello, Handshake(noise))
    }

    fn finish(&mut self, handshake: &Handshake, reply: &[u8; 56]) -> Option<(Traffic, u64)> {
        // A forged reply ends the one that reads it.
        let mut noise = handshake.0.clone();
        let mut time = [0; 8];
        noise.read_message(reply, &mut time).ok()?;
        // Someone answers: the newest has the next turn again.
        self.back = false;
        Some((Traffic::new(noise)?, u64::from_be_bytes(time)))
    }

    fn take_key(&mut self, generation: u32, shared: &[u8; 32]) -> KeyOutcome {
        let newest = &self.keys;
        if generation == newest.generation && shared == newest.shared.expose() {
            return KeyOutcome::Taken;
        }
        // No server that this board believes has one that is older: it has proven to have the last settled one.
        let least = self.before.as_ref().map_or(newest.generation, |before| before.generation);
        if generation <= least {
            return KeyOutcome::Failed;
        }
        let keys = BoardKeys { generation, shared: Secret::new(*shared), ..newest.clone() };
        let outcome = self.store.append(&keys);
        if outcome == KeyOutcome::Taken {
            let old = core::mem::replace(&mut self.keys, keys);
            // One that was never settled is not gone back to.
            self.before.get_or_insert(Shared { generation: old.generation, key: old.shared });
            self.back = false;
        }
        outcome
    }

    fn settle(&mut self, generation: u32) {
        if generation == self.keys.generation && self.before.take().is_some() {
            self.store.settle();
            self.back = false;
        }
    }
}

/// Begins a handshake. The ephemeral key is drawn by the caller, so that clatter needs no source of its own.
fn begin(
    keys: &BoardKeys,
    shared: &Secret,
    public: PublicKey,
    prologue: &[u8],
    ephemeral: &Secret,
) -> Noise {
    let own = Pair::new(public.0, private(&keys.private));
    let (ephemeral, server) = (Some(pair(ephemeral)), Some(keys.server.0));
    let noise = Noise::new(noise_kk_psk0(), prologue, true, Some(own), ephemeral, server, None);
    let mut noise = noise.expect("the pattern has all its keys");
    noise.push_psk(shared.expose());
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
