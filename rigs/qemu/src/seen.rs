//! Observations of the boards of a rig.

use std::fmt;

use pblink_emulated_board::frame::SECTOR;
use pblink_image::keys::Keys;

/// A hook of the STM32's library was called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hook {
    /// No WiFi.
    BadWifi,
    /// The first server connect failed.
    BadServer,
    /// A report: connects, number, free memory in bytes.
    Report(u32, u32, u32),
    /// The server is up, or not.
    Server(bool),
    /// The coprocessor is being reset, and why.
    Reset(String),
    /// A line was dropped, and why.
    Dropped(String),
}

/// The flash sector of the STM32's keys, which outlives its power.
#[derive(Clone, PartialEq, Eq)]
pub struct Flash(pub(crate) [u8; SECTOR]);

impl Flash {
    /// Returns one with this record, and room for another one.
    ///
    /// # Panics
    /// If it is longer than the sector.
    pub(crate) fn with(record: &[u8]) -> Self {
        let mut bytes = [0xff; SECTOR];
        bytes[..record.len()].copy_from_slice(record);
        Self(bytes)
    }

    /// Programs bytes at an offset: bits that are 1 may become 0.
    pub(crate) fn program(&mut self, at: usize, bytes: &[u8]) {
        for (place, bits) in self.0[at..].iter_mut().zip(bytes) {
            *place &= bits;
        }
    }

    /// Returns all of it.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns the records in it.
    pub fn keys(&self) -> Keys<'_> {
        Keys::read(&self.0)
    }
}

impl fmt::Debug for Flash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.keys().fmt(f)
    }
}

/// Observations of a rig so far.
#[derive(Debug, Default)]
pub struct Seen {
    /// Lines that the STM32's program has written.
    pub written: u32,
    /// Lines that it has read.
    pub read: Vec<String>,
    /// Hooks of its library.
    pub hooks: Vec<Hook>,
    /// The STM32's keys, if it has some.
    pub keys: Option<Flash>,
    /// The same, at each loss of power [while it was programmed](crate::command::Command::PowerCycleInFlash).
    pub cut: Vec<Flash>,
    /// Number of starts of the programs of STM32 and coprocessor.
    pub boots: [usize; 2],
    /// Times that a [`Command`](crate::command::Command) killed or hung a chip, or cut its power.
    pub faults: usize,
    /// Console output of both chips, and everything that went wrong, with the time in seconds.
    pub log: Vec<String>,
    /// The rig has failed.
    pub(crate) failed: Option<String>,
}

impl Seen {
    /// Returns the number of times that the STM32 has reset the coprocessor after a failure.
    pub fn resets(&self) -> usize {
        self.hooks.iter().filter(|hook| matches!(hook, Hook::Reset(_))).count()
    }
}
