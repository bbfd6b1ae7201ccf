//! The memory of the STM32F405RG, and where program and settings lie in it (RM0090 §2.3 and table 5).
//!
//! All that need an address take it from here: the firmware, the tools, the fakes of the tests, and
//! the linker, by way of [`MemoryX`].

use core::fmt;

/// A piece of the chip's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Area {
    /// Address of its first byte.
    pub start: u32,
    /// Its length in bytes.
    pub size: u32,
}

impl Area {
    /// Returns the first address behind it.
    pub const fn end(self) -> u32 {
        self.start + self.size
    }
}

/// All of the flash.
pub const FLASH: Area = Area { start: 0x0800_0000, size: 1 << 20 };

/// The RAM for data and stack: 112 + 16 KB in one piece, without the 64 KB of CCM.
pub const RAM: Area = Area { start: 0x2000_0000, size: 128 << 10 };

/// The sectors of the flash, in the order of their addresses: each can only be erased as a whole.
pub const SECTORS: [Area; 12] = {
    // Number and size of the sectors of one kind.
    let kinds: [(usize, u32); 3] = [(4, 16 << 10), (1, 64 << 10), (7, 128 << 10)];
    let mut sectors = [Area { start: 0, size: 0 }; 12];
    let (mut start, mut number, mut kind) = (FLASH.start, 0, 0);
    while kind < kinds.len() {
        let (count, size) = kinds[kind];
        let end = number + count;
        while number < end {
            sectors[number] = Area { start, size };
            start += size;
            number += 1;
        }
        kind += 1;
    }
    assert!(start == FLASH.end());
    sectors
};

/// The number of the settings' sector.
pub const SETTINGS_SECTOR: usize = SECTORS.len() - 1;

/// The sector of the settings: new firmware keeps it, and new settings keep the firmware.
pub const SETTINGS: Area = SECTORS[SETTINGS_SECTOR];

/// The flash that a program may use. The chip starts with the vector table at its beginning (RM0090
/// §2.4, boot from main flash).
pub const PROGRAM: Area = Area { start: FLASH.start, size: SETTINGS.start - FLASH.start };

const _: () = assert!(crate::settings::MAX_SIZE <= SETTINGS.size as usize);

/// The linker script `memory.x` that `cortex-m-rt` includes, as [`Display`](fmt::Display).
#[derive(Debug, Clone, Copy, Default)]
pub struct MemoryX;

impl fmt::Display for MemoryX {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kb = |area: Area| area.size >> 10;
        write!(
            f,
            "\
/* STM32F405RG (RM0090 §2.3): {flash} KB of flash, of which the last sector ({number}, {sector} KB at {settings:#010x})
   holds the settings, and 112 + 16 KB of RAM in one piece. The 64 KB of CCM are not used. */
MEMORY
{{
  FLASH : ORIGIN = {program:#010x}, LENGTH = {length}K
  RAM   : ORIGIN = {ram:#010x}, LENGTH = {ram_length}K
}}

/* What program this is, where tools look for it: right behind the vectors. Code begins behind it. */
SECTIONS
{{
  .pblink_identity : {{ KEEP(*(.pblink_identity)); . = ALIGN(4); }} > FLASH
}} INSERT AFTER .vector_table;
_stext = ADDR(.pblink_identity) + SIZEOF(.pblink_identity);
",
            flash = kb(FLASH),
            number = SETTINGS_SECTOR,
            sector = kb(SETTINGS),
            settings = SETTINGS.start,
            program = PROGRAM.start,
            length = kb(PROGRAM),
            ram = RAM.start,
            ram_length = kb(RAM),
        )
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::string::ToString;

    use super::*;

    #[test]
    fn the_sectors_are_those_of_the_manual() {
        let table = [
            (0x0800_0000, 0x4000),
            (0x0800_4000, 0x4000),
            (0x0800_8000, 0x4000),
            (0x0800_c000, 0x4000),
            (0x0801_0000, 0x1_0000),
            (0x0802_0000, 0x2_0000),
            (0x0804_0000, 0x2_0000),
            (0x0806_0000, 0x2_0000),
            (0x0808_0000, 0x2_0000),
            (0x080a_0000, 0x2_0000),
            (0x080c_0000, 0x2_0000),
            (0x080e_0000, 0x2_0000),
        ];
        assert_eq!(SECTORS.map(|sector| (sector.start, sector.size)), table);
        assert_eq!((SETTINGS.start, SETTINGS.end()), (0x080e_0000, 0x0810_0000));
        assert_eq!((PROGRAM.start, PROGRAM.size), (0x0800_0000, 896 << 10));
    }

    #[test]
    fn the_linker_script_has_these_addresses() {
        let text = MemoryX.to_string();
        for line in [
            "/* STM32F405RG (RM0090 §2.3): 1024 KB of flash, of which the last sector (11, 128 KB at 0x080e0000)",
            "  FLASH : ORIGIN = 0x08000000, LENGTH = 896K",
            "  RAM   : ORIGIN = 0x20000000, LENGTH = 128K",
            "  .pblink_identity : { KEEP(*(.pblink_identity)); . = ALIGN(4); } > FLASH",
            "} INSERT AFTER .vector_table;",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }
}
