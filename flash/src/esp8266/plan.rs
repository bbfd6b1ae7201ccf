//! The pieces to write and their addresses, checked before anything is erased.

use pblink_image::esp8266::header::{self, Header};
use pblink_image::program::is_program;

use crate::pieces::{Piece, pieces, refuse, size_text};
use crate::{Region, Result};

/// The largest flash.
const LARGEST: (u32, &str) = (16 << 20, "the most that an ESP8266's header knows");

/// Returns the regions as pieces, in the order of their addresses, with the header of the program
/// written. `flash_size`: of the board, in bytes; `None`: it is not known yet, and may be the largest.
///
/// # Errors
/// [`Kind::Image`]: one is empty, does not begin at a sector, overlaps another, or does not fit; what is at
/// address 0 is not a program.
pub fn plan(regions: &[Region], flash_size: Option<u32>, header: &Header) -> Result<Vec<Piece>> {
    let most = flash_size.unwrap_or(LARGEST.0);
    if header.is_asked_for() && regions.iter().all(|region| region.address != 0) {
        return refuse(
            "there is no program for address 0, in whose header the flash could be described"
                .to_owned(),
            "name that program, too, or leave out --header-size, --flash-mode and --flash-freq; nothing was erased",
        );
    }
    pieces(regions, flash_size, LARGEST, |region| {
        let mut bytes = region.bytes.clone();
        if region.address == 0 {
            check(region)?;
            header::patch(&mut bytes, header, most);
            fits(&region.name, &bytes, header, most)?;
        }
        Ok(bytes)
    })
}

/// Checks that a region for address 0 is a program that starts.
fn check(Region { name, bytes, .. }: &Region) -> Result<()> {
    if !is_program(bytes) {
        return if bytes.starts_with(b"\x7fELF") {
            refuse(
                format!("{name} is an ELF file, and no image of a program for the ESP8266"),
                "flash what `pblink build` makes of it, or `esptool elf2image`; nothing was erased",
            )
        } else {
            refuse(
                format!("{name} is no ESP8266 program, and only a program starts at address 0"),
                "name an image for the ESP8266 (.bin), or the file's address behind an @; nothing was \
                 erased",
            )
        };
    }
    match pblink_image::esp8266::check(bytes) {
        Ok(()) => Ok(()),
        Err(flaw) => refuse(
            format!("{name} would not start: {flaw}"),
            "download or build it again, for the ESP8266; nothing was erased",
        ),
    }
}

/// Checks that a program whose header is written speaks of no more flash than the board has.
fn fits(name: &str, bytes: &[u8], header: &Header, most: u32) -> Result<()> {
    let Some(wanted) = header::wanted_size(bytes).filter(|&size| size > most) else {
        return Ok(());
    };
    let (wanted, board) = (size_text(wanted), size_text(most));
    match header.size.is_asked_for() {
        true => refuse(
            format!("the header would speak of {wanted} of flash, and this board has {board}"),
            "leave --header-size out, or give it the size of the board; nothing was erased",
        ),
        false => refuse(
            format!("{name} was made for {wanted} of flash, and this board has {board}"),
            "build it for this size of flash, or take a board with more; nothing was erased",
        ),
    }
}

/// Returns the number of sectors to ask the ROM for, so that it erases `count` from sector `first` on. It
/// erases those up to the next block twice over and counts them as not done: that many too many are erased
/// at the end (<https://github.com/espressif/esptool/issues/33>).
/// `None`: no number gives exactly that many.
pub fn rom_erase_count(first: u32, count: u32) -> Option<u32> {
    let to_block = 16 - first % 16;
    if count >= 2 * to_block {
        Some(count - to_block)
    } else {
        count.is_multiple_of(2).then_some(count / 2)
    }
}

#[cfg(test)]
mod tests {
    use pblink_image::esp8266::FlashMode;
    use pblink_image::esp8266::header::Size;

    use super::*;
    use crate::Kind;

    /// Returns a region that is an image of one segment, if it is long enough, with whatever behind it.
    fn region(name: &str, address: u32, length: usize) -> Region {
        let mut bytes = vec![0xe9, 1, 0, 0x09, 0, 0, 0x10, 0x40, 0, 0, 0x10, 0x40, 4, 0, 0, 0];
        bytes.resize(length.max(32), 0xe9);
        bytes[16..32].fill(0);
        bytes[31] = 0xef;
        bytes.truncate(length);
        Region { name: name.to_owned(), address, bytes }
    }

    fn refused(regions: &[Region]) -> String {
        let error = plan(regions, Some(512 << 10), &Header::default()).unwrap_err();
        assert_eq!(error.kind(), Kind::Image);
        error.cause().to_owned()
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        assert!(refused(&[region("a", 0, (512 << 10) + 1)]).contains("the 512 KB of flash"));
        assert!(refused(&[region("a", 0x7f000, 4097)]).contains("does not fit"));
        assert!(refused(&[region("a", 0xffff_f000, 5000)]).contains("does not fit"));
        assert!(refused(&[region("a", 0, 0)]).contains("is empty"));
        assert!(refused(&[region("a", 0x100, 4)]).contains("sector"));
        let overlap = refused(&[region("b", 0x1000, 10), region("a", 0, 4097)]);
        assert_eq!(overlap, "a and b at 0x1000 overlap");
        let mut large = region("a", 0, 100);
        large.bytes[3] = 0x40;
        assert_eq!(refused(&[large]), "a was made for 4 MB of flash, and this board has 512 KB");
    }

    #[test]
    fn only_a_program_belongs_at_address_0() {
        let file =
            |bytes: &[u8], address| Region { name: "a".into(), address, bytes: bytes.to_vec() };
        for bytes in
            [&b"PK\x03\x04some zip"[..], &[0xe9; 64], &[0xe9, 0, 0, 0, 0, 0, 0, 0], &[0xe9, 1]]
        {
            assert!(refused(&[file(bytes, 0)]).contains("no ESP8266 program"), "{bytes:?}");
            assert!(plan(&[file(bytes, 0x1000)], Some(512 << 10), &Header::default()).is_ok());
        }
        let elf = [&b"\x7fELF"[..], &[0; 1 << 20]].concat();
        assert!(refused(&[file(&elf, 0)]).contains("is an ELF file"));
    }

    #[test]
    fn what_the_chip_would_not_start_is_refused() {
        let whole = region("a", 0, 4096);
        let file = |bytes: &[u8]| Region { bytes: bytes.to_vec(), ..whole.clone() };
        assert!(refused(&[file(&whole.bytes[..20])]).contains("a would not start: it is cut off"));
        let mut damaged = whole.bytes.clone();
        damaged[16] ^= 1;
        assert!(refused(&[file(&damaged)]).contains("check sum"));
        let mut other = whole.bytes.clone();
        other[8..12].copy_from_slice(&0x3f40_0020_u32.to_le_bytes());
        assert!(refused(&[file(&other)]).contains("another chip"));
        // Elsewhere it is nobody's business.
        let elsewhere = Region { address: 0x1000, ..file(&damaged) };
        assert!(plan(&[elsewhere], Some(512 << 10), &Header::default()).is_ok());
    }

    #[test]
    fn a_header_that_the_user_asks_for_has_a_program_and_fits_the_board() {
        let size =
            |megabytes: u32| Header { size: Size::Bytes(megabytes << 20), ..Header::default() };
        let why = |regions: &[Region], header: &Header| {
            plan(regions, Some(4 << 20), header).unwrap_err().cause().to_owned()
        };
        let program = region("a", 0, 4096);
        let large = why(std::slice::from_ref(&program), &size(8));
        assert_eq!(large, "the header would speak of 8 MB of flash, and this board has 4 MB");
        let mode = Header { mode: Some(FlashMode::Dout), ..Header::default() };
        for header in [size(1), mode] {
            let none = why(&[region("b", 0x1000, 4096)], &header);
            assert!(none.contains("no program for address 0"), "{none}");
            assert!(plan(std::slice::from_ref(&program), Some(4 << 20), &header).is_ok());
        }
        let usual = Header { size: Size::Usual, ..Header::default() };
        assert!(plan(&[region("b", 0x1000, 4096)], Some(4 << 20), &usual).is_ok());
    }

    #[test]
    fn what_fits_is_sorted_padded_and_has_its_header() {
        let header = Header { size: Size::OfBoard, ..Header::default() };
        let regions = [region("b", 0x7f000, 4096), region("a", 0, 4095)];
        let pieces = plan(&regions, Some(512 << 10), &header).unwrap();
        assert_eq!((pieces[0].name.as_str(), pieces[0].bytes.len()), ("a", 4096));
        assert_eq!(pieces[0].bytes[3], 0x09, "512 KB is 0 in the upper half");
        assert_eq!(pieces[0].bytes[4095], 0xff);
        assert_eq!(pieces[1].bytes, regions[0].bytes, "it is no program at 0");
    }

    /// Returns the number of sectors that the ROM erases when it is asked for `asked`.
    fn rom_erases(first: u32, asked: u32) -> u32 {
        asked + asked.min(16 - first % 16)
    }

    #[test]
    fn the_rom_erases_exactly_what_was_meant() {
        for first in 0..40 {
            for count in 0..200 {
                match rom_erase_count(first, count) {
                    Some(asked) => assert_eq!(rom_erases(first, asked), count, "{first} {count}"),
                    None => assert!((0..300).all(|asked| rom_erases(first, asked) != count)),
                }
            }
        }
    }
}
