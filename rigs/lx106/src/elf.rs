//! Loadable segments and symbols of an ELF file.

use std::collections::HashMap;

/// Bytes and where they go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// Address of the first byte.
    pub address: u32,
    /// The bytes, with what is to be zero at the end.
    pub bytes: Vec<u8>,
}

/// A 32-bit Xtensa executable.
#[derive(Debug, Clone)]
pub struct Elf {
    /// Address at which it starts.
    pub entry: u32,
    /// Segments, in the file's order.
    pub segments: Vec<Segment>,
    /// Addresses by name. Of several symbols of a name the first stands here.
    pub symbols: HashMap<String, u32>,
}

const LOAD: u32 = 1;
const SYMTAB: u32 = 2;
const XTENSA: usize = 94;

fn word(elf: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(elf.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

fn half(elf: &[u8], at: usize) -> Option<usize> {
    Some(usize::from(u16::from_le_bytes(elf.get(at..at.checked_add(2)?)?.try_into().ok()?)))
}

fn text(elf: &[u8], at: usize) -> Option<String> {
    let bytes = elf.get(at..)?;
    let end = bytes.iter().position(|&byte| byte == 0)?;
    Some(String::from_utf8_lossy(&bytes[..end]).into_owned())
}

impl Elf {
    /// Reads a file. `None` if it is not a 32-bit little-endian executable for Xtensa.
    pub fn read(elf: &[u8]) -> Option<Self> {
        if elf.get(..6)? != b"\x7fELF\x01\x01" || half(elf, 18)? != XTENSA {
            return None;
        }
        let (table, size, count) = (word(elf, 28)? as usize, half(elf, 42)?, half(elf, 44)?);
        let mut segments = Vec::new();
        for at in (0..count).map(|n| table + n * size) {
            let (offset, address) = (word(elf, at + 4)? as usize, word(elf, at + 8)?);
            let (in_file, in_memory) = (word(elf, at + 16)? as usize, word(elf, at + 20)? as usize);
            if word(elf, at)? == LOAD && in_memory > 0 {
                let mut bytes = elf.get(offset..offset + in_file)?.to_vec();
                bytes.resize(in_memory, 0);
                segments.push(Segment { address, bytes });
            }
        }
        Some(Self { entry: word(elf, 24)?, segments, symbols: symbols(elf)? })
    }
}

fn symbols(elf: &[u8]) -> Option<HashMap<String, u32>> {
    let (table, size, count) = (word(elf, 32)? as usize, half(elf, 46)?, half(elf, 48)?);
    let section = |n: usize| table + n * size;
    let mut symbols = HashMap::new();
    for at in (0..count).map(section).filter(|&at| word(elf, at + 4) == Some(SYMTAB)) {
        let (offset, len) = (word(elf, at + 16)? as usize, word(elf, at + 20)? as usize);
        let names = word(elf, section(word(elf, at + 24)? as usize) + 16)? as usize;
        for symbol in (offset..offset + len).step_by(16) {
            let name = text(elf, names + word(elf, symbol)? as usize)?;
            if !name.is_empty() {
                symbols.entry(name).or_insert(word(elf, symbol + 4)?);
            }
        }
    }
    Some(symbols)
}
