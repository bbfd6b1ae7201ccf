//! The sectors of a chip's flash.

use std::fmt;

use pblink_image::map::{self, Map};
use pblink_image::{keys, settings};

/// Address of the program: the chip starts with the vector table that is here.
pub const PROGRAM: u32 = map::START;

/// Address of the settings' sector of an STM32F405, and of larger chips.
pub const SETTINGS: u32 = map::PYBOARD.settings().start;

/// Bytes of the settings that are written and read: a multiple of 4, as flash wants it.
pub(super) const WRITTEN: usize = settings::MAX_SIZE.next_multiple_of(4);

/// Address of the keys' sector of an STM32F405, and of larger chips.
pub const KEYS: u32 = map::PYBOARD.keys().start;

/// The smallest piece of flash that can be erased.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sector {
    /// Its place in the chip's list, from 0.
    pub number: usize,
    /// Address of its first byte.
    pub address: u32,
    /// Its length in bytes.
    pub size: u32,
}

impl Sector {
    /// Returns the first address behind it; as `u64`, since it may be the end of the address space.
    pub fn end(&self) -> u64 {
        u64::from(self.address) + u64::from(self.size)
    }
}

impl fmt::Display for Sector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sector {} at {:#010x}", self.number, self.address)
    }
}

/// The sectors of a chip's flash, in the order of their addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    sectors: Vec<Sector>,
    /// Numbers of those that can only be read.
    fixed: Vec<usize>,
}

/// The most sectors of a group: no STM32 has as many, and what describes more is not a valid description.
const MAX_SECTORS: u32 = 4096;

/// Bytes of the largest sector: no STM32 has one as large.
const MAX_SECTOR: u32 = 1 << 20;

/// Bytes of which all addresses and sizes of sectors are multiples: a double word, which holds the first two words of a program.
const GRAIN: u32 = 8;

impl Layout {
    /// Returns a layout of groups of equal sectors: address of the first, how many, bytes of each.
    /// `None` if there are none, if they overlap, do not fit into 32 bits, or are what no STM32 has: larger than 1 MB, or not
    /// made of double words.
    pub fn of_groups(groups: impl IntoIterator<Item = (u32, u32, u32)>) -> Option<Self> {
        let mut sectors: Vec<Sector> = Vec::new();
        for (start, count, size) in groups {
            let even = start.is_multiple_of(GRAIN) && size.is_multiple_of(GRAIN);
            if !even || !(1..=MAX_SECTOR).contains(&size) || !(1..=MAX_SECTORS).contains(&count) {
                return None;
            }
            for i in 0..count {
                let address = size.checked_mul(i).and_then(|at| start.checked_add(at))?;
                sectors.push(Sector { number: sectors.len(), address, size });
            }
        }
        let in_order = sectors.windows(2).all(|two| two[0].end() <= u64::from(two[1].address));
        let fits = sectors.last().is_some_and(|last| last.end() <= 1 << 32);
        (in_order && fits).then_some(Self { sectors, fixed: Vec::new() })
    }

    /// Returns the STM32F405's 1 MB (RM0090, table 5).
    pub fn stm32f405() -> Self {
        Self::of_map(&map::PYBOARD)
    }

    /// Returns the flash of a board's chip.
    pub fn of_map(map: &Map) -> Self {
        let groups = map.sectors.iter().map(|sector| (sector.start, 1, sector.size));
        // They are constants: a test shows that they are in order.
        Self::of_groups(groups).unwrap_or(Self { sectors: Vec::new(), fixed: Vec::new() })
    }

    /// Returns true if the chip of this board has these sectors.
    pub fn is_of(&self, map: &Map) -> bool {
        self.sectors == Self::of_map(map).sectors
    }

    /// Reads the name of a DfuSe alternate setting (UM0424 §10.3.2), for example
    /// `@Internal Flash  /0x08000000/04*016Kg,01*064Kg,07*128Kg`: name, address, then count, size and
    /// unit (a space or `B` bytes, `K`, `M`) of each group, and a letter for what is allowed there (`a`
    /// reading, `g` all). More pairs of address and groups may follow. `None` for any other text.
    pub fn of_alternate(name: &str) -> Option<Self> {
        let mut parts = name.strip_prefix('@')?.split('/').skip(1);
        let mut groups = Vec::new();
        let mut fixed = Vec::new();
        let mut number = 0;
        while let Some(address) = parts.next() {
            let address = address.trim().strip_prefix("0x")?;
            let mut address = u32::from_str_radix(address, 16).ok()?;
            for group in parts.next()?.split(',') {
                let (count, size) = group.trim_start().split_once('*')?;
                let digits = size.find(|c: char| !c.is_ascii_digit())?;
                let (size, unit_and_kind) = size.split_at(digits);
                let mut letters = unit_and_kind.bytes();
                let unit = match letters.next()? {
                    b' ' | b'B' => 1,
                    b'K' => 1 << 10,
                    b'M' => 1 << 20,
                    _ => return None,
                };
                let count: u32 = count.parse().ok()?;
                let size = size.parse::<u32>().ok()?.checked_mul(unit)?;
                groups.push((address, count, size));
                if count > MAX_SECTORS {
                    return None;
                }
                let numbers = number..number + count as usize;
                number = numbers.end;
                // Bits 0 to 2 of the letter: readable, erasable, writable.
                if letters.next().is_some_and(|letter| letter & 0b110 != 0b110) {
                    fixed.extend(numbers);
                }
                address = count.checked_mul(size).and_then(|n| address.checked_add(n))?;
            }
        }
        Some(Self { fixed, ..Self::of_groups(groups)? })
    }

    /// Numbers of the sectors that the device offers only for reading, as MicroPython's bootloader does
    /// with its own.
    pub fn fixed(&self) -> &[usize] {
        &self.fixed
    }

    /// Returns the sectors.
    pub fn sectors(&self) -> &[Sector] {
        &self.sectors
    }

    /// Address of the first byte.
    pub fn start(&self) -> u32 {
        self.sectors.first().map_or(0, |sector| sector.address)
    }

    /// Returns the first address behind the last sector.
    pub fn end(&self) -> u64 {
        self.sectors.last().map_or(0, Sector::end)
    }

    /// Returns the sector with this address.
    pub fn sector_of(&self, address: u32) -> Option<Sector> {
        let behind = self.sectors.partition_point(|sector| sector.address <= address);
        let sector = *self.sectors.get(behind.checked_sub(1)?)?;
        (u64::from(address) < sector.end()).then_some(sector)
    }

    /// Returns the sector of the settings, if the chip has one that holds them and begins where the program looks
    /// for them: the last one of the chips that we have a map of, else that of the STM32F405.
    pub fn settings(&self) -> Option<Sector> {
        self.beginning(self.map().map_or(SETTINGS, |map| map.settings().start), WRITTEN)
    }

    /// Returns the sector of the keys, found like that of the [settings](Self::settings): the one below it.
    pub fn keys(&self) -> Option<Sector> {
        self.beginning(self.map().map_or(KEYS, |map| map.keys().start), keys::SIZE)
    }

    fn map(&self) -> Option<&'static Map> {
        map::ALL.into_iter().find(|map| self.is_of(map))
    }

    /// Returns the sector that begins here, if it has room for so many bytes.
    fn beginning(&self, start: u32, bytes: usize) -> Option<Sector> {
        self.sector_of(start)
            .filter(|sector| sector.address == start && sector.size as usize >= bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_the_pyboards_alternate_is_the_stm32f405() {
        let name = "@Internal Flash  /0x08000000/04*016Kg,01*064Kg,07*128Kg";
        let layout = Layout::of_alternate(name).expect("ST's own example");
        assert_eq!(layout, Layout::stm32f405());
        assert_eq!(layout.sectors().len(), 12);
        assert_eq!((layout.start(), layout.end()), (0x0800_0000, 0x0810_0000));
        assert_eq!(layout.sectors()[4], Sector { number: 4, address: 0x0801_0000, size: 64 << 10 });
        assert_eq!(layout.settings().map(|s| (s.number, s.size)), Some((11, 128 << 10)));
        assert_eq!(layout.keys().map(|s| (s.number, s.address)), Some((10, KEYS)));
    }

    /// Found by fuzzing: a boot loader whose first sector is shorter than what makes a program start.
    #[test]
    fn sectors_that_no_stm32_has_are_no_description() {
        let of = |first: &str| {
            Layout::of_alternate(&format!("@Internal Flash  /0x08000000/{first},01*064Kg,07*128Kg"))
        };
        for first in ["62*003Bg", "04*004Bg", "04*012 g", "01*002Mg", "04*000Kg"] {
            assert_eq!(of(first), None, "{first}");
        }
        assert_eq!(Layout::of_groups([(PROGRAM + 4, 1, 16 << 10)]), None);
        for first in ["512*128Bg", "01*001Mg"] {
            assert!(of(first).is_some(), "{first}");
        }
        assert!(Layout::of_alternate("@Option Bytes  /0x1FFFC000/01*016 e").is_some());
    }

    #[test]
    fn a_sector_that_is_too_short_for_settings_or_keys_is_none_of_theirs() {
        let of = |keys, settings| {
            let layout = Layout::of_groups([
                (PROGRAM, 1, 16 << 10),
                (KEYS, 1, keys),
                (SETTINGS, 1, settings),
            ]);
            let layout = layout.expect("they are in order");
            (layout.keys().is_some(), layout.settings().is_some())
        };
        assert_eq!(of(128 << 10, 128 << 10), (true, true));
        let (keys, settings) = (keys::SIZE as u32, WRITTEN.next_multiple_of(8) as u32);
        assert_eq!(of(keys, settings), (true, true));
        assert_eq!(of(keys - 8, settings - 8), (false, false));
    }

    #[test]
    fn smaller_chips_have_their_settings_in_their_last_sector() {
        let name = "@Internal Flash  /0x08000000/04*016Kg,01*064Kg,03*128Kg";
        let layout = Layout::of_alternate(name).expect("as the STM32F411 names it");
        assert!(layout.is_of(&map::BLACK_PILL) && layout.is_of(&map::NUCLEO_F446));
        assert!(!layout.is_of(&map::PYBOARD));
        assert_eq!(layout.settings().map(|s| (s.number, s.address)), Some((7, 0x0806_0000)));
        assert_eq!(layout.keys().map(|s| (s.number, s.address)), Some((6, 0x0804_0000)));
        // One of 256 KB, and one of 2 MB: an STM32F401 and an STM32F427.
        let none = Layout::of_alternate("@Flash/0x08000000/04*016Kg,01*064Kg,01*128Kg");
        let none = none.expect("good");
        assert_eq!((none.settings(), none.keys()), (None, None));
        let large = "@Flash/0x08000000/04*016Kg,01*064Kg,07*128Kg,04*016Kg,01*064Kg,07*128Kg";
        let large = Layout::of_alternate(large).expect("good").settings();
        assert_eq!(large.map(|s| (s.number, s.address)), Some((11, SETTINGS)));
    }

    #[test]
    fn other_names_are_read_too() {
        let option = Layout::of_alternate("@Option Bytes  /0x1FFFC000/01*016 e").expect("bytes");
        assert_eq!((option.start(), option.end()), (0x1fff_c000, 0x1fff_c010));
        let otp =
            Layout::of_alternate("@OTP Memory /0x1FFF7800/01*512 e,01*016 e").expect("two groups");
        assert_eq!(otp.sectors().len(), 2);
        let two = "@Flash/0x08000000/2*1Ka,1*1Kg/0x08010000/1*001Me";
        let two = Layout::of_alternate(two).expect("two addresses");
        assert_eq!(two.fixed(), [0, 1, 3]);
        assert_eq!(two.sector_of(0x0800_07ff).map(|s| s.number), Some(1));
        assert_eq!(two.sector_of(0x0800_0c00), None);
        assert_eq!(two.end(), 0x0811_0000);
        assert_eq!(two.settings(), None);
    }

    #[test]
    fn what_is_no_layout_is_none() {
        for name in [
            "",
            "Internal Flash",
            "@Flash",
            "@Flash/0x08000000",
            "@Flash/08000000/1*1Kg",
            "@Flash/0x08000000/1*1",
            "@Flash/0x08000000/1*1Xg",
            "@Flash/0x08000000/0*1Kg",
            "@Flash/0x08000000/1*0Kg",
            "@Flash/0x08000000/99999999*1Kg",
            "@Flash/0xffffff00/2*128Kg",
            "@Flash/0x08000000/1*4096Mg",
            "@Flash/0x08010000/1*1Kg/0x08000000/1*1Kg",
        ] {
            assert_eq!(Layout::of_alternate(name), None, "{name}");
        }
    }

    #[test]
    fn an_address_is_in_its_sector_or_in_none() {
        let layout = Layout::stm32f405();
        for sector in layout.sectors() {
            assert_eq!(layout.sector_of(sector.address), Some(*sector));
            assert_eq!(layout.sector_of((sector.end() - 1) as u32), Some(*sector));
        }
        assert_eq!(layout.sector_of(0x07ff_ffff), None);
        assert_eq!(layout.sector_of(0x0810_0000), None);
    }
}
