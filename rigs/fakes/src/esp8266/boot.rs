//! The start of the chip after a reset: it looks for a program in flash.

use crate::espressif::image::{self, Image};

/// Bytes of the header of an image.
const HEADER: usize = 8;

/// The ROM's finding.
#[derive(Debug, PartialEq, Eq)]
pub enum Start {
    /// A program whose checksum is right. The ROM ignores what is behind its segments.
    Program,
    /// None, or one that is damaged.
    Nothing,
}

/// Returns the first output of the ROM.
pub fn words(loader: bool) -> Vec<u8> {
    let mode = if loader { "1,6" } else { "3,6" };
    format!("\r\n ets Jan  8 2013,rst cause:2, boot mode:({mode})\r\n\r\n").into_bytes()
}

/// Looks for a program as the ROM does: magic, segments, checksum.
pub fn start(flash: &[u8]) -> Start {
    match Image::read(flash, HEADER) {
        Some(image) if image.is_intact() => Start::Program,
        _ => Start::Nothing,
    }
}

/// Returns an image that starts: one segment of these bytes.
pub fn image(segment: &[u8]) -> Vec<u8> {
    let mut header = vec![0, 0, 0, 0x20];
    header.extend(0x4010_0004_u32.to_le_bytes());
    image::make(&header, &[(0x4010_0000, segment.to_vec())])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_program_starts() {
        let good = image(&[7; 1000]);
        assert_eq!(start(&good), Start::Program);
        for damaged in [0, 1, 12, 20, good.len() - 1] {
            let mut bad = good.clone();
            bad[damaged] ^= 0x40;
            assert_eq!(start(&bad), Start::Nothing, "byte {damaged}");
        }
        assert_eq!(start(&[0xff; 4096]), Start::Nothing);
    }
}
