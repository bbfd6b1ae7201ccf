//! A look at an image before it is written: neither the ROM nor the second-stage bootloader starts any other.
//!
//! Behind the check sum is a SHA-256 of all of it, if the header says so.

use sha2::{Digest, Sha256};

use crate::esp8266;
use crate::program::{Flaw, walk};

/// Bytes before the first segment: as for the ESP8266, and 16 more.
const HEADER: usize = 24;
/// The place of the chip's number in the header.
const CHIP: usize = 12;
/// The ESP32-C3's.
const ESP32C3: u16 = 5;
/// The place of the byte that is 1 if a hash follows.
const HASHED: usize = 23;

/// Checks an image: chip, segments, check sum and hash. Bytes behind it do not count: a file may hold all of the flash.
///
/// # Errors
/// The first flaw.
pub fn check(image: &[u8]) -> Result<(), Flaw> {
    match esp8266::check(image) {
        Ok(()) => return Err(Flaw::Esp8266),
        Err(Flaw::NoImage) => return Err(Flaw::NoImage),
        Err(_) => {}
    }
    let is = image.len() as u64;
    let header: &[u8; HEADER] =
        image.first_chunk().ok_or(Flaw::Cut { wanted: HEADER as u64, is })?;
    let number = u16::from_le_bytes([header[CHIP], header[CHIP + 1]]);
    if number != ESP32C3 {
        return Err(Flaw::OtherChip { number });
    }
    let end = walk(image, HEADER, |_, _| Ok(()))?;
    if header[HASHED] == 1 {
        let (whole, rest) = image.split_at(end);
        let hash: &[u8; 32] =
            rest.first_chunk().ok_or(Flaw::Cut { wanted: end as u64 + 32, is })?;
        if Sha256::digest(whole)[..] != *hash {
            return Err(Flaw::Damaged);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::{CHECKSUM, MAGIC};

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
        for (number, name) in
            [(0, "ESP32"), (9, "ESP32-S3"), (13, "ESP32-C6"), (777, "(number 777)")]
        {
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
