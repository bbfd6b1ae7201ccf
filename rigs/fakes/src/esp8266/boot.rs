//! The start of the chip after a reset: it looks for a program in flash.

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
    if program(flash).is_some() { Start::Program } else { Start::Nothing }
}

fn program(flash: &[u8]) -> Option<()> {
    let number = |at: usize| -> Option<usize> {
        let bytes = flash.get(at..at + 4)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?) as usize)
    };
    let (magic, segments) = (*flash.first()?, *flash.get(1)?);
    if magic != 0xe9 || segments == 0 || segments > 16 {
        return None;
    }
    let mut at = 8;
    let mut sum = 0xef;
    for _ in 0..segments {
        let length = number(at + 4)?;
        sum = flash.get(at + 8..at + 8 + length)?.iter().fold(sum, |sum, byte| sum ^ byte);
        at += 8 + length;
    }
    // The checksum is the last byte of the next whole 16.
    let checksum = *flash.get((at + 1).next_multiple_of(16) - 1)?;
    (checksum == sum).then_some(())
}

/// Returns an image that starts: one segment of these bytes.
pub fn image(segment: &[u8]) -> Vec<u8> {
    let mut image = vec![0xe9, 1, 0, 0x20];
    image.extend(0x4010_0004_u32.to_le_bytes());
    image.extend(0x4010_0000_u32.to_le_bytes());
    image.extend((segment.len() as u32).to_le_bytes());
    image.extend(segment);
    let sum = segment.iter().fold(0xef, |sum, byte| sum ^ byte);
    image.resize((image.len() + 1).next_multiple_of(16), 0);
    if let Some(last) = image.last_mut() {
        *last = sum;
    }
    image
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
