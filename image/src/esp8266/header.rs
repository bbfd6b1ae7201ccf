//! The header of an image: the chip's boot program reads from it how the flash is connected.

use super::elf::{FlashFrequency, FlashMode, MAGIC};

/// Changes to the header of an image; `None` leaves what is there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Header {
    /// The way in which the flash is read.
    pub mode: Option<FlashMode>,
    /// The clock of the flash.
    pub frequency: Option<FlashFrequency>,
    /// The size of the flash.
    pub size: Size,
}

/// The size of flash in the header. Programs keep their settings at the end of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Size {
    /// The size that is in the image: programs over the ESP8266_NONOS_SDK 3.x start with no other size than the
    /// one that they were compiled for.
    #[default]
    Keep,
    /// The size of the board's flash: MicroPython and older programs want it.
    OfBoard,
    /// A size in bytes.
    Bytes(u32),
}

/// Returns true if bytes begin like an image from which the chip's ROM starts a program: magic, and 1 to 16
/// segments.
pub fn is_program(bytes: &[u8]) -> bool {
    bytes.len() >= 8 && bytes[0] == MAGIC && (1..=16).contains(&bytes[1])
}

/// Writes the header of an image at address 0, for a board with `board` bytes of flash; other bytes are left
/// alone. The image's checksum does not cover the header.
pub fn patch(image: &mut [u8], header: &Header, board: u32) {
    let [MAGIC, _, mode, size, ..] = image else { return };
    if let Some(new) = header.mode {
        *mode = new as u8;
    }
    if let Some(frequency) = header.frequency {
        *size = *size & 0xf0 | frequency as u8;
    }
    let bytes = match header.size {
        Size::Keep => return,
        Size::OfBoard => board,
        Size::Bytes(bytes) => bytes,
    };
    if let Some((code, _)) = SIZES.iter().find(|known| known.1 == bytes) {
        *size = *size & 0x0f | code << 4;
    }
}

/// The size of flash that an image at address 0 wants, in bytes; `None` if it is not an image.
pub fn wanted_size(image: &[u8]) -> Option<u32> {
    let [MAGIC, _, _, size, ..] = image else { return None };
    SIZES.iter().find(|known| known.0 == size >> 4).map(|known| known.1)
}

/// The header's numbers for sizes of flash in bytes.
const SIZES: [(u8, u32); 7] = [
    (0, 512 << 10),
    (1, 256 << 10),
    (2, 1 << 20),
    (3, 2 << 20),
    (4, 4 << 20),
    (8, 8 << 20),
    (9, 16 << 20),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_asked_for_changes() {
        let mut image = [0xe9, 4, 0, 0x2f, 1, 2, 3, 4];
        patch(&mut image, &Header::default(), 4 << 20);
        assert_eq!(image, [0xe9, 4, 0, 0x2f, 1, 2, 3, 4]);
        assert_eq!(wanted_size(&image), Some(1 << 20));
        patch(&mut image, &Header { size: Size::OfBoard, ..Header::default() }, 4 << 20);
        assert_eq!(image, [0xe9, 4, 0, 0x4f, 1, 2, 3, 4]);
        let size = Size::Bytes(16 << 20);
        let header =
            Header { mode: Some(FlashMode::Dio), frequency: Some(FlashFrequency::Mhz40), size };
        patch(&mut image, &header, 4 << 20);
        assert_eq!(image, [0xe9, 4, 2, 0x90, 1, 2, 3, 4]);
        assert_eq!(wanted_size(&image), Some(16 << 20));
    }

    #[test]
    fn what_is_no_image_stays_as_it_is() {
        for mut bytes in [vec![0xea, 4, 0, 0], vec![0xff; 4], vec![0xe9, 1, 2], vec![]] {
            let before = bytes.clone();
            patch(&mut bytes, &Header { size: Size::OfBoard, ..Header::default() }, 4 << 20);
            assert_eq!((wanted_size(&bytes), &bytes), (None, &before));
        }
    }
}
