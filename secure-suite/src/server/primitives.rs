//! The curve, the cipher and the source of randomness that snow is given, so that no key stays behind in freed memory.

use curve25519_dalek::montgomery::MontgomeryPoint;
use snow::Error;
use snow::params::{CipherChoice, DHChoice, HashChoice};
use snow::resolvers::{CryptoResolver, DefaultResolver};
use snow::types::{Cipher, Dh, Hash, Random};
use std::boxed::Box;

use crate::keys::{PublicKey, Secret};

/// Returns the public half of a private key.
pub fn public_key(private: &Secret) -> PublicKey {
    PublicKey(MontgomeryPoint::mul_base_clamped(*private.expose()).to_bytes())
}

/// The parts of one handshake.
pub struct Primitives {
    ephemeral: Secret,
}

impl Primitives {
    pub const fn new(ephemeral: Secret) -> Self {
        Self { ephemeral }
    }
}

impl CryptoResolver for Primitives {
    fn resolve_rng(&self) -> Option<Box<dyn Random>> {
        Some(Box::new(Once(Some(self.ephemeral.clone()))))
    }

    fn resolve_dh(&self, choice: &DHChoice) -> Option<Box<dyn Dh>> {
        match choice {
            DHChoice::Curve25519 => {
                Some(Box::new(Curve { private: Secret::new([0; 32]), public: PublicKey([0; 32]) }))
            }
            _ => None,
        }
    }

    fn resolve_hash(&self, choice: &HashChoice) -> Option<Box<dyn Hash>> {
        DefaultResolver.resolve_hash(choice)
    }

    fn resolve_cipher(&self, choice: &CipherChoice) -> Option<Box<dyn Cipher>> {
        Some(Box::new(Wiped(DefaultResolver.resolve_cipher(choice)?)))
    }
}

/// A source that has one key. A handshake draws no more.
struct Once(Option<Secret>);

impl Random for Once {
    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Error> {
        let drawn = self.0.take().ok_or(Error::Rng)?;
        if out.len() != drawn.expose().len() {
            return Err(Error::Rng);
        }
        out.copy_from_slice(drawn.expose());
        Ok(())
    }
}

/// A key pair of the curve.
struct Curve {
    private: Secret,
    public: PublicKey,
}

impl Curve {
    fn take(&mut self, private: Secret) {
        self.public = public_key(&private);
        self.private = private;
    }
}

impl Dh for Curve {
    fn name(&self) -> &'static str {
        "25519"
    }

    fn pub_len(&self) -> usize {
        32
    }

    fn priv_len(&self) -> usize {
        32
    }

    fn set(&mut self, private: &[u8]) {
        self.take(Secret::new(private.try_into().expect("a private key has 32 bytes")));
    }

    fn generate(&mut self, random: &mut dyn Random) -> Result<(), Error> {
        let mut private = zeroize::Zeroizing::new([0; 32]);
        random.try_fill_bytes(&mut *private)?;
        self.take(Secret::new(*private));
        Ok(())
    }

    fn pubkey(&self) -> &[u8] {
        &self.public.0
    }

    fn privkey(&self) -> &[u8] {
        self.private.expose()
    }

    fn dh(&self, public: &[u8], out: &mut [u8]) -> Result<(), Error> {
        let point = public.first_chunk().map(|point| MontgomeryPoint(*point)).ok_or(Error::Dh)?;
        let shared = Secret::new(point.mul_clamped(*self.private.expose()).to_bytes());
        out.first_chunk_mut::<32>().ok_or(Error::Dh)?.copy_from_slice(shared.expose());
        Ok(())
    }
}

/// A cipher whose key is overwritten at its end. Keys of the traffic live for a day.
struct Wiped(Box<dyn Cipher>);

impl Cipher for Wiped {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn set(&mut self, key: &[u8; 32]) {
        self.0.set(key);
    }

    fn encrypt(&self, nonce: u64, with: &[u8], plain: &[u8], out: &mut [u8]) -> usize {
        self.0.encrypt(nonce, with, plain, out)
    }

    fn decrypt(
        &self,
        nonce: u64,
        with: &[u8],
        sealed: &[u8],
        out: &mut [u8],
    ) -> Result<usize, Error> {
        self.0.decrypt(nonce, with, sealed, out)
    }
}

impl Drop for Wiped {
    fn drop(&mut self) {
        self.0.set(&[0; 32]);
    }
}
