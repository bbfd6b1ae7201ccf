//! Records: lines in the ring. A record does not change while a header counts it.
//!
//! | offset | bytes | |
//! |---|---|---|
//! | 0 | 2 | length of the text; 0xffff: the next record is at the beginning of the ring |
//! | 2 | 8 | number of the line |
//! | 10 | 8 | when it was written, in µs since the epoch began |
//! | 18 | 4 | CRC-32 of all of the above, and of the text |
//! | 22 | | the text |
//!
//! A record does not go round the end of the ring: its text is in one piece.

use pblink_image::crc::crc32;

use super::ram::{Ram, copy};

/// Bytes in front of the text.
pub(super) const HEAD: usize = 22;

const ROUND: [u8; 2] = [0xff; 2];

/// A record.
#[derive(Debug, Clone, Copy)]
pub(super) struct Record<'a> {
    pub(super) seq: u64,
    pub(super) time: u64,
    pub(super) text: &'a [u8],
    /// Offset in the ring.
    at: usize,
}

impl<'a> Record<'a> {
    /// Reads the record that follows at `at`: there, or at the beginning of the ring. Its check sum is not looked at.
    pub(super) fn read(ring: &'a [u8], at: usize) -> Option<Self> {
        let round = |rest: &[u8]| rest.len() < HEAD || rest[..2] == ROUND;
        let at = if round(ring.get(at..)?) { 0 } else { at };
        let (head, rest) = ring[at..].split_first_chunk::<HEAD>()?;
        let [l0, l1, numbers @ .., _, _, _, _] = head;
        let (seq, time) = numbers.split_first_chunk::<8>()?;
        Some(Self {
            seq: u64::from_le_bytes(*seq),
            time: time.first_chunk().map(|time| u64::from_le_bytes(*time))?,
            text: rest.get(..usize::from(u16::from_le_bytes([*l0, *l1])))?,
            at,
        })
    }

    /// Returns the offset behind it.
    pub(super) const fn end(&self) -> usize {
        self.at + HEAD + self.text.len()
    }

    /// Returns true if it is as it was written.
    pub(super) fn is_whole(&self, ring: &[u8]) -> bool {
        let Some(head) = ring.get(self.at..).and_then(|rest| rest.first_chunk::<HEAD>()) else {
            return false;
        };
        let crc = crc32(&[&head[..HEAD - 4], self.text]);
        head[HEAD - 4..] == crc.to_le_bytes() && core::str::from_utf8(self.text).is_ok()
    }
}

/// Writes a record at the offset `at` of the ring, which begins at `ring`.
pub(super) fn write(
    ram: &mut impl Ram,
    ring: usize,
    at: usize,
    (seq, time): (u64, u64),
    text: &str,
) {
    let mut head = [0; HEAD];
    head[..2].copy_from_slice(&(text.len() as u16).to_le_bytes());
    head[2..10].copy_from_slice(&seq.to_le_bytes());
    head[10..18].copy_from_slice(&time.to_le_bytes());
    let crc = crc32(&[&head[..HEAD - 4], text.as_bytes()]);
    head[HEAD - 4..].copy_from_slice(&crc.to_le_bytes());
    copy(ram, ring + at, &head);
    copy(ram, ring + at + HEAD, text.as_bytes());
}

/// Notes at the offset `at` that the next record is at the beginning of the ring.
pub(super) fn go_round(ram: &mut impl Ram, ring: usize, at: usize, len: usize) {
    if len - at >= HEAD {
        copy(ram, ring + at, &ROUND);
    }
}
