//! The part of each memory that a program takes.

use object::read::elf::{ElfFile32, ProgramHeader};
use object::{Endianness, elf};
use serde::{Deserialize, Serialize};

use crate::map::Map;

/// The part of its board's memories that a program takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sizes {
    /// Its name in the manifest, such as [`STM32`](crate::manifest::STM32).
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

/// A memory of a chip.
struct Range {
    name: &'static str,
    /// Its addresses, first and behind the last. Of flash, what is loaded there counts; of the others, what lies there when
    /// the program runs.
    addresses: &'static [(u32, u32)],
    /// Bytes that programs may have of it.
    of: u32,
}

const FLASH: &str = "flash";
const RAM: &str = "RAM";

/// As in the SDK's `eagle.app.v6.ld`.
const ESP8266: [Range; 3] = [
    Range { name: FLASH, addresses: &[(0x4020_0000, 0x4030_0000)], of: 0x5_c000 },
    Range { name: RAM, addresses: &[(0x3ffe_8000, 0x3fff_c000)], of: 0x1_4000 },
    Range { name: "code RAM", addresses: &[(0x4010_0000, 0x4010_8000)], of: 0x8000 },
];

/// The chip has its RAM at two addresses, for data and for code (ESP32-C3 Technical Reference Manual, 3.3). Of flash, a
/// program may have the partition that the smallest flash has for it; of RAM, what is in front of the part that the
/// second-stage bootloader and the ROM use (esp-hal's `memory.x`).
const ESP32C3: [Range; 2] = [
    // All is in flash, what is copied into RAM at the start, too.
    Range { name: FLASH, addresses: &[(0, u32::MAX)], of: 0x1f_0000 },
    Range {
        name: RAM,
        addresses: &[(0x3fc8_0000, 0x3fcc_e400), (0x4038_0000, 0x403c_e400)],
        of: 0x4_e400,
    },
];

impl Sizes {
    /// Of a program for the STM32 of this kind of board.
    ///
    /// # Errors
    /// In words: the file is no 32-bit ELF file.
    pub fn of_stm32(map: &Map, program: &str, file: &[u8]) -> Result<Self, String> {
        let flash = map.flash();
        let memories = Segments::read(file)?;
        Ok(Self {
            board: "stm32".to_owned(),
            program: program.to_owned(),
            memories: vec![
                memories.memory(FLASH, &[(flash.start, flash.end())], map.program().size),
                memories.memory(RAM, &[(map.ram.start, map.ram.end())], map.ram.size),
            ],
        })
    }

    /// Of a program for the ESP8266. What is copied from flash into RAM at the start counts as RAM.
    ///
    /// # Errors
    /// In words: the file is no 32-bit ELF file.
    pub fn of_esp8266(program: &str, file: &[u8]) -> Result<Self, String> {
        Ok(Self::of("esp8266", program, &Segments::read(file)?, &ESP8266))
    }

    /// Of a program for the ESP32-C3. The stack, which has what is left, does not count.
    ///
    /// # Errors
    /// In words: the file is no 32-bit ELF file.
    pub fn of_esp32c3(program: &str, file: &[u8]) -> Result<Self, String> {
        let mut segments = Segments::read(file)?;
        // The linker script has parts without contents for the other view of the same memory, and for the stack.
        segments.0.retain(|segment| segment.in_file > 0);
        Ok(Self::of("esp32c3", program, &segments, &ESP32C3))
    }

    fn of(board: &str, program: &str, segments: &Segments, ranges: &[Range]) -> Self {
        let memory = |range: &Range| segments.memory(range.name, range.addresses, range.of);
        Self {
            board: board.to_owned(),
            program: program.to_owned(),
            memories: ranges.iter().map(memory).collect(),
        }
    }
}

/// A part of a program that is loaded.
struct Segment {
    /// The address from which it is loaded, and the one at which it is used.
    load: u32,
    run: u32,
    in_file: u32,
    in_memory: u32,
}

/// The parts of a program that are loaded.
struct Segments(Vec<Segment>);

impl Segments {
    fn read(file: &[u8]) -> Result<Self, String> {
        let file: ElfFile32<'_, Endianness> =
            ElfFile32::parse(file).map_err(|e| format!("it is no 32-bit ELF file ({e})"))?;
        let endian = file.endian();
        let loaded = file.elf_program_headers().iter().filter(|h| h.p_type(endian) == elf::PT_LOAD);
        let segment = |header: &elf::ProgramHeader32<Endianness>| Segment {
            load: header.p_paddr(endian),
            run: header.p_vaddr(endian),
            in_file: header.p_filesz(endian),
            in_memory: header.p_memsz(endian),
        };
        Ok(Self(loaded.map(segment).collect()))
    }

    fn memory(&self, name: &str, addresses: &[(u32, u32)], of: u32) -> Memory {
        let used = self.0.iter().filter_map(|segment| {
            let (address, size) = match name {
                FLASH => (segment.load, segment.in_file),
                _ => (segment.run, segment.in_memory),
            };
            addresses
                .iter()
                .any(|&(from, to)| (from..to).contains(&address))
                .then_some(u64::from(size))
        });
        Memory { name: name.to_owned(), used: used.sum(), of: u64::from(of) }
    }
}
