//! The part of each memory that a program takes.

use object::read::elf::{ElfFile32, ProgramHeader};
use object::{Endianness, elf};
use serde::{Deserialize, Serialize};

use crate::map::Map;

/// The part of its board's memories that a program takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sizes {
    /// [`STM32`](crate::manifest::STM32) or [`ESP8266`](crate::manifest::ESP8266).
    pub board: String,
    /// The program, in words.
    pub program: String,
    /// The part of each memory that it takes.
    pub memories: Vec<Memory>,
}

/// One memory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// Its name, in words.
    pub name: String,
    /// Bytes.
    pub used: u64,
    /// Bytes that the memory has for programs.
    pub of: u64,
}

/// A memory of a chip: its name, its addresses, and how much of it programs may have. Of flash, what is
/// loaded there counts; of the others, what lies there when the program runs.
type Range = (&'static str, std::ops::Range<u32>, u32);

const FLASH: &str = "flash";

/// As in the SDK's `eagle.app.v6.ld`.
const ESP8266: [Range; 3] = [
    (FLASH, 0x4020_0000..0x4030_0000, 0x5_c000),
    ("RAM", 0x3ffe_8000..0x3fff_c000, 0x1_4000),
    ("code RAM", 0x4010_0000..0x4010_8000, 0x8000),
];

impl Sizes {
    /// Of a program for the STM32 of this kind of board.
    ///
    /// # Errors
    /// In words: the file is no 32-bit ELF file.
    pub fn of_stm32(map: &Map, program: &str, file: &[u8]) -> Result<Self, String> {
        let flash = map.flash();
        let ranges = [
            (FLASH, flash.start..flash.end(), map.program().size),
            ("RAM", map.ram.start..map.ram.end(), map.ram.size),
        ];
        Self::of("stm32", program, file, &ranges)
    }

    /// Of a program for the ESP8266. What is copied from flash into RAM at the start counts as RAM.
    ///
    /// # Errors
    /// In words: the file is no 32-bit ELF file.
    pub fn of_esp8266(program: &str, file: &[u8]) -> Result<Self, String> {
        Self::of("esp8266", program, file, &ESP8266)
    }

    fn of(board: &str, program: &str, file: &[u8], ranges: &[Range]) -> Result<Self, String> {
        let file: ElfFile32<'_, Endianness> =
            ElfFile32::parse(file).map_err(|e| format!("it is no 32-bit ELF file ({e})"))?;
        let endian = file.endian();
        let memories = ranges.iter().map(|(name, range, of)| {
            let used = file.elf_program_headers().iter().filter_map(|header| {
                let (address, size) = if *name == FLASH {
                    (header.p_paddr(endian), header.p_filesz(endian))
                } else {
                    (header.p_vaddr(endian), header.p_memsz(endian))
                };
                let here = header.p_type(endian) == elf::PT_LOAD && range.contains(&address);
                here.then_some(u64::from(size))
            });
            Memory { name: (*name).to_owned(), used: used.sum(), of: u64::from(*of) }
        });
        Ok(Self {
            board: board.to_owned(),
            program: program.to_owned(),
            memories: memories.collect(),
        })
    }
}
