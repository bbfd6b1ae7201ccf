//! The keys of an STM32's secure link, as records in a flash sector of their own: in [`Map`](crate::map::Map) the one below
//! the settings.
//!
//! Records are only appended, in slots of [`SIZE`] bytes, and the last valid one counts. Appending needs no erasing, which
//! would stall the chip's only bank of flash for a second or two: a running program appends, and never erases. An append that
//! the supply cuts off leaves the record before it. Its own slot is lost; there are 512 of them. All numbers are little-endian:
//!
//! | offset | bytes | what |
//! |---|---|---|
//! | 0 | 4 | magic `PBKY` |
//! | 4 | 2 | version: 1 |
//! | 6 | 2 | length of the id, 1 to 64 bytes |
//! | 8 | 4 | generation |
//! | 12 | 4 | CRC-32 (as in zip and Ethernet) of bytes 4 to 11 and 16 to 207 |
//! | 16 | 32 | the board's private key |
//! | 48 | 32 | the server's public key |
//! | 80 | 32 | the key that board and server share |
//! | 112 | 32 | the seed of the board's random numbers |
//! | 144 | 64 | the id in UTF-8, filled up with 0xff |
//! | 208 | 4 | 0xffffffff while the record is not confirmed; anything else: confirmed |
//! | 212 | 44 | 0xff |
//!
//! The bits of an erased slot are 1, and programming makes some of them 0: whole words, at any time (RM0090 §3.6.3). So a
//! record can be [confirmed](Record::confirm_at) later, and one that is no longer needed can be *wiped*: all its bytes
//! programmed to 0.
//!
//! **No MAC.** It could only be made with a key of the same sector. Who can write this sector can write all of it, key and
//! MAC included; read-out protection keeps them out. Against accidents, which is what is left, the CRC does.

use core::fmt;

use pblink_protocol::tcp::line::{MAX_ID, check_id};

use crate::crc::crc32;

/// Bytes of a slot, and so of a record.
pub const SIZE: usize = 256;

/// Bytes of each key, and of the seed.
pub const KEY: usize = 32;

const MAGIC: [u8; 4] = *b"PBKY";
const VERSION: u16 = 1;
const HEAD: usize = 16;
const PRIVATE: usize = HEAD;
const SERVER: usize = PRIVATE + KEY;
const SHARED: usize = SERVER + KEY;
const SEED: usize = SHARED + KEY;
const ID: usize = SEED + KEY;
/// End of what the CRC covers.
const END: usize = ID + MAX_ID;
const CONFIRMED: usize = END;

/// The contents of a record that is to be written.
///
/// Keys are borrowed: whoever has them overwrites them when they are no longer needed, and does the same with what
/// [`Self::write`] has made.
#[derive(Clone, Copy)]
pub struct Fields<'a> {
    /// The board's id.
    pub id: &'a str,
    /// Counts the keys that this id has had.
    pub generation: u32,
    /// The board's private key.
    pub private: &'a [u8; KEY],
    /// The server's public key.
    pub server: &'a [u8; KEY],
    /// The key that both share.
    pub shared: &'a [u8; KEY],
    /// The seed of the board's random numbers.
    pub seed: &'a [u8; KEY],
    /// True for keys that replace all before them at once, as those that come over a cable do. False for keys that came
    /// over the link: the board may fall back to those before until these have worked once.
    pub confirmed: bool,
}

impl Fields<'_> {
    /// Returns the bytes of the record. Program them in the order of their addresses: the mark of a confirmed record is
    /// behind what it confirms.
    ///
    /// # Errors
    /// [`BadId`] if the id cannot be one.
    ///
    /// ```
    /// use pblink_image::keys::{BadId, Fields, Keys};
    ///
    /// let key = [7; 32];
    /// let fields = Fields {
    ///     id: "kitchen",
    ///     generation: 1,
    ///     private: &key,
    ///     server: &key,
    ///     shared: &key,
    ///     seed: &key,
    ///     confirmed: true,
    /// };
    /// let mut sector = vec![0xff; 128 << 10];
    /// let free = Keys::read(&sector).free().expect("nothing is written");
    /// sector[free..][..256].copy_from_slice(&fields.write()?);
    /// let record = Keys::read(&sector).record().expect("one is written");
    /// assert_eq!((record.id(), record.generation()), ("kitchen", 1));
    /// # Ok::<(), BadId>(())
    /// ```
    pub fn write(&self) -> Result<[u8; SIZE], BadId> {
        check_id(self.id).map_err(|_| BadId)?;
        let mut out = [0xff; SIZE];
        out[..4].copy_from_slice(&MAGIC);
        out[4..6].copy_from_slice(&VERSION.to_le_bytes());
        out[6..8].copy_from_slice(&(self.id.len() as u16).to_le_bytes());
        out[8..12].copy_from_slice(&self.generation.to_le_bytes());
        for (at, key) in [
            (PRIVATE, self.private),
            (SERVER, self.server),
            (SHARED, self.shared),
            (SEED, self.seed),
        ] {
            out[at..at + KEY].copy_from_slice(key);
        }
        out[ID..ID + self.id.len()].copy_from_slice(self.id.as_bytes());
        let crc = sum(&out);
        out[12..16].copy_from_slice(&crc.to_le_bytes());
        if self.confirmed {
            out[CONFIRMED..CONFIRMED + 4].fill(0);
        }
        Ok(out)
    }
}

impl fmt::Debug for Fields<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show(f, "Fields", self.id, self.generation, self.confirmed)
    }
}

/// The id of a record cannot be one: see [`check_id`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadId;

impl fmt::Display for BadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the id of the keys is not a valid id")
    }
}

impl core::error::Error for BadId {}

/// A valid record, where it lies in flash. Nothing of it is copied.
#[derive(Clone, Copy)]
pub struct Record<'a> {
    bytes: &'a [u8; SIZE],
    id: &'a str,
    /// Offset of its slot in the sector.
    at: usize,
}

impl<'a> Record<'a> {
    /// Reads the record of a slot. `at`: offset of the slot in its sector.
    fn read(bytes: &'a [u8; SIZE], at: usize) -> Option<Self> {
        let version = u16::from_le_bytes([bytes[4], bytes[5]]);
        if bytes[..4] != MAGIC || version != VERSION || crc(bytes) != sum(bytes) {
            return None;
        }
        let len = usize::from(u16::from_le_bytes([bytes[6], bytes[7]]));
        let (id, filler) = bytes[ID..END].split_at_checked(len)?;
        let id = core::str::from_utf8(id).ok().filter(|id| check_id(id).is_ok())?;
        filler.iter().all(|&byte| byte == 0xff).then_some(Self { bytes, id, at })
    }

    /// Returns the board's id.
    pub const fn id(&self) -> &'a str {
        self.id
    }

    /// Returns the generation: it counts the keys that this id has had.
    pub fn generation(&self) -> u32 {
        let bytes = self.bytes;
        u32::from_le_bytes([bytes[8], bytes[9], bytes[10], bytes[11]])
    }

    /// Returns the board's private key.
    pub fn private(&self) -> &'a [u8; KEY] {
        self.key(PRIVATE)
    }

    /// Returns the server's public key.
    pub fn server(&self) -> &'a [u8; KEY] {
        self.key(SERVER)
    }

    /// Returns the key that board and server share.
    pub fn shared(&self) -> &'a [u8; KEY] {
        self.key(SHARED)
    }

    /// Returns the seed of the board's random numbers.
    pub fn seed(&self) -> &'a [u8; KEY] {
        self.key(SEED)
    }

    /// Returns true if these keys have worked once: the board falls back to no others then.
    ///
    /// One that the supply cut off while it was being confirmed counts, too: it had worked.
    pub fn confirmed(&self) -> bool {
        self.bytes[CONFIRMED..CONFIRMED + 4] != [0xff; 4]
    }

    /// Returns the offset in the sector of the word that is to be programmed to 0 when these keys have worked.
    pub const fn confirm_at(&self) -> usize {
        self.at + CONFIRMED
    }

    /// Returns the offset of the record in the sector.
    pub const fn offset(&self) -> usize {
        self.at
    }

    fn key(&self, at: usize) -> &'a [u8; KEY] {
        const NONE: &[u8; KEY] = &[0; KEY];
        self.bytes[at..].first_chunk().unwrap_or(NONE)
    }
}

impl fmt::Debug for Record<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show(f, "Record", self.id, self.generation(), self.confirmed())
    }
}

fn show(
    f: &mut fmt::Formatter<'_>,
    name: &str,
    id: &str,
    generation: u32,
    confirmed: bool,
) -> fmt::Result {
    f.debug_struct(name)
        .field("id", &id)
        .field("generation", &generation)
        .field("confirmed", &confirmed)
        .finish_non_exhaustive()
}

/// The sector of the keys.
#[derive(Clone, Copy)]
pub struct Keys<'a> {
    sector: &'a [u8],
    last: Option<Record<'a>>,
    before: Option<Record<'a>>,
}

impl<'a> Keys<'a> {
    /// Reads a sector, or the beginning of one. A rest that is shorter than a slot does not count.
    pub fn read(sector: &'a [u8]) -> Self {
        let mut this = Self { sector, last: None, before: None };
        // All slots, not up to the first empty one: a word that lost the supply while it was programmed may seem empty.
        let (slots, _) = sector.as_chunks::<SIZE>();
        for (n, slot) in slots.iter().enumerate() {
            if let Some(record) = Record::read(slot, n * SIZE) {
                if let Some(last) = this.last.filter(Record::confirmed) {
                    this.before = Some(last);
                }
                this.last = Some(record);
            }
        }
        this
    }

    /// Returns the keys that count: the last valid record. `None`: there are none.
    pub const fn record(&self) -> Option<Record<'a>> {
        self.last
    }

    /// Returns the keys that the board may use instead: the last confirmed record before one that is not confirmed. It is of
    /// the same id, or there is none.
    pub fn fallback(&self) -> Option<Record<'a>> {
        let last = self.last.filter(|last| !last.confirmed())?;
        self.before.filter(|before| before.id == last.id)
    }

    /// Returns the offset of the slot for the next record: the first one behind all that is written. `None`: the sector is
    /// full.
    pub fn free(&self) -> Option<usize> {
        let (slots, _) = self.sector.as_chunks::<SIZE>();
        let used = slots.iter().rposition(|slot| !is_all(slot, 0xff)).map_or(0, |last| last + 1);
        (used < slots.len()).then_some(used * SIZE)
    }

    /// Returns the offsets of slots that are neither empty nor wiped, all but that of [`Self::record`] and that of
    /// [`Self::fallback`]: what they hold is no longer needed, and may be wiped.
    pub fn spent(&self) -> impl Iterator<Item = usize> + 'a {
        let kept = [self.last, self.fallback()].map(|record| record.map(|record| record.at));
        let (slots, _) = self.sector.as_chunks::<SIZE>();
        let used =
            slots.iter().enumerate().filter(|(_, slot)| !is_all(slot, 0xff) && !is_all(slot, 0));
        used.map(|(n, _)| n * SIZE).filter(move |at| !kept.contains(&Some(*at)))
    }
}

impl fmt::Debug for Keys<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys")
            .field("record", &self.last)
            .field("fallback", &self.fallback())
            .finish_non_exhaustive()
    }
}

fn is_all(slot: &[u8; SIZE], byte: u8) -> bool {
    slot.iter().all(|&other| other == byte)
}

/// Returns the check sum that a slot should have.
fn sum(slot: &[u8; SIZE]) -> u32 {
    crc32(&[&slot[4..12], &slot[HEAD..END]])
}

/// Returns the check sum that a slot has.
fn crc(slot: &[u8; SIZE]) -> u32 {
    u32::from_le_bytes([slot[12], slot[13], slot[14], slot[15]])
}

#[cfg(test)]
mod tests;
