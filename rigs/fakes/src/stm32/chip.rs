//! The chip's flash: NOR cells in sectors, of which some may be protected or worn out.

use std::cell::RefCell;
use std::rc::Rc;

pub use pblink_image::map::START;
use pblink_image::map::{Area, Map, PYBOARD};

/// The sectors of the flash of an STM32F405.
pub const SECTORS: &[Area] = PYBOARD.sectors;

#[derive(Debug, Clone)]
struct Memory {
    map: &'static Map,
    flash: Vec<u8>,
    protected: Vec<usize>,
    readout: bool,
    /// Cells that stay 0 whatever is done: address and which bits.
    stuck: Option<(u32, u8)>,
    erased: Vec<usize>,
    started: bool,
    running: bool,
}

/// A chip. Clones are the same chip.
#[derive(Debug, Clone)]
pub struct Chip(Rc<RefCell<Memory>>);

impl Default for Chip {
    fn default() -> Self {
        Self::new()
    }
}

impl Chip {
    /// Makes an STM32F405 as it comes from the factory: all of its flash is erased.
    pub fn new() -> Self {
        Self::of(&PYBOARD)
    }

    /// Makes the chip of another board.
    pub fn of(map: &'static Map) -> Self {
        Self(Rc::new(RefCell::new(Memory {
            map,
            flash: vec![0xff; map.flash().size as usize],
            protected: Vec::new(),
            readout: false,
            stuck: None,
            erased: Vec::new(),
            started: false,
            running: false,
        })))
    }

    /// Another chip with the same content.
    #[must_use]
    pub fn copy(&self) -> Self {
        Self(Rc::new(RefCell::new(self.0.borrow().clone())))
    }

    /// Puts bytes into flash, as if they had always been there.
    #[must_use]
    pub fn with(self, address: u32, bytes: &[u8]) -> Self {
        let at = (address - START) as usize;
        self.0.borrow_mut().flash[at..at + bytes.len()].copy_from_slice(bytes);
        self
    }

    /// Makes sectors write-protected.
    #[must_use]
    pub fn with_protected(self, sectors: &[usize]) -> Self {
        self.0.borrow_mut().protected = sectors.to_vec();
        self
    }

    /// Turns read-out protection on, level 1.
    #[must_use]
    pub fn with_readout_protection(self) -> Self {
        self.0.borrow_mut().readout = true;
        self
    }

    /// Makes these bits of a byte stay 0 for ever.
    #[must_use]
    pub fn with_stuck_bits(self, address: u32, bits: u8) -> Self {
        self.0.borrow_mut().stuck = Some((address, bits));
        self
    }

    /// Returns the map of its memory.
    pub fn map(&self) -> &'static Map {
        self.0.borrow().map
    }

    /// Returns the content of flash.
    pub fn bytes(&self, address: u32, length: usize) -> Vec<u8> {
        let at = (address - START) as usize;
        self.0.borrow().flash[at..at + length].to_vec()
    }

    /// Returns the sectors that were erased, in order.
    pub fn erased(&self) -> Vec<usize> {
        self.0.borrow().erased.clone()
    }

    /// Returns true if it was sent off into its program.
    pub fn started(&self) -> bool {
        self.0.borrow().started
    }

    /// Returns true if a program of its flash runs now. Only the state that a connection left is known: a
    /// chip without any connection so far counts as halted.
    pub fn runs(&self) -> bool {
        self.0.borrow().running
    }

    /// Returns true if a reset would start a program: the stack is in RAM, and the first instruction is
    /// Thumb code in flash.
    pub fn would_start(&self) -> bool {
        let word = |bytes: &[u8]| bytes.iter().rev().fold(0, |word, &b| (word << 8) | u32::from(b));
        let head = self.bytes(START, 8);
        let (stack, reset) = (word(&head[..4]), word(&head[4..]));
        let map = self.map();
        let ram = (map.ram.start..=map.ram.end()).contains(&stack);
        ram && reset % 2 == 1 && (START..map.flash().end()).contains(&(reset - 1))
    }

    pub(super) fn is_flash(&self, address: u32, length: usize) -> bool {
        let end = u64::from(address) + length as u64;
        address >= START && end <= u64::from(self.map().flash().end())
    }

    /// Returns true if nobody reads its flash by probe or bootloader.
    pub fn readout_protected(&self) -> bool {
        self.0.borrow().readout
    }

    /// Returns one bit for each sector that can be written (nWRP, RM0090 §3.9.10).
    pub(super) fn not_protected(&self) -> u16 {
        self.0.borrow().protected.iter().fold(0x0fff, |bits, sector| bits & !(1 << sector))
    }

    /// Returns the option bytes as they lie in memory (RM0090, table 15).
    pub(super) fn options(&self) -> [u8; 16] {
        let mut options = [0xff; 16];
        options[0] = 0xef;
        options[1] = if self.readout_protected() { 0x00 } else { 0xaa };
        options[8..10].copy_from_slice(&(0xf000 | self.not_protected()).to_le_bytes());
        options
    }

    /// Programs the option bytes as they lie in memory.
    ///
    /// # Panics
    /// At level 2 of read-out protection: nobody takes that off a real chip again.
    pub(super) fn set_options(&self, options: [u8; 16]) {
        self.set_protection(options[1], u16::from_le_bytes([options[8], options[9]]));
    }

    /// Programs read-out protection, and one bit for each sector that can be written.
    ///
    /// # Panics
    /// As [`Self::set_options`].
    pub(super) fn set_protection(&self, readout: u8, not_protected: u16) {
        assert_ne!(readout, 0xcc, "level 2 makes the chip useless");
        let mut memory = self.0.borrow_mut();
        assert!(readout != 0xaa || !memory.readout, "it would be erased");
        memory.readout = readout != 0xaa;
        memory.protected = (0..12).filter(|sector| not_protected >> sector & 1 == 0).collect();
    }

    /// Erases the sector that holds this address. `false`: it is protected. `torn`: the supply fails in the
    /// middle; what is erased by then is the end of the sector, which is the worst for a vector table.
    pub(super) fn erase(&self, address: u32, torn: bool) -> bool {
        let Some(number) = self.sector_of(address) else { return false };
        let mut memory = self.0.borrow_mut();
        if memory.protected.contains(&number) {
            return false;
        }
        let sector = memory.map.sectors[number];
        let (start, size) = ((sector.start - START) as usize, sector.size as usize);
        let from = if torn { size / 2 } else { 0 };
        memory.flash[start + from..start + size].fill(0xff);
        memory.wear();
        memory.erased.push(number);
        true
    }

    /// Clears bits. `false`: a sector is protected, and nothing was done. `torn`: the second half is missing.
    pub(super) fn program(&self, address: u32, bytes: &[u8], torn: bool) -> bool {
        let end = address + bytes.len() as u32 - 1;
        let (Some(first), Some(last)) = (self.sector_of(address), self.sector_of(end)) else {
            return false;
        };
        let mut memory = self.0.borrow_mut();
        if (first..=last).any(|sector| memory.protected.contains(&sector)) {
            return false;
        }
        let count = if torn { bytes.len() / 2 } else { bytes.len() };
        let at = (address - START) as usize;
        for (cell, byte) in memory.flash[at..].iter_mut().zip(&bytes[..count]) {
            *cell &= byte;
        }
        memory.wear();
        true
    }

    pub(super) fn start(&self) {
        self.0.borrow_mut().started = true;
        self.reset();
    }

    /// Resets the chip into its program, if it has one.
    pub(super) fn reset(&self) {
        let running = self.would_start();
        self.0.borrow_mut().running = running;
    }

    fn sector_of(&self, address: u32) -> Option<usize> {
        let sectors = self.map().sectors;
        sectors.iter().position(|sector| (sector.start..sector.end()).contains(&address))
    }

    /// Stops the program: the chip is in its bootloader, halted, or kept busy by a debugger.
    pub(super) fn stop(&self) {
        self.0.borrow_mut().running = false;
    }
}

impl Memory {
    fn wear(&mut self) {
        if let Some((address, bits)) = self.stuck {
            self.flash[(address - START) as usize] &= !bits;
        }
    }
}
