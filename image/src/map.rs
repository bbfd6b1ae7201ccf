//! The memories of the STM32s that programs of ours run on, and where program and settings lie in them.
//!
//! All that need an address take it from here: the firmware, the tools, the fakes of the tests, and
//! the linker, by way of [`MemoryX`]. There is a [`Map`] for each kind of board.
//!
//! | kind | chip | flash | program | keys | settings | kept RAM |
//! |---|---|---|---|---|---|---|
//! | [`PYBOARD`] | STM32F405RG | 1024 KB | sectors 0 to 9, 768 KB | sector 10 | sector 11 | 16 KB of CCM |
//! | [`BLACK_PILL`] | STM32F411CE | 512 KB | sectors 0 to 5, 256 KB | sector 6 | sector 7 | the last 8 KB |
//! | [`NUCLEO_F446`] | STM32F446RE | 512 KB | sectors 0 to 5, 256 KB | sector 6 | sector 7 | the last 8 KB |

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

/// The address of the flash, and so of every program: the chips start with the vector table there (RM0090 §2.4, boot
/// from main flash).
pub const START: u32 = 0x0800_0000;

/// The RAM for data and stack, in one piece. The STM32F405 has 112 + 16 KB, and 64 KB of CCM beside it; the
/// STM32F411CE 128 KB (RM0383 §2.3); the STM32F446RE 112 + 16 KB (RM0390 §2.2).
const RAM: Area = Area { start: 0x2000_0000, size: 128 << 10 };

/// The RAM that a chip without CCM keeps: its end. The boot loader in ROM uses the beginning (AN2606).
const END_OF_RAM: Area = Area { start: RAM.end() - (8 << 10), size: 8 << 10 };

/// The memory of a kind of board.
#[derive(Debug, PartialEq, Eq)]
pub struct Map {
    /// Name of the kind, as in `board.kind` of `pblink.toml`.
    pub board: &'static str,
    /// Name of the board, for people.
    pub title: &'static str,
    /// Name of the chip.
    pub chip: &'static str,
    /// Name of the chip with its package, as debug probes want it.
    pub part: &'static str,
    /// Device numbers that the chip may have in DBGMCU_IDCODE, bits 0 to 11.
    pub devices: &'static [u32],
    /// Chapter of the manual that has this map.
    pub manual: &'static str,
    /// The sectors of the flash, in the order of their addresses: each can only be erased as a whole.
    pub sectors: &'static [Area],
    /// The RAM for data and stack, all of it.
    pub ram: Area,
    /// The RAM that no start of a program clears: what is in it survives every reset, but no loss of power. In CCM, which
    /// nothing else uses (RM0090 §2.3.1: the core alone reaches it), or the end of [`ram`](Self::ram).
    pub kept: Area,
    /// The number of sectors that a program may use, from the first on.
    program_sectors: usize,
}

/// Returns the sectors of a chip: 4 of 16 KB, 1 of 64 KB, the others of 128 KB.
const fn sectors<const N: usize>() -> [Area; N] {
    let mut sectors = [Area { start: 0, size: 0 }; N];
    let (mut start, mut number) = (START, 0);
    while number < N {
        let size = match number {
            0..4 => 16 << 10,
            4 => 64 << 10,
            _ => 128 << 10,
        };
        sectors[number] = Area { start, size };
        start += size;
        number += 1;
    }
    sectors
}

/// RM0090, table 5.
static MEGABYTE: [Area; 12] = sectors();
/// RM0383, table 4; RM0390, table 4.
static HALF_MEGABYTE: [Area; 8] = sectors();

/// The Pyboard v1.x.
pub static PYBOARD: Map = Map {
    board: "pyboard",
    title: "Pyboard v1.x",
    chip: "STM32F405RG",
    part: "STM32F405RGTx",
    // The STM32F405/407/415/417; their revision A says 0x411 (errata ES0182, "MCU device ID is incorrect").
    devices: &[0x413, 0x411],
    manual: "RM0090 §2.3",
    sectors: &MEGABYTE,
    ram: RAM,
    kept: Area { start: 0x1000_0000, size: 16 << 10 },
    program_sectors: 10,
};

/// The Black Pill of WeAct, and others like it.
pub static BLACK_PILL: Map = Map {
    board: "black-pill",
    title: "Black Pill",
    chip: "STM32F411CE",
    part: "STM32F411CEUx",
    // RM0383 §23.6.1.
    devices: &[0x431],
    manual: "RM0383 §2.3",
    sectors: &HALF_MEGABYTE,
    ram: RAM,
    kept: END_OF_RAM,
    program_sectors: 6,
};

/// The Nucleo-F446RE of ST.
pub static NUCLEO_F446: Map = Map {
    board: "nucleo-f446",
    title: "Nucleo-F446RE",
    chip: "STM32F446RE",
    part: "STM32F446RETx",
    // RM0390 §33.6.1.
    devices: &[0x421],
    manual: "RM0390 §2.2",
    sectors: &HALF_MEGABYTE,
    ram: RAM,
    kept: END_OF_RAM,
    program_sectors: 6,
};

/// The maps of all kinds.
pub static ALL: [&Map; 3] = [&PYBOARD, &BLACK_PILL, &NUCLEO_F446];

impl Map {
    /// Returns the map of a kind of board, by the name that `pblink.toml` has for it.
    pub fn named(board: &str) -> Option<&'static Self> {
        ALL.into_iter().find(|map| map.board == board)
    }

    /// Returns all of the flash.
    pub const fn flash(&self) -> Area {
        self.area(self.sectors.len())
    }

    /// Returns the flash that a program may use.
    pub const fn program(&self) -> Area {
        self.area(self.program_sectors)
    }

    /// Returns the number of the settings' sector: the last one.
    pub const fn settings_sector(&self) -> usize {
        self.sectors.len() - 1
    }

    /// Returns the sector of the settings: new firmware keeps it, and new settings keep the firmware.
    pub const fn settings(&self) -> Area {
        self.sectors[self.settings_sector()]
    }

    /// Returns the number of the keys' sector: the one below that of the settings.
    pub const fn keys_sector(&self) -> usize {
        self.settings_sector() - 1
    }

    /// Returns the sector of the keys: new firmware and new settings keep it.
    pub const fn keys(&self) -> Area {
        self.sectors[self.keys_sector()]
    }

    /// Returns the RAM that is a program's own: all but what is [kept](Self::kept).
    pub const fn data(&self) -> Area {
        let shared = self.kept.start >= self.ram.start;
        Area {
            start: self.ram.start,
            size: self.ram.size - if shared { self.kept.size } else { 0 },
        }
    }

    /// Returns the first sectors, this many of them.
    const fn area(&self, sectors: usize) -> Area {
        let last = self.sectors[sectors - 1];
        Area { start: START, size: last.end() - START }
    }
}

/// The linker script `memory.x` that `cortex-m-rt` includes, as [`Display`](fmt::Display).
#[derive(Debug, Clone, Copy)]
pub struct MemoryX(pub &'static Map);

impl fmt::Display for MemoryX {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let map = self.0;
        let kb = |area: Area| area.size >> 10;
        write!(
            f,
            "\
/* {title}: {chip} ({manual}), {flash} KB of flash, of which the last sector ({number}, {sector} KB at {settings:#010x})
   holds the settings and the one below it ({keys_number}, {keys_sector} KB at {keys:#010x}) keys. KEPT is RAM that no start clears:
   what is in it survives a reset. */
MEMORY
{{
  FLASH : ORIGIN = {START:#010x}, LENGTH = {length}K
  RAM   : ORIGIN = {ram:#010x}, LENGTH = {ram_length}K
  KEPT  : ORIGIN = {kept:#010x}, LENGTH = {kept_length}K
}}

/* What program this is, where tools look for it: right behind the vectors. Code begins behind it. */
SECTIONS
{{
  .pblink_identity : {{ KEEP(*(.pblink_identity)); . = ALIGN(4); }} > FLASH
}} INSERT AFTER .vector_table;
_stext = ADDR(.pblink_identity) + SIZEOF(.pblink_identity);

/* What survives a reset: lines on their way, and where the link stands. */
SECTIONS
{{
  .pblink_kept (NOLOAD) : ALIGN(8) {{ *(.pblink_kept .pblink_kept.*); }} > KEPT
}} INSERT AFTER .got;
",
            title = map.title,
            chip = map.chip,
            manual = map.manual,
            flash = kb(map.flash()),
            number = map.settings_sector(),
            sector = kb(map.settings()),
            settings = map.settings().start,
            keys_number = map.keys_sector(),
            keys_sector = kb(map.keys()),
            keys = map.keys().start,
            length = kb(map.program()),
            ram = map.data().start,
            ram_length = kb(map.data()),
            kept = map.kept.start,
            kept_length = kb(map.kept),
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
        assert_eq!(MEGABYTE.map(|sector| (sector.start, sector.size)), table);
        assert_eq!(HALF_MEGABYTE[..], MEGABYTE[..8]);
        assert_eq!(
            (PYBOARD.settings().start, PYBOARD.settings().end()),
            (0x080e_0000, 0x0810_0000)
        );
        assert_eq!((PYBOARD.program().start, PYBOARD.program().size), (0x0800_0000, 768 << 10));
        assert_eq!((PYBOARD.keys_sector(), PYBOARD.keys().start), (10, 0x080c_0000));
        assert_eq!(PYBOARD.flash().size, 1 << 20);
        for map in [&BLACK_PILL, &NUCLEO_F446] {
            assert_eq!((map.settings().start, map.settings().end()), (0x0806_0000, 0x0808_0000));
            assert_eq!((map.program().size, map.flash().size), (256 << 10, 512 << 10));
            assert_eq!((map.keys_sector(), map.keys().start), (6, 0x0804_0000));
        }
    }

    #[test]
    fn maps_have_names_and_chips_of_their_own() {
        for map in ALL {
            assert_eq!(Map::named(map.board), Some(map));
            assert!(map.part.starts_with(map.chip));
            assert!(map.program().end() <= map.keys().start);
            assert_eq!(map.keys().end(), map.settings().start);
            // Nothing is in two places.
            let (data, kept) = (map.data(), map.kept);
            assert!(data.end() <= kept.start || kept.end() <= data.start);
            assert!(data.start == map.ram.start && data.end() <= map.ram.end());
            assert!(crate::settings::MAX_SIZE <= map.settings().size as usize);
            // An STM32F405 of revision A has the number of the STM32F2: no map here has that one.
            let others = ALL.into_iter().filter(|other| *other != map);
            assert!(
                others
                    .into_iter()
                    .all(|other| map.devices.iter().all(|id| !other.devices.contains(id)))
            );
        }
        assert_eq!(Map::named("toaster"), None);
    }

    #[test]
    fn the_linker_script_has_these_addresses() {
        let identity = "  .pblink_identity : { KEEP(*(.pblink_identity)); . = ALIGN(4); } > FLASH";
        let kept = "  .pblink_kept (NOLOAD) : ALIGN(8) { *(.pblink_kept .pblink_kept.*); } > KEPT";
        for (map, head, flash, ram, area) in [
            (
                &PYBOARD,
                "/* Pyboard v1.x: STM32F405RG (RM0090 §2.3), 1024 KB of flash, of which the last sector (11, 128 KB at 0x080e0000)",
                "  FLASH : ORIGIN = 0x08000000, LENGTH = 768K",
                "  RAM   : ORIGIN = 0x20000000, LENGTH = 128K",
                "  KEPT  : ORIGIN = 0x10000000, LENGTH = 16K",
            ),
            (
                &BLACK_PILL,
                "/* Black Pill: STM32F411CE (RM0383 §2.3), 512 KB of flash, of which the last sector (7, 128 KB at 0x08060000)",
                "  FLASH : ORIGIN = 0x08000000, LENGTH = 256K",
                "  RAM   : ORIGIN = 0x20000000, LENGTH = 120K",
                "  KEPT  : ORIGIN = 0x2001e000, LENGTH = 8K",
            ),
        ] {
            let text = MemoryX(map).to_string();
            for line in [head, flash, ram, area, identity, kept, "} INSERT AFTER .vector_table;"] {
                assert!(text.lines().any(|found| found == line), "{line}\n{text}");
            }
        }
    }
}
