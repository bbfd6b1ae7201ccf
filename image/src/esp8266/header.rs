//! The header of an image: the chip's boot program reads from it how the flash is connected.

use std::fmt;
use std::str::FromStr;

use super::elf::{FlashFrequency, FlashMode};
use crate::program::MAGIC;

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
    /// The size of the board's flash, but at most [`Size::MOST`]: MicroPython and older programs want it, and many of
    /// them restart for ever with a larger one.
    Usual,
    /// The size of the board's flash, whatever it is.
    OfBoard,
    /// A size in bytes.
    Bytes(u32),
    /// A size, and how it is divided.
    Map(FlashMap),
}

impl Size {
    /// The most bytes that [`Size::Usual`] writes. Espressif's SDK knows larger sizes only for programs that are made for
    /// them.
    pub const MOST: u32 = 4 << 20;

    /// Returns true if it is a certain one, whatever the board has.
    pub const fn is_asked_for(self) -> bool {
        matches!(self, Self::Bytes(_) | Self::Map(_))
    }
}

impl Header {
    /// Returns true if something certain is to stand in it, which needs a program that has it.
    pub fn is_asked_for(&self) -> bool {
        self.size.is_asked_for() || self.mode.is_some() || self.frequency.is_some()
    }
}

/// A size of flash, and the halves in which it holds two programs: `enum flash_size_map` of the SDK's
/// `user_interface.h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlashMap {
    /// Its number in the header.
    code: u8,
    /// In bytes.
    bytes: u32,
    /// Its name, as esptool has it where it has one: with a half of 1 MB it is called c1.
    name: &'static str,
}

/// All that a header can say. Of those with one size the first is the usual one.
const MAPS: [FlashMap; 10] = {
    const fn map(code: u8, bytes: u32, name: &'static str) -> FlashMap {
        FlashMap { code, bytes, name }
    }
    [
        map(0, 512 << 10, "512KB"),
        map(1, 256 << 10, "256KB"),
        map(2, 1 << 20, "1MB"),
        map(3, 2 << 20, "2MB"),
        map(4, 4 << 20, "4MB"),
        map(5, 2 << 20, "2MB-c1"),
        map(6, 4 << 20, "4MB-c1"),
        map(7, 4 << 20, "4MB-c2"),
        map(8, 8 << 20, "8MB"),
        map(9, 16 << 20, "16MB"),
    ]
};

impl FlashMap {
    /// Returns the one that the header of an image names; `None` if it is not an image.
    pub fn of(image: &[u8]) -> Option<Self> {
        let [MAGIC, _, _, size, ..] = image else { return None };
        MAPS.into_iter().find(|map| map.code == size >> 4)
    }

    /// Returns the size in bytes.
    pub const fn bytes(self) -> u32 {
        self.bytes
    }

    /// Returns the map of another size with the same halves if there is one, else the usual one of that size.
    fn with_bytes(self, bytes: u32) -> Option<Self> {
        let suffix = |map: &Self| map.name.split_once('-').map(|(_, suffix)| suffix);
        let same = |map: &&Self| map.bytes == bytes && suffix(map) == suffix(&self);
        let usual = |map: &&Self| map.bytes == bytes;
        MAPS.iter().find(same).or_else(|| MAPS.iter().find(usual)).copied()
    }
}

impl fmt::Display for FlashMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl FromStr for FlashMap {
    type Err = String;

    /// Parses a size as esptool writes it, such as `4MB` or `2MB-c1`.
    fn from_str(text: &str) -> Result<Self, String> {
        let known = MAPS.into_iter().find(|map| map.name.eq_ignore_ascii_case(text.trim()));
        known.ok_or_else(|| {
            let names: Vec<_> = MAPS.iter().map(|map| map.name).collect();
            format!("a header knows the sizes {}", names.join(", "))
        })
    }
}

/// Writes the header of an image at address 0, for a board with `board` bytes of flash; other bytes are left
/// alone. The image's checksum does not cover the header.
///
/// A size that the header has already stays as it is, with its map; another one keeps the map where it can.
pub fn patch(image: &mut [u8], header: &Header, board: u32) {
    let old = FlashMap::of(image);
    let [MAGIC, _, mode, size, ..] = image else { return };
    if let Some(new) = header.mode {
        *mode = new as u8;
    }
    if let Some(frequency) = header.frequency {
        *size = *size & 0xf0 | frequency as u8;
    }
    let bytes = match header.size {
        Size::Keep => return,
        Size::Usual => board.min(Size::MOST),
        Size::OfBoard => board,
        Size::Bytes(bytes) => bytes,
        Size::Map(map) => {
            *size = *size & 0x0f | map.code << 4;
            return;
        }
    };
    if old.is_some_and(|map| map.bytes == bytes) {
        return;
    }
    // A number that nobody knows has no map to keep.
    if let Some(map) = old.unwrap_or(MAPS[0]).with_bytes(bytes) {
        *size = *size & 0x0f | map.code << 4;
    }
}

/// The size of flash that an image at address 0 wants, in bytes; `None` if it is not an image.
pub fn wanted_size(image: &[u8]) -> Option<u32> {
    FlashMap::of(image).map(FlashMap::bytes)
}

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

    /// Returns the size byte of an image that had `old`, on a board with this many megabytes.
    fn patched(old: u8, size: Size, board: u32) -> u8 {
        let mut image = [0xe9, 4, 0, old << 4 | 0xf, 1, 2, 3, 4];
        patch(&mut image, &Header { size, ..Header::default() }, board << 20);
        assert_eq!(image[3] & 0xf, 0xf, "the clock stays");
        image[3] >> 4
    }

    #[test]
    fn more_than_4_mb_stands_in_a_header_only_if_it_is_asked_for() {
        for (board, usual, all) in [(1, 2, 2), (2, 3, 3), (4, 4, 4), (8, 4, 8), (16, 4, 9)] {
            for old in [0, 2, 4, 8, 9] {
                assert_eq!(patched(old, Size::Usual, board), usual, "{old} on {board} MB");
            }
            assert_eq!(patched(0, Size::OfBoard, board), all);
        }
        assert_eq!(patched(0, Size::Bytes(8 << 20), 16), 8);
    }

    #[test]
    fn the_halves_of_the_flash_stay_as_they_are() {
        for (old, size, board, new) in [
            (5, Size::Usual, 2, 5),
            (6, Size::Usual, 4, 6),
            (7, Size::OfBoard, 4, 7),
            (5, Size::Usual, 16, 6),
            (6, Size::Bytes(2 << 20), 4, 5),
            (6, Size::Usual, 1, 2),
            (5, Size::Map("2MB".parse().unwrap()), 2, 3),
            (0, Size::Map("4mb-c1".parse().unwrap()), 4, 6),
            (5, Size::Keep, 16, 5),
        ] {
            assert_eq!(patched(old, size, board), new, "{old} {size:?} {board}");
        }
        for code in 0..=9 {
            let map = FlashMap::of(&[0xe9, 1, 0, code << 4]).unwrap();
            assert_eq!((map.code, map.to_string().parse()), (code, Ok(map)));
        }
        let unknown = "3MB".parse::<FlashMap>().unwrap_err();
        assert!(unknown.contains("512KB") && unknown.contains("2MB-c1"), "{unknown}");
        assert_eq!(FlashMap::of(&[0xe9, 1, 0, 0xa0]), None);
    }
}
