//! A look at an image before it is written: the chip's ROM starts no other.
//!
//! The ROM copies each segment to its address, and starts nothing if the check sum behind the last one is wrong
//! (esptool's "Firmware Image Format"). Bytes behind that are not its business: many programs have their second part there.

use std::ops::Range;

use crate::program::{Flaw, walk};

/// Memory that the ROM copies segments into: data, and code.
const RAM: [Range<u32>; 2] = [0x3ff0_0000..0x4000_0000, 0x4010_0000..0x4010_c000];
/// Magic and the number of segments, how the flash is connected, and where the program begins.
const HEADER: usize = 8;

/// Checks an image for address 0, segment by segment.
///
/// # Errors
/// The first flaw.
pub fn check(image: &[u8]) -> Result<(), Flaw> {
    let fits = |address, length| match length > 0 && !RAM.iter().any(|ram| ram.contains(&address)) {
        true => Err(Flaw::NoMemory { address }),
        false => Ok(()),
    };
    walk(image, HEADER, fits).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::{CHECKSUM, MAGIC};

    fn image(segments: &[(u32, &[u8])]) -> Vec<u8> {
        let mut bytes = vec![MAGIC, segments.len() as u8, 0, 0x20, 4, 0, 0x10, 0x40];
        let mut sum = CHECKSUM;
        for (address, data) in segments {
            bytes.extend(address.to_le_bytes());
            bytes.extend((data.len() as u32).to_le_bytes());
            bytes.extend(*data);
            sum = data.iter().fold(sum, |sum, byte| sum ^ byte);
        }
        bytes.resize(bytes.len() | 15, 0);
        bytes.push(sum);
        bytes
    }

    #[test]
    fn an_image_passes_whatever_is_behind_it_and_each_part_of_one_is_cut_off() {
        let mut whole = image(&[(0x4010_0000, &[7; 100]), (0x3ffe_8000, &[1; 33]), (0, &[])]);
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
        for at in (16..116).chain([whole.len() - 1]) {
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
        // An ESP32's header is 24 bytes long, and its first segment is in flash.
        let mut esp32 = vec![MAGIC, 4, 2, 0x20, 0x24, 0x12, 8, 0x40, 0xee, 0, 0, 0, 0, 0, 0, 0];
        esp32.extend([0, 0, 0, 0, 0, 0, 0, 1, 0x20, 0, 0x40, 0x3f]);
        esp32.resize(4096, 0);
        assert_eq!(check(&esp32), Err(Flaw::NoMemory { address: 0 }));
        for address in [0x3f40_0020, 0x4008_0000, 0x4020_1010, 0xffff_ffff] {
            let wrong = image(&[(address, &[0; 4])]);
            assert_eq!(check(&wrong), Err(Flaw::NoMemory { address }));
        }
    }
}
