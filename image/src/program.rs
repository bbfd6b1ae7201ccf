//! The form that programs for Espressif's chips have in common: a header, segments, and a check sum that fills up 16 bytes
//! (esptool's "Firmware Image Format").

use std::fmt;

/// The first byte of an image.
pub(crate) const MAGIC: u8 = 0xe9;
/// The ROM loads no more.
pub(crate) const MAX_SEGMENTS: u8 = 16;
/// The check sum of nothing.
pub(crate) const CHECKSUM: u8 = 0xef;

/// The numbers of chips in headers, as ESP-IDF's `esp_chip_id_t` has them. The ESP8266 has none.
const CHIPS: [(u16, &str); 10] = [
    (0, "ESP32"),
    (2, "ESP32-S2"),
    (5, "ESP32-C3"),
    (9, "ESP32-S3"),
    (12, "ESP32-C2"),
    (13, "ESP32-C6"),
    (16, "ESP32-H2"),
    (18, "ESP32-P4"),
    (20, "ESP32-C61"),
    (23, "ESP32-C5"),
];

/// The reason why a chip would not start an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// It does not begin as an image does.
    NoImage,
    /// It ends before one of its segments does, before the check sum or before the hash.
    Cut {
        /// Bytes that it has to have at least.
        wanted: u64,
        /// Bytes that it has.
        is: u64,
    },
    /// A segment belongs to an address at which an ESP8266 has no memory to copy it to.
    NoMemory {
        /// The address.
        address: u32,
    },
    /// It is for another chip of the family.
    OtherChip {
        /// The chip's number.
        number: u16,
    },
    /// It is for an ESP8266.
    Esp8266,
    /// The check sum or the hash is wrong.
    Damaged,
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoImage => f.write_str("it is no image of a program"),
            Self::Cut { wanted, is } => {
                write!(f, "it is cut off: its header speaks of {wanted} bytes, and it has {is}")
            }
            Self::NoMemory { address } => write!(
                f,
                "it is an image for another chip: an ESP8266 has no memory at {address:#010x}"
            ),
            Self::OtherChip { number } => match CHIPS.iter().find(|chip| chip.0 == *number) {
                Some((_, name)) => write!(f, "it is an image for an {name}"),
                None => write!(f, "it is an image for another chip (number {number})"),
            },
            Self::Esp8266 => f.write_str("it is an image for an ESP8266"),
            Self::Damaged => f.write_str("it is damaged: its check sum is wrong"),
        }
    }
}

/// Returns true if bytes begin as the image of a program does, whatever chip it is for: magic, and 1 to 16 segments.
pub fn is_program(bytes: &[u8]) -> bool {
    bytes.len() >= 8 && matches!(*bytes, [MAGIC, 1..=MAX_SEGMENTS, ..])
}

/// Looks through the segments behind a header of this length, and returns the place behind the check sum. `fits` judges the
/// address and length of each. Bytes behind the check sum do not count.
///
/// # Errors
/// The first flaw, among them those of `fits`.
pub(crate) fn walk(
    image: &[u8],
    header: usize,
    mut fits: impl FnMut(u32, u32) -> Result<(), Flaw>,
) -> Result<usize, Flaw> {
    let [MAGIC, count @ 1..=MAX_SEGMENTS, ..] = *image else { return Err(Flaw::NoImage) };
    let is = image.len() as u64;
    let word = |at: usize| {
        let bytes = image.get(at..).and_then(<[u8]>::first_chunk);
        bytes.map(|bytes| u32::from_le_bytes(*bytes)).ok_or(Flaw::Cut { wanted: at as u64 + 4, is })
    };
    let (mut at, mut sum) = (header, CHECKSUM);
    for _ in 0..count {
        let (address, length) = (word(at)?, word(at + 4)?);
        fits(address, length)?;
        at += 8;
        let wanted = ((at as u64 + u64::from(length)) | 15) + 1;
        let rest = &image[at..];
        let bytes = rest.get(..length as usize).ok_or(Flaw::Cut { wanted, is })?;
        sum = bytes.iter().fold(sum, |sum, byte| sum ^ byte);
        at += bytes.len();
    }
    let end = (at | 15) + 1;
    match image.get(end - 1) {
        None => Err(Flaw::Cut { wanted: end as u64, is }),
        Some(&byte) if byte == sum => Ok(end),
        Some(_) => Err(Flaw::Damaged),
    }
}
