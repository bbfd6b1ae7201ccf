//! A header of the kept memory: it says what counts.

use pblink_image::crc::crc32;
use pblink_protocol::secure::board::View;
use pblink_protocol::secure::frame::Epoch;

use super::ram::{Ram, copy};

/// Bytes of a header.
pub(super) const SIZE: usize = 72;

/// Begins each header that is whole. It is removed first and put back last, so no mixture of two headers has it; none of its
/// bytes is 0. The last one is the version of the layout.
const MARK: [u8; 4] = *b"PBK1";

/// Contents of a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    /// Counts the headers that were written. It wraps.
    pub(super) number: u32,
    /// Offsets in the ring: of the oldest record, and behind the newest.
    pub(super) head: u32,
    pub(super) tail: u32,
    pub(super) epoch: Epoch,
    /// Numbers of the oldest line, and of the next.
    pub(super) first: u64,
    pub(super) next: u64,
    pub(super) view: Option<View>,
    /// The last known time, in µs since the epoch began.
    pub(super) time: u64,
}

/// The finding about a place for a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// A whole header.
    Whole(Header),
    /// None, or one of which only a part was written.
    Torn,
    /// One that was whole, and is no longer: the RAM had no power.
    Damaged,
}

impl Header {
    /// Writes it at `at`, for a memory of `size` bytes. Until the last byte is written there is none.
    pub(super) fn write(&self, ram: &mut impl Ram, at: usize, size: u32) {
        let mut bytes = [0; SIZE];
        let fields = [size, self.number, self.head, self.tail];
        for (place, field) in bytes[4..20].chunks_exact_mut(4).zip(fields) {
            place.copy_from_slice(&field.to_le_bytes());
        }
        let (epoch, done) = self.view.map_or((0, 0), |view| (view.epoch.get(), view.done));
        let fields = [self.epoch.get(), self.first, self.next, epoch, done, self.time];
        for (place, field) in bytes[20..68].chunks_exact_mut(8).zip(fields) {
            place.copy_from_slice(&field.to_le_bytes());
        }
        let crc = crc32(&[&bytes[4..68]]);
        bytes[68..].copy_from_slice(&crc.to_le_bytes());
        erase(ram, at);
        copy(ram, at + 4, &bytes[4..]);
        copy(ram, at, &MARK);
    }

    /// Reads one.
    pub(super) fn read(ram: &impl Ram, at: usize, size: u32) -> Found {
        let Some(bytes) = ram.bytes().get(at..).and_then(|rest| rest.first_chunk::<SIZE>()) else {
            return Found::Damaged;
        };
        if bytes[..4] != MARK {
            let torn = bytes.iter().zip(MARK).all(|(&byte, mark)| byte == 0 || byte == mark);
            return if torn { Found::Torn } else { Found::Damaged };
        }
        match Self::parse(bytes, size) {
            Some(header) => Found::Whole(header),
            None => Found::Damaged,
        }
    }

    fn parse(bytes: &[u8; SIZE], size: u32) -> Option<Self> {
        let word =
            |at: usize| bytes[at..].first_chunk().map_or(0, |word| u32::from_le_bytes(*word));
        let long =
            |at: usize| bytes[at..].first_chunk().map_or(0, |long| u64::from_le_bytes(*long));
        if word(4) != size || word(68) != crc32(&[&bytes[4..68]]) {
            return None;
        }
        Some(Self {
            number: word(8),
            head: word(12),
            tail: word(16),
            epoch: Epoch::new(long(20))?,
            first: long(28),
            next: long(36),
            view: Epoch::new(long(44)).map(|epoch| View { epoch, done: long(52) }),
            time: long(60),
        })
    }
}

/// Removes what makes a header whole.
pub(super) fn erase(ram: &mut impl Ram, at: usize) {
    copy(ram, at, &[0; MARK.len()]);
}
