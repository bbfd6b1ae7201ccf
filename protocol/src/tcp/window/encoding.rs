//! A window as bytes, for a store.
//!
//! | bytes | what |
//! |---|---|
//! | 1 | version, [`VERSION`] |
//! | 1 | flags: 1 there is a newest number, 2 there are others than number 0 |
//! | 1 | the newest number, else 0 |
//! | 32 | one bit for each number that was received, the lowest first |
//! | 4 each | the fingerprints of these numbers, in order, little-endian |
//! | 4 | the [fingerprint] of all bytes before it |
//!
//! State that belongs to a connection is not stored.
//!
//! In version 1 all fingerprints, the last one too, are those of [`murmur3`], with 32 bits each. In version 2 those of a window
//! that was read from version 1 have 31 bits, as in memory.

use core::fmt;

use super::super::line::Mid;
use super::super::mid_set::MidSet;
use super::print::first;
use super::{Window, fingerprint, murmur3};

/// The version that is written.
const VERSION: u8 = 2;

/// The first version, which is still read.
const FIRST: u8 = 1;

const NEWEST: u8 = 1;
const OTHERS: u8 = 2;

/// Version, flags, newest number, map.
const HEAD: usize = 3 + 32;
const CHECK: usize = 4;

/// Why bytes are not a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BadWindow {
    /// They have a version that this program does not know.
    Version(u8),
    /// They are damaged, cut off, or something else.
    Damaged,
}

impl fmt::Display for BadWindow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version(version) => {
                write!(
                    f,
                    "a stored window has version {version}, and only {FIRST} and {VERSION} are known"
                )
            }
            Self::Damaged => f.write_str("a stored window is damaged"),
        }
    }
}

impl core::error::Error for BadWindow {}

impl Window {
    /// The length of the longest encoding, in bytes.
    pub const MAX_ENCODED: usize = HEAD + 256 * 4 + CHECK;

    /// Writes what has to outlive a process into `out`, and returns the part that was written: 39 bytes
    /// and four for each number that is remembered.
    pub fn encode<'a>(&self, out: &'a mut [u8; Self::MAX_ENCODED]) -> &'a [u8] {
        out[0] = VERSION;
        out[1] =
            if self.newest.is_some() { NEWEST } else { 0 } | if self.others { OTHERS } else { 0 };
        out[2] = self.newest.unwrap_or_default().0;
        out[3..HEAD].copy_from_slice(&self.seen.to_bytes());
        let mut len = HEAD;
        for mid in self.seen.iter() {
            out[len..len + 4].copy_from_slice(&self.fingerprint(mid).to_le_bytes());
            len += 4;
        }
        let check = fingerprint(&out[..len]).to_le_bytes();
        out[len..len + CHECK].copy_from_slice(&check);
        &out[..len + CHECK]
    }

    /// Reads what [`encode`](Self::encode) wrote, in this or an earlier version, as of a sender of which there is no
    /// connection.
    ///
    /// # Errors
    /// If it has another version, or no endpoint can have written it.
    pub fn decode(bytes: &[u8]) -> Result<Self, BadWindow> {
        let body = match bytes.first() {
            Some(&VERSION) => Self::decode_body(bytes, fingerprint, |print| print),
            Some(&FIRST) => Self::decode_body(bytes, murmur3, first),
            Some(&version) => return Err(BadWindow::Version(version)),
            None => None,
        };
        body.ok_or(BadWindow::Damaged)
    }

    /// Reads a version with this check. `remembered` makes a stored fingerprint what it is in memory.
    fn decode_body(
        bytes: &[u8],
        check_of: fn(&[u8]) -> u32,
        remembered: fn(u32) -> u32,
    ) -> Option<Self> {
        let (body, check) = bytes.split_last_chunk::<CHECK>()?;
        let (head, prints) = body.split_first_chunk::<HEAD>()?;
        if check_of(body).to_le_bytes() != *check {
            return None;
        }
        let (&[_, flags, newest], map) = head.split_first_chunk::<3>()?;
        let seen = MidSet::from_bytes(map.first_chunk()?);
        if prints.len() != seen.len() * 4 {
            return None;
        }
        let newest = match flags & NEWEST {
            0 if newest == 0 && seen.is_empty() => None,
            NEWEST if seen.contains(Mid(newest)) => Some(Mid(newest)),
            _ => return None,
        };
        let others = seen.highest().is_some_and(|highest| highest.0 != 0);
        if flags & !NEWEST != if others { OTHERS } else { 0 } {
            return None;
        }
        let mut window = Self { seen, newest, others, ..Self::new() };
        for (mid, print) in seen.iter().zip(prints.as_chunks::<4>().0) {
            window.fingerprints[usize::from(mid.0)] = remembered(u32::from_le_bytes(*print));
        }
        Some(window)
    }
}
