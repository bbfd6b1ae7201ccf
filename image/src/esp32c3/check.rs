//! A look at an image before it is written: neither the ROM nor the second-stage bootloader starts any other.
//!
//! The format is that of esptool's "Firmware Image Format": a header of 24 bytes, segments, a check sum that fills up 16
//! bytes, and a SHA-256 of all of it if the header says so.

use std::fmt;

use sha2::{Digest, Sha256};

/// The first byte of an image.
const MAGIC: u8 = 0xe9;
/// Bytes before the first segment: as for the ESP8266, and 16 more.
const HEADER: usize = 24;
const MAX_SEGMENTS: u8 = 16;
/// The check sum of nothing.
const CHECKSUM: u8 = 0xef;
/// The place of the chip's number in the header.
const CHIP: usize = 12;
/// The ESP32-C3's.
const ESP32C3: u16 = 5;
/// The place of the byte that is 1 if a hash follows.
const HASHED: usize = 23;

/// The numbers of other chips, as ESP-IDF's `esp_chip_id_t` has them.
const OTHERS: [(u16, &str); 9] = [
    (0, "ESP32"),
    (2, "ESP32-S2"),
    (9, "ESP32-S3"),
    (12, "ESP32-C2"),
    (13, "ESP32-C6"),
    (16, "ESP32-H2"),
    (18, "ESP32-P4"),
    (20, "ESP32-C61"),
    (23, "ESP32-C5"),
];

/// The reason why an ESP32-C3 would not start an image.
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
            Self::NoImage => f.write_str("it is no image of an ESP32-C3 program"),
            Self::Cut { wanted, is } => {
                write!(f, "it is cut off: its header speaks of {wanted} bytes, and it has {is}")
            }
            Self::OtherChip { number } => match OTHERS.iter().find(|other| other.0 == *number) {
                Some((_, name)) => write!(f, "it is an image for an {name}"),
                None => write!(f, "it is an image for another chip (number {number})"),
            },
            Self::Esp8266 => f.write_str("it is an image for an ESP8266"),
            Self::Damaged => f.write_str("it is damaged: its check sum is wrong"),
        }
    }
}

/// Returns true if bytes begin as the image of a program does, whatever chip it is for.
pub fn is_program(bytes: &[u8]) -> bool {
    matches!(*bytes, [MAGIC, 1..=MAX_SEGMENTS, ..])
}

/// Checks an image: chip, segments, check sum and hash. Bytes behind it do not count: a file may hold all of the flash.
///
/// # Errors
/// The first flaw.
pub fn check(image: &[u8]) -> Result<(), Flaw> {
    if !is_program(image) {
        return Err(Flaw::NoImage);
    }
    if super::super::esp8266::check(image) == Ok(()) {
        return Err(Flaw::Esp8266);
    }
    let is = image.len() as u64;
    let cut = |wanted: usize| Flaw::Cut { wanted: wanted as u64, is };
    let header: &[u8; HEADER] = image.first_chunk().ok_or(cut(HEADER))?;
    let number = u16::from_le_bytes([header[CHIP], header[CHIP + 1]]);
    if number != ESP32C3 {
        return Err(Flaw::OtherChip { number });
    }
    let (mut at, mut sum) = (HEADER, CHECKSUM);
    for _ in 0..header[1] {
        let length = image.get(at + 4..).and_then(<[u8]>::first_chunk).ok_or(cut(at + 8))?;
        let length = u32::from_le_bytes(*length);
        at += 8;
        let wanted = ((at as u64 + u64::from(length)) | 15) + 1;
        let bytes = image
            .get(at..)
            .and_then(|rest| rest.get(..length as usize))
            .ok_or(Flaw::Cut { wanted, is })?;
        sum = bytes.iter().fold(sum, |sum, byte| sum ^ byte);
        at += bytes.len();
    }
    let end = (at | 15) + 1;
    if *image.get(end - 1).ok_or(cut(end))? != sum {
        return Err(Flaw::Damaged);
    }
    if header[HASHED] == 1 {
        let hash = image.get(end..end + 32).ok_or(cut(end + 32))?;
        if Sha256::digest(&image[..end])[..] != *hash {
            return Err(Flaw::Damaged);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(chip: u16, segments: &[&[u8]]) -> Vec<u8> {
        let mut bytes = vec![MAGIC, segments.len() as u8, 2, 0x20, 0, 0, 0x38, 0x40, 0xee, 0, 0, 0];
        bytes.extend(chip.to_le_bytes());
        bytes.resize(HEADER, 0);
        bytes[HASHED] = 1;
        let mut sum = CHECKSUM;
        for data in segments {
            bytes.extend(0x4038_0000_u32.to_le_bytes());
            bytes.extend((data.len() as u32).to_le_bytes());
            bytes.extend(*data);
            sum = data.iter().fold(sum, |sum, byte| sum ^ byte);
        }
        bytes.resize(bytes.len() | 15, 0);
        bytes.push(sum);
        let hash = Sha256::digest(&bytes);
        bytes.extend(hash);
        bytes
    }

    #[test]
    fn an_image_passes_whatever_is_behind_it_and_each_damage_and_each_cut_is_found() {
        let mut whole = image(ESP32C3, &[&[7; 100], &[1; 33], &[]]);
        assert_eq!(check(&whole), Ok(()));
        for length in 2..whole.len() {
            let is = length as u64;
            let Err(Flaw::Cut { wanted, is: seen }) = check(&whole[..length]) else {
                panic!("{length} bytes pass")
            };
            assert!(
                wanted > is && wanted <= whole.len() as u64 && seen == is,
                "{length}: {wanted}"
            );
        }
        // Addresses of segments, too: the hash covers what the check sum does not.
        for at in (24..28).chain(32..132).chain(whole.len() - 33..whole.len()) {
            whole[at] ^= 1;
            assert_eq!(check(&whole), Err(Flaw::Damaged), "{at}");
            whole[at] ^= 1;
        }
        whole.extend([0xff; 5000]);
        assert_eq!(check(&whole), Ok(()));
    }

    #[test]
    fn other_files_and_images_of_other_chips_are_named() {
        for other in [&b"PK\x03\x04"[..], b"", &[MAGIC], &[MAGIC, 0, 0, 0], &[MAGIC, 17, 0, 0]] {
            assert_eq!(check(other), Err(Flaw::NoImage), "{other:x?}");
        }
        for (number, name) in OTHERS {
            let flaw = check(&image(number, &[&[7; 100]])).unwrap_err();
            assert_eq!(flaw, Flaw::OtherChip { number });
            assert!(flaw.to_string().ends_with(name), "{flaw}");
        }
        // One segment of four bytes, in the ESP8266's RAM.
        let mut esp8266 = vec![MAGIC, 1, 0, 0x20, 4, 0, 0x10, 0x40, 0, 0, 0x10, 0x40, 4, 0, 0, 0];
        esp8266.extend([1, 2, 3, 4]);
        esp8266.resize(31, 0);
        esp8266.push(CHECKSUM ^ 1 ^ 2 ^ 3 ^ 4);
        assert_eq!(check(&esp8266), Err(Flaw::Esp8266));
    }
}
