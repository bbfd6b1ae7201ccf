//! The program's two files for flash, made of the linker's ELF file.
//!
//! The layout is "version 1" of the chip's ROM loader, byte for byte as `esptool elf2image --version 1`
//! writes it:
//!
//! | address | what |
//! |---|---|
//! | `0x00000` | 8 bytes of header, then what the ROM loader copies into RAM: address, length and bytes of each segment; zeros; the check sum as the last byte of a multiple of 16 |
//! | as linked, `0x10000` | the code that runs from flash, without any header |
//!
//! The header: magic `0xe9`, number of segments, flash mode, flash size (upper half) and frequency (lower
//! half), entry point. The check sum is the XOR of `0xef` and all bytes of the segments, not of the header.

use object::read::elf::{ElfFile32, FileHeader, SectionHeader};
use object::{Endianness, elf};

use crate::program::{CHECKSUM, MAGIC, MAX_SEGMENTS};
use crate::{Error, Region, Result};

/// The addresses at which the chip sees its flash.
const FLASH_WINDOW: std::ops::Range<u32> = 0x4020_0000..0x4030_0000;
/// More than the flash that the chip sees and its RAM together: sections with more in all lie over each other.
const MAX_BYTES: u64 = 2 << 20;
/// Memories of the chip. Sections that touch are one segment, unless they lie in different ones.
const MEMORIES: [std::ops::Range<u32>; 4] = [
    0x3ff0_0000..0x3ff0_0010,
    0x3ffe_8000..0x4000_0000,
    0x4010_0000..0x4010_8000,
    0x4020_1010..0x402e_1010,
];

/// The way in which the chip reads its flash: number of wires for data and for the address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum FlashMode {
    /// Four wires; fast, but not wired on every module.
    Qio = 0,
    /// Four wires for data only.
    Qout = 1,
    /// Two wires: works on nearly every module.
    Dio = 2,
    /// Two wires for data only: works on all, also on the ESP8285.
    Dout = 3,
}

/// The clock of the flash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum FlashFrequency {
    /// 40 MHz.
    Mhz40 = 0,
    /// 26 MHz.
    Mhz26 = 1,
    /// 20 MHz.
    Mhz20 = 2,
    /// 80 MHz.
    Mhz80 = 0xf,
}

/// The size of the flash that the program reckons with. A larger chip is no harm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FlashSize {
    /// 512 KB. The ESP8266_NONOS_SDK 3.x refuses to run with it.
    Kb512,
    /// 1 MB.
    Mb1,
    /// 2 MB, as two halves of 512 KB each are used.
    Mb2,
    /// 4 MB, likewise.
    Mb4,
}

impl FlashSize {
    /// All of them, the smallest first.
    pub const ALL: [Self; 4] = [Self::Kb512, Self::Mb1, Self::Mb2, Self::Mb4];

    /// In bytes.
    pub const fn bytes(self) -> u32 {
        match self {
            Self::Kb512 => 512 * 1024,
            Self::Mb1 => 1024 * 1024,
            Self::Mb2 => 2 * 1024 * 1024,
            Self::Mb4 => 4 * 1024 * 1024,
        }
    }

    /// The upper half of byte 3 of the header: `enum flash_size_map` of the SDK's `user_interface.h`.
    const fn code(self) -> u8 {
        match self {
            Self::Kb512 => 0,
            Self::Mb1 => 2,
            Self::Mb2 => 3,
            Self::Mb4 => 4,
        }
    }
}

/// The flash, as the header describes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlashParameters {
    /// The way in which it is read.
    pub mode: FlashMode,
    /// Its clock.
    pub frequency: FlashFrequency,
    /// The size that the program reckons with. Programs over the ESP8266_NONOS_SDK 3.x do not start
    /// if it is another one than they were compiled for: see [`SystemSectors`](super::SystemSectors).
    pub size: FlashSize,
}

/// A program, ready for flash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// For address 0: header, and what is copied into RAM.
    pub boot: Region,
    /// The code that runs from flash, if there is any.
    pub irom: Option<Region>,
}

/// A segment while it grows.
struct Segment {
    address: u32,
    bytes: Vec<u8>,
}

impl Image {
    /// Makes the image from the linker's ELF file.
    ///
    /// # Errors
    /// An [`Error`] if it is no such file, or nothing that the ROM loader could start.
    pub fn from_elf(elf: &[u8], flash: FlashParameters) -> Result<Self> {
        let (entry, sections) = sections(elf)?;
        let mut segments = merged(sections);
        if segments.len() > usize::from(MAX_SEGMENTS) {
            return Err(bad(format!(
                "the program has {} segments; the ESP8266 takes {MAX_SEGMENTS}",
                segments.len()
            )));
        }
        let in_flash = |segment: &Segment| FLASH_WINDOW.contains(&segment.address);
        let irom = segments.iter().position(in_flash).map(|at| segments.remove(at));
        if segments.iter().any(in_flash) {
            return Err(bad("the program's code in flash is in more than one piece"));
        }
        let mut boot = vec![MAGIC, segments.len() as u8, 0, 0];
        boot.extend(entry.to_le_bytes());
        set_parameters(&mut boot, flash);
        let mut checksum = CHECKSUM;
        for Segment { address, bytes } in &segments {
            boot.extend(address.to_le_bytes());
            boot.extend((bytes.len() as u32).to_le_bytes());
            boot.extend(bytes);
            checksum = bytes.iter().fold(checksum, |sum, byte| sum ^ byte);
        }
        boot.resize(boot.len() | 15, 0);
        boot.push(checksum);
        let region = |address: u32, bytes| Region {
            name: format!("esp8266-{address:#07x}.bin"),
            address,
            bytes,
        };
        let boot = region(0, boot);
        let irom = irom.map(|s| region(s.address - FLASH_WINDOW.start, s.bytes));
        if irom.as_ref().is_some_and(|irom| boot.end() > irom.address.into()) {
            // The emulator's program, too: its code begins where the chip's flash does.
            return Err(bad("the code in flash overlaps what is copied into RAM"));
        }
        Ok(Self { boot, irom })
    }

    /// Its parts, in the order of their addresses.
    pub fn into_regions(self) -> Vec<Region> {
        let mut regions = vec![self.boot];
        regions.extend(self.irom);
        regions
    }
}

/// Changes what the header of a finished image says of the flash. Do so before hashing it. Nothing else
/// in the image depends on it.
///
/// # Errors
/// An [`Error`] if these bytes do not begin with the header of an image.
pub fn patch(image: &mut [u8], flash: FlashParameters) -> Result<()> {
    if image.len() < 8 || image[0] != MAGIC {
        return Err(bad("this is not an image for the ESP8266's address 0"));
    }
    set_parameters(image, flash);
    Ok(())
}

/// Returns the flash that an image's header describes; `None` if it is not an image, or has an unknown value.
pub fn parameters(image: &[u8]) -> Option<FlashParameters> {
    let [MAGIC, _, mode, rest, ..] = *image else { return None };
    let mode = [FlashMode::Qio, FlashMode::Qout, FlashMode::Dio, FlashMode::Dout]
        .into_iter()
        .find(|known| *known as u8 == mode)?;
    let frequency = [FlashFrequency::Mhz40, FlashFrequency::Mhz26, FlashFrequency::Mhz20]
        .into_iter()
        .chain([FlashFrequency::Mhz80])
        .find(|known| *known as u8 == rest & 15)?;
    let size = FlashSize::ALL.into_iter().find(|known| known.code() == rest >> 4)?;
    Some(FlashParameters { mode, frequency, size })
}

fn set_parameters(image: &mut [u8], flash: FlashParameters) {
    image[2] = flash.mode as u8;
    image[3] = flash.size.code() << 4 | flash.frequency as u8;
}

/// Entry point, and what the sections with content hold, in the order of the file.
fn sections(elf: &[u8]) -> Result<(u32, Vec<Segment>)> {
    let broken = |e: object::Error| bad(format!("the program is not a whole ELF file: {e}"));
    let file: ElfFile32<'_, Endianness> = ElfFile32::parse(elf).map_err(broken)?;
    let endian = file.endian();
    let header = file.elf_header();
    if header.e_machine(endian) != elf::EM_XTENSA || endian != Endianness::Little {
        return Err(bad("the program is for another chip than the ESP8266"));
    }
    let loaded = |section: &&_| {
        let section: &<elf::FileHeader32<Endianness> as FileHeader>::SectionHeader = section;
        let kind = matches!(
            section.sh_type(endian),
            elf::SHT_PROGBITS | elf::SHT_INIT_ARRAY | elf::SHT_FINI_ARRAY | elf::SHT_PREINIT_ARRAY
        );
        kind && section.sh_addr(endian) != 0 && section.sh_size(endian) > 0
    };
    let table = file.elf_section_table();
    // Before anything is copied: the same bytes of the file may be in any number of sections.
    let sizes = table.iter().filter(loaded).map(|section| u64::from(section.sh_size(endian)));
    let sum: u64 = sizes.sum();
    if sum > MAX_BYTES {
        return Err(bad(format!(
            "the program's sections have {sum} bytes in all; the ESP8266 has memory for {MAX_BYTES} at most"
        )));
    }
    let mut segments = Vec::new();
    for section in table.iter().filter(loaded) {
        let mut bytes = section.data(endian, elf).map_err(broken)?.to_vec();
        // The ROM loader copies words.
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        segments.push(Segment { address: section.sh_addr(endian), bytes });
    }
    if segments.is_empty() {
        return Err(bad("the program has nothing to load"));
    }
    Ok((header.e_entry(endian), segments))
}

/// Neighbours in file and memory become one.
fn merged(sections: Vec<Segment>) -> Vec<Segment> {
    let memory = |address| MEMORIES.iter().position(|memory| memory.contains(&address));
    let mut segments: Vec<Segment> = Vec::new();
    // The memory of the *last section* counts: one that begins in front of a memory is in none.
    let mut last = None;
    for section in sections {
        let here = (memory(section.address), section.address as usize + section.bytes.len());
        match segments.last_mut() {
            Some(segment) if last == Some((here.0, section.address as usize)) => {
                segment.bytes.extend(section.bytes);
            }
            _ => segments.push(section),
        }
        last = Some(here);
    }
    segments
}

fn bad(cause: impl Into<String>) -> Error {
    Error::new(cause, "build it again with `pblink build esp8266`")
}
