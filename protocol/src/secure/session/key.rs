//! The keys of one handshake, with their counters.

use super::super::packet::{MAX_COUNTER, MAX_FRAMES, Packet, TAG};
use super::super::suite::Keys;
use crate::time::{Duration, Instant};

/// Packets under one key, of one end, after which a board makes a new handshake.
pub(in super::super) const REKEY_FRAMES: u32 = 1 << 20;
/// Age of a key after which a board makes a new handshake.
pub(in super::super) const REKEY_AFTER: Duration = Duration::from_secs(24 * 3600);
/// Packets under one key, of one end, after which it is not used any more.
pub(in super::super) const STOP_FRAMES: u32 = 1 << 22;
/// Age of a key from which on it is not used any more.
pub(in super::super) const STOP_AFTER: Duration = Duration::from_secs(25 * 3600);

const _: () = assert!(STOP_FRAMES < MAX_COUNTER);

/// Keys, their number, and their counters. They outlive connections: a counter that has gone out, or come in, never does so again.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in super::super) struct Key<K> {
    number: u8,
    /// The generation of the keys that have made it.
    generation: u32,
    keys: K,
    /// The last counter that was used.
    sent: u32,
    /// The greatest counter that has come.
    heard: u32,
    made: Instant,
}

/// The result of an attempt to open a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in super::super) enum Opened {
    /// This many bytes of frames.
    Frames(usize),
    /// Its counter is not greater than one that has come.
    Old,
    /// It is under another key, or forged.
    Foreign,
}

impl<K: Keys> Key<K> {
    pub(in super::super) const fn new(
        (number, generation): (u8, u32),
        keys: K,
        now: Instant,
    ) -> Self {
        Self { number, generation, keys, sent: 0, heard: 0, made: now }
    }

    pub(in super::super) const fn generation(&self) -> u32 {
        self.generation
    }

    /// Returns the line of a packet with these frames. `None`: `out` has no room, or no counter is left.
    pub(in super::super) fn seal<'o>(
        &mut self,
        frames: &[u8],
        out: &'o mut [u8],
    ) -> Option<&'o str> {
        let counter = self.sent + 1;
        if counter > STOP_FRAMES {
            return None;
        }
        // Used up, whatever becomes of it.
        self.sent = counter;
        let mut sealed = [0; MAX_FRAMES + TAG];
        let len = self.keys.seal(counter, frames, &mut sealed)?;
        Packet::Sealed { key: self.number, counter, sealed: &sealed[..len] }.encode(out)
    }

    /// Opens a packet. What is in it counts as heard.
    pub(in super::super) fn open(
        &mut self,
        (number, counter): (u8, u32),
        sealed: &[u8],
        frames: &mut [u8; MAX_FRAMES],
    ) -> Opened {
        if number != self.number {
            return Opened::Foreign;
        }
        let Some(len) = self.keys.open(counter, sealed, frames) else { return Opened::Foreign };
        if counter <= self.heard {
            return Opened::Old;
        }
        self.heard = counter;
        Opened::Frames(len)
    }

    /// Returns true if the key has done a part of its work, in packets or time.
    pub(in super::super) fn is_worn(&self, now: Instant, frames: u32, age: Duration) -> bool {
        self.sent.max(self.heard) >= frames || now.since(self.made) >= age
    }
}
