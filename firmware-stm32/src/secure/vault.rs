//! The parts of a chip that a secure link needs.

use core::fmt;
use core::num::NonZeroU64;

use pblink_image::keys::{Keys, Record};
use pblink_protocol::secure::board::Memory as _;
use pblink_protocol::secure::frame::Epoch;
use pblink_protocol::time::Instant;
use pblink_secure_suite::Fingerprint;
use pblink_secure_suite::board::{Board, Shared};
use pblink_secure_suite::drbg::Drbg;
use pblink_secure_suite::keys::{BoardKeys, Id, PublicKey, Secret};
use pblink_secure_suite::random::Random;

use super::entropy::{NoEntropy, SUCCESSOR, Sources, generator, leave};
use super::kept::{Kept, LEAST};
use super::sector::{Records, Sector};

/// The board's half of the cryptography, whose keys are in flash.
pub(crate) type Suite = Board<Records>;

/// The memory of a chip's link.
pub type Memory = Kept<&'static mut [u8]>;

/// The least bytes of RAM that a [`Vault`] needs: for the longest line, the seed of the next start, and numbers.
pub const LEAST_KEPT: usize = SUCCESSOR + LEAST;

/// The parts of a chip that a secure link needs.
pub struct Vault {
    /// The flash sector of the keys: [`pblink_image::keys`].
    pub keys: &'static mut dyn Sector,
    /// RAM that no start clears: at least [`LEAST_KEPT`] bytes. Who gives it away does not use it any more.
    pub kept: &'static mut [u8],
    /// The chip's unique id.
    pub unique: [u8; 12],
    /// Bytes from the chip's source of random numbers; `None` if it has none, or it is not in order.
    pub noise: Option<[u8; 48]>,
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vault")
            .field("keys", &Keys::read(self.keys.bytes()))
            .finish_non_exhaustive()
    }
}

/// The begin of a link: the keys of this board, and what its memory has kept.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) suite: Suite,
    pub(crate) memory: Memory,
    server: Fingerprint,
    /// The memory has outlived the start before.
    recalled: bool,
}

/// The protection of a link. Shown as a sentence for a console.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// None: this board has no keys for its id. Anyone in the same network can read along, and be this board.
    Classic,
    /// Lines are encrypted and authenticated, from this board to its server. People compare the fingerprints with those that
    /// `pblink keys` shows.
    Secure {
        /// That of this board's public key.
        board: Fingerprint,
        /// That of the public key of the server that this board takes for its own.
        server: Fingerprint,
        /// Lines that were kept through a reset of the chip, and go on. `None`: the chip has lost its power. It is not known
        /// which of the lines before that the server has.
        kept: Option<u64>,
    },
}

impl fmt::Display for Security {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Classic => f.write_str("not secure: this board has no keys for its id"),
            Self::Secure { board, server, kept } => {
                write!(f, "secure: this board is {board}, its server {server}; ")?;
                match kept {
                    Some(lines) => write!(f, "{lines} lines kept through the reset"),
                    None => f.write_str("a new epoch, since nothing was kept"),
                }
            }
        }
    }
}

impl Vault {
    /// Opens it for the board of this id. `None`: there are no keys for it.
    ///
    /// # Errors
    /// There are, and no random numbers to use them with.
    pub(crate) fn open(self, id: &str) -> Result<Option<Session>, NoEntropy> {
        let Some((keys, before, own)) = read(self.keys.bytes(), id) else { return Ok(None) };
        let (successor, lines) = self.kept.split_at_mut(SUCCESSOR);
        let recalled = Kept::recall(lines);
        let seed = |ram: &[u8]| {
            let noise = self.noise.as_ref();
            generator(&Sources { seed: own.expose(), noise, unique: &self.unique, ram })
        };
        // After a loss of power all of it is what the cells came up with.
        let (mut drbg, memory) = match recalled {
            Ok(memory) => (seed(successor)?, Ok(memory)),
            Err(lines) => {
                let mut drbg = seed(lines)?;
                drbg.reseed(&[successor]);
                (drbg, Err(lines))
            }
        };
        if let Some(successor) = successor.first_chunk_mut() {
            leave(&mut drbg, successor);
        }
        let recalled = memory.is_ok();
        let memory = memory.unwrap_or_else(|lines| Kept::begin(lines, epoch(&mut drbg)));
        let server = keys.server.fingerprint();
        let mut records = Records(self.keys);
        records.wipe();
        let suite = Suite::with_store(keys, before, records, drbg);
        Ok(Some(Session { suite, memory, server, recalled }))
    }
}

impl Session {
    /// Returns the time from which the link's clock counts on.
    pub(crate) const fn time(&self) -> Instant {
        self.memory.time()
    }

    /// Returns how the link is protected.
    pub(crate) fn security(&self) -> Security {
        Security::Secure {
            board: self.suite.public_key().fingerprint(),
            server: self.server,
            kept: self.recalled.then(|| self.memory.next() - self.memory.first()),
        }
    }
}

/// Reads the keys of this id, the shared key before them while they are not settled, and the seed of the random numbers.
fn read(sector: &[u8], id: &str) -> Option<(BoardKeys, Option<Shared>, Secret)> {
    let all = Keys::read(sector);
    let record = all.record().filter(|record| record.id() == id)?;
    let before = all.fallback().filter(|before| before.private() == record.private());
    let before = before.map(|before| Shared {
        generation: before.generation(),
        key: Secret::new(*before.shared()),
    });
    Some((keys(&record)?, before, Secret::new(*record.seed())))
}

/// Copies the keys of a record: the suite overwrites its copies when it is dropped.
fn keys(record: &Record<'_>) -> Option<BoardKeys> {
    Some(BoardKeys {
        // The record has checked it.
        id: Id::new(record.id()).ok()?,
        generation: record.generation(),
        private: Secret::new(*record.private()),
        server: PublicKey(*record.server()),
        shared: Secret::new(*record.shared()),
    })
}

/// Draws an epoch.
fn epoch(drbg: &mut Drbg) -> Epoch {
    let mut bytes = [0; 8];
    drbg.fill(&mut bytes);
    NonZeroU64::new(u64::from_le_bytes(bytes)).unwrap_or(NonZeroU64::MIN)
}

#[cfg(test)]
mod tests;
