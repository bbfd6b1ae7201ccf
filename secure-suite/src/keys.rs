//! Keys of a board and its server.

use core::fmt;

use pblink_protocol::tcp::line::{BadId, MAX_ID, check_id};
use zeroize::Zeroize;

use crate::fingerprint::Fingerprint;
use crate::random::Random;

/// 32 bytes that nobody else may know: a private key, the key that board and server share, or a seed. They are overwritten
/// when it is dropped, and never shown.
#[derive(Clone)]
pub struct Secret([u8; 32]);

impl Secret {
    /// Takes the bytes. The caller overwrites its own copy.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Draws one.
    pub fn draw(random: &mut impl Random) -> Self {
        let mut new = Self([0; 32]);
        random.fill(&mut new.0);
        new
    }

    /// Returns the bytes, for what is written into a board or a file of keys.
    pub const fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// A public key of the curve. Shown as its [`Fingerprint`].
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PublicKey(pub [u8; 32]);

impl PublicKey {
    /// Returns what people compare.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.0)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fingerprint().fmt(f)
    }
}

/// The id of a board: one that [`check_id`] takes.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Id(heapless::String<MAX_ID>);

impl Id {
    /// Takes an id.
    ///
    /// # Errors
    /// See [`check_id`].
    pub fn new(id: &str) -> Result<Self, BadId> {
        check_id(id)?;
        heapless::String::try_from(id).map(Self).map_err(|_| BadId::TooLong)
    }

    /// Returns it as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The keys in a board.
#[derive(Debug, Clone)]
pub struct BoardKeys {
    /// The board's id.
    pub id: Id,
    /// Counts the keys that this id has had: a rotation makes the next one.
    pub generation: u32,
    /// The board's private key. Nobody else ever has it.
    pub private: Secret,
    /// The server's public key.
    pub server: PublicKey,
    /// The key that both know. Without it nobody makes the server do arithmetic on the curve.
    pub shared: Secret,
}

/// The keys that a server has for one board. They do not make a board: only the board has its private key.
#[derive(Debug, Clone)]
pub struct ServerKeys {
    /// The board's id.
    pub id: Id,
    /// As in [`BoardKeys`].
    pub generation: u32,
    /// The server's private key.
    pub private: Secret,
    /// The board's public key.
    pub board: PublicKey,
    /// As in [`BoardKeys`].
    pub shared: Secret,
}
