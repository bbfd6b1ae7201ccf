//! A board of an attacker, who has what the test gives him: made with clatter itself, so that nothing keeps him from lying.

use clatter::bytearray::SensitiveByteArray;
use clatter::crypto::cipher::ChaChaPoly;
use clatter::crypto::dh::X25519;
use clatter::crypto::hash::Sha256;
use clatter::error::DhResult;
use clatter::handshakepattern::noise_kk_psk0;
use clatter::rand_core::{CryptoRng, Error, RngCore};
use clatter::traits::{CryptoComponent, Dh, Rng};
use clatter::{Handshaker, KeyPair, NqHandshakeCore};
use pblink_protocol::secure::packet::Hello;
use pblink_secure_suite::binding::HelloKey;
use pblink_secure_suite::keys::Secret;

type Private = SensitiveByteArray<[u8; 32]>;
type Noise<D> = NqHandshakeCore<D, ChaChaPoly, Sha256, Fixed>;

/// The attacker is not afraid of being guessed.
#[derive(Clone, Default)]
struct Fixed;

impl RngCore for Fixed {
    fn next_u32(&mut self) -> u32 {
        9
    }
    fn next_u64(&mut self) -> u64 {
        9
    }
    fn fill_bytes(&mut self, out: &mut [u8]) {
        out.fill(9);
    }
    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Error> {
        out.fill(9);
        Ok(())
    }
}

impl CryptoRng for Fixed {}

/// A board's first message with any prologue, and what became of it.
pub struct Forged<D: Dh<PrivateKey = Private, PubKey = [u8; 32]>> {
    noise: Noise<D>,
    pub message: [u8; 48],
}

impl<D: Dh<PrivateKey = Private, PubKey = [u8; 32]>> Forged<D> {
    /// `private`, `public`: what he says is his.
    pub fn new(
        private: &Secret,
        public: [u8; 32],
        server: [u8; 32],
        shared: &Secret,
        prologue: &[u8],
    ) -> Self {
        let own = KeyPair::new(public, Private::new(*private.expose()));
        let pattern = noise_kk_psk0();
        let mut noise =
            Noise::<D>::new(pattern, prologue, true, Some(own), None, Some(server), None).unwrap();
        noise.push_psk(shared.expose());
        let mut message = [0; 48];
        noise.write_message(&[], &mut message).unwrap();
        Self { noise, message }
    }

    /// Tries to finish the handshake.
    pub fn finish(mut self, reply: &[u8; 56]) -> bool {
        self.noise.read_message(reply, &mut [0; 8]).is_ok()
    }
}

/// Makes the MAC of a hello right for this challenge.
pub fn sign(hello: &mut Hello, shared: &Secret, challenge: &[u8; 16]) {
    hello.mac = HelloKey::new(shared).mac(hello, challenge);
}

std::thread_local! {
    /// The private key and the public key to combine instead of the former with its own public half.
    pub static SWAP: core::cell::Cell<([u8; 32], [u8; 32], [u8; 32])> = const {
        core::cell::Cell::new(([0; 32], [0; 32], [0; 32]))
    };
}

/// The curve of one who has the server's private key: what both static keys make is the same from either end.
#[derive(Clone)]
pub struct FromTheOtherEnd;

impl CryptoComponent for FromTheOtherEnd {
    fn name() -> &'static str {
        X25519::name()
    }
}

impl Dh for FromTheOtherEnd {
    type PrivateKey = Private;
    type PubKey = [u8; 32];
    type Output = <X25519 as Dh>::Output;

    fn genkey_rng<R: Rng>(rng: &mut R) -> DhResult<KeyPair<[u8; 32], Private>> {
        X25519::genkey_rng(rng)
    }

    fn pubkey(private: &Private) -> [u8; 32] {
        X25519::pubkey(private)
    }

    fn dh(private: &Private, public: &[u8; 32]) -> DhResult<Self::Output> {
        let (server, its_public, board) = SWAP.get();
        let both = **private == server && *public == its_public;
        X25519::dh(private, if both { &board } else { public })
    }
}
