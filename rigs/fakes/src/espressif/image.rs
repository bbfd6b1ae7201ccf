//! Images: a header, segments, and a check sum at the end of the next whole 16 bytes. Behind a first header of 8 bytes,
//! which all chips have, newer chips have one of 16 more.
//!
//! Source: "Firmware Image Format" in the documentation of esptool.

/// The first byte of an image.
const MAGIC: u8 = 0xe9;
/// The most segments that an image has.
const SEGMENTS: u8 = 16;
/// The value with which the check sum begins.
const SEED: u8 = 0xef;

/// The bytes of an image that starts at the beginning of others.
#[derive(Debug)]
pub struct Image {
    /// Addresses and contents of its segments.
    pub segments: Vec<(u32, Vec<u8>)>,
    /// Its length in bytes with the check sum, and without what may come behind.
    pub length: usize,
    /// The check sum that it should have, and the one that it has.
    pub sums: (u8, u8),
}

impl Image {
    /// Reads the image whose headers have this many bytes in all; `None` if it has no whole segments.
    pub fn read(bytes: &[u8], headers: usize) -> Option<Self> {
        let number = |at: usize| -> Option<u32> {
            Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
        };
        let (magic, count) = (*bytes.first()?, *bytes.get(1)?);
        if magic != MAGIC || count == 0 || count > SEGMENTS {
            return None;
        }
        let (mut at, mut segments) = (headers, Vec::new());
        for _ in 0..count {
            let (address, length) = (number(at)?, number(at + 4)? as usize);
            segments.push((address, bytes.get(at + 8..(at + 8).checked_add(length)?)?.to_vec()));
            at += 8 + length;
        }
        let length = (at + 1).next_multiple_of(16);
        let sums = (sum(&segments), *bytes.get(length - 1)?);
        Some(Self { segments, length, sums })
    }

    /// Returns true if its check sum is right.
    pub fn is_intact(&self) -> bool {
        self.sums.0 == self.sums.1
    }
}

fn sum(segments: &[(u32, Vec<u8>)]) -> u8 {
    segments.iter().flat_map(|(_, bytes)| bytes).fold(SEED, |sum, byte| sum ^ byte)
}

/// Returns an image with these segments behind these headers, of which the first two bytes are replaced.
pub fn make(headers: &[u8], segments: &[(u32, Vec<u8>)]) -> Vec<u8> {
    let mut image = headers.to_vec();
    (image[0], image[1]) = (MAGIC, segments.len() as u8);
    for (address, bytes) in segments {
        image.extend(address.to_le_bytes());
        image.extend((bytes.len() as u32).to_le_bytes());
        image.extend(bytes);
    }
    image.resize((image.len() + 1).next_multiple_of(16), 0);
    if let Some(last) = image.last_mut() {
        *last = sum(segments);
    }
    image
}
