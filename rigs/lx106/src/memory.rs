//! The memories of the chip, and the accesses that they allow.
//!
//! Code memory (IRAM, flash, ROM) is read and written in whole words only; the core raises an exception for anything
//! else. Where no memory is, registers may be: what is there is for [`Registers`].

use std::fmt;

/// Kind of an access.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// An instruction is fetched.
    Fetch,
    /// Data are read.
    Load,
    /// Data are written.
    Store,
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fetch => "a fetch",
            Self::Load => "a load",
            Self::Store => "a store",
        })
    }
}

/// Kind of a memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Data: bytes, halves, words.
    Data,
    /// Instruction RAM: words, and fetches.
    Code,
    /// Flash, as it is mapped into the address space: words to read, and fetches; nothing while it is
    /// [off](Memory::flash_on).
    Flash,
    /// ROM: words to read, and fetches.
    Rom,
}

struct Region {
    base: u32,
    kind: Kind,
    bytes: Vec<u8>,
}

impl Region {
    fn place(&self, address: u32, size: u32) -> Option<usize> {
        let at = address.wrapping_sub(self.base) as usize;
        (at + size as usize <= self.bytes.len()).then_some(at)
    }
}

/// All memories.
#[derive(Default)]
pub struct Memory {
    regions: Vec<Region>,
    /// The region that code was fetched from last.
    fetched: usize,
    /// The region that data were in last.
    used: usize,
    /// The flash is not mapped at the moment: it is being erased or written.
    flash_off: bool,
}

/// Registers of peripherals. An address is a multiple of 4.
pub trait Registers {
    /// Reads a register. `None` if there is none.
    fn read(&mut self, address: u32) -> Option<u32>;

    /// Writes a register. `None` if there is none.
    fn write(&mut self, address: u32, value: u32) -> Option<()>;
}

/// No registers.
impl Registers for () {
    fn read(&mut self, _: u32) -> Option<u32> {
        None
    }

    fn write(&mut self, _: u32, _: u32) -> Option<()> {
        None
    }
}

impl Memory {
    /// Adds a memory of zeros.
    pub fn add(&mut self, base: u32, size: usize, kind: Kind) {
        self.regions.push(Region { base, kind, bytes: vec![0; size] });
    }

    /// Maps or unmaps the flash.
    pub fn flash_on(&mut self, on: bool) {
        self.flash_off = !on;
    }

    /// Returns true unless the flash is being erased or written.
    pub fn flash_is_on(&self) -> bool {
        !self.flash_off
    }

    /// Copies bytes in, whatever the kind of the memory. Returns false if there is none.
    pub fn load(&mut self, address: u32, bytes: &[u8]) -> bool {
        match self.bytes_mut(address, bytes.len() as u32) {
            Some(place) => {
                place.copy_from_slice(bytes);
                true
            }
            None => false,
        }
    }

    /// Returns bytes of any memory.
    pub fn bytes(&self, address: u32, size: u32) -> Option<&[u8]> {
        self.regions.iter().find_map(|region| {
            let at = region.place(address, size)?;
            Some(&region.bytes[at..at + size as usize])
        })
    }

    /// Returns bytes of any memory, to be changed.
    pub fn bytes_mut(&mut self, address: u32, size: u32) -> Option<&mut [u8]> {
        self.regions.iter_mut().find_map(|region| {
            let at = region.place(address, size)?;
            Some(&mut region.bytes[at..at + size as usize])
        })
    }

    /// Returns a text that ends with a zero.
    pub fn text(&self, address: u32) -> Option<&[u8]> {
        self.regions.iter().find_map(|region| {
            let bytes = &region.bytes[region.place(address, 1)?..];
            Some(&bytes[..bytes.iter().position(|&byte| byte == 0)?])
        })
    }

    fn find(&self, hint: usize, address: u32, size: u32) -> Option<(usize, usize)> {
        let near = self.regions.get(hint).and_then(|region| region.place(address, size));
        if let Some(at) = near {
            return Some((hint, at));
        }
        let at = |(n, region): (usize, &Region)| Some((n, region.place(address, size)?));
        self.regions.iter().enumerate().find_map(at)
    }

    /// Returns the bytes of an instruction: two or three.
    pub(crate) fn fetch(&mut self, pc: u32) -> Result<[u8; 3], &'static str> {
        let (region, at) = self.find(self.fetched, pc, 2).ok_or("no memory is there")?;
        self.fetched = region;
        let Region { kind, bytes, .. } = &self.regions[region];
        match kind {
            Kind::Data => return Err("no code can be there"),
            Kind::Flash if self.flash_off => return Err("the flash is off"),
            _ => {}
        }
        Ok([bytes[at], bytes[at + 1], bytes.get(at + 2).copied().unwrap_or(0)])
    }

    /// Reads data. `None` if no memory is there.
    pub(crate) fn read(&mut self, address: u32, size: u32) -> Option<Result<u32, &'static str>> {
        let (region, at) = self.find(self.used, address, size)?;
        self.used = region;
        let Region { kind, bytes, .. } = &self.regions[region];
        if *kind == Kind::Flash && self.flash_off {
            return Some(Err("the flash is off"));
        }
        if *kind != Kind::Data && size != 4 {
            return Some(Err("code memory has words only"));
        }
        let mut word = [0; 4];
        word[..size as usize].copy_from_slice(&bytes[at..at + size as usize]);
        Some(Ok(u32::from_le_bytes(word)))
    }

    /// Writes data. `None` if no memory is there.
    pub(crate) fn write(
        &mut self,
        address: u32,
        size: u32,
        value: u32,
    ) -> Option<Result<(), &'static str>> {
        let (region, at) = self.find(self.used, address, size)?;
        self.used = region;
        let Region { kind, bytes, .. } = &mut self.regions[region];
        match kind {
            Kind::Flash | Kind::Rom => return Some(Err("it is read-only")),
            Kind::Code if size != 4 => return Some(Err("code memory has words only")),
            _ => {}
        }
        let size = size as usize;
        bytes[at..at + size].copy_from_slice(&value.to_le_bytes()[..size]);
        Some(Ok(()))
    }
}
