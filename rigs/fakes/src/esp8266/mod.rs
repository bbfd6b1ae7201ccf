//! An ESP8266: the loader in its ROM, what a stub in RAM adds, its flash, and faults.
//!
//! A [`Board`] is used in two ways: [`Board::line`] is a port within the process, where no time passes;
//! [`Board::pty`] is a pseudo-terminal for whole programs.

mod boot;
mod chip;
mod fault;
mod flash;
mod hub;
mod line;
mod registers;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use boot::image;
pub use chip::Running;
pub use fault::Fault;
pub use hub::Hub;
pub use line::Line;

pub use crate::pty::Pty;
use chip::Chip;

/// The word that the ESP8266 has at 0x40001000.
pub const MAGIC: u32 = 0xfff0_c101;

/// The first output of pblink's firmware when it starts.
pub const GREETING: &str = "\r\npblink-esp8266 0.1.0\r\nlast reset: external\r\n";

/// Properties of a board.
#[derive(Debug, Clone)]
pub struct Options {
    /// The word that distinguishes chips.
    pub magic: u32,
    /// Bytes of flash.
    pub flash_size: usize,
    /// Faults of this board.
    pub faults: Vec<Fault>,
    /// The first output of the program in flash when it starts.
    pub says: Vec<u8>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            magic: MAGIC,
            flash_size: 4 << 20,
            faults: Vec::new(),
            says: GREETING.as_bytes().to_vec(),
        }
    }
}

/// A board, in its loader, with old bytes all over its flash. Copies are the same board.
#[derive(Debug, Clone)]
pub struct Board {
    chip: Arc<Mutex<Chip>>,
}

impl Board {
    /// Makes a board.
    pub fn new(options: Options) -> Self {
        let Options { magic, flash_size, faults, says } = options;
        Self { chip: Arc::new(Mutex::new(Chip::new(magic, flash_size, faults, says))) }
    }

    /// Makes a board with these faults, and otherwise the default one.
    pub fn with(faults: impl Into<Vec<Fault>>) -> Self {
        Self::new(Options { faults: faults.into(), ..Options::default() })
    }

    fn chip(&self) -> MutexGuard<'_, Chip> {
        self.chip.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns a port to it within this process.
    pub fn line(&self) -> Line {
        Line::new(self.clone())
    }

    /// Returns a pseudo-terminal to it.
    ///
    /// # Panics
    /// If the system has none.
    pub fn pty(&self) -> Pty {
        let board = self.clone();
        Pty::new(Box::new(move |bytes, baud| {
            let mut chip = board.chip();
            chip.host_baud = baud;
            chip.feed(bytes, baud);
            (!chip.gone).then(|| std::mem::take(&mut chip.output))
        }))
    }

    /// Returns the content of its flash.
    pub fn flash(&self) -> Vec<u8> {
        self.chip().flash.bytes().to_vec()
    }

    /// Returns the number of erasures of each sector.
    pub fn erased(&self) -> Vec<u32> {
        self.chip().flash.erased().to_vec()
    }

    /// Returns the program that runs on it.
    pub fn running(&self) -> Running {
        self.chip().running
    }

    /// Returns the number of data blocks that have come.
    pub fn blocks(&self) -> u32 {
        self.chip().faults.blocks
    }

    /// From now on, these bits of a byte of flash are 0.
    pub fn wear_out(&self, address: usize, bits: u8) {
        self.chip().flash.wear_out(address, bits);
    }

    /// From now on, this fault, with blocks and answers counted from here.
    pub fn fail(&self, fault: Fault) {
        self.chip().faults = fault::Faults { list: vec![fault], ..fault::Faults::default() };
    }

    /// Takes away all faults, and plugs the cable in again; the chip is reset into its loader.
    pub fn repair(&self) {
        let mut chip = self.chip();
        chip.faults.list.clear();
        chip.gone = false;
        chip.output.clear();
        chip.reset(true);
    }

    /// Returns true if a program would start after a reset: one whose checksum is right.
    pub fn would_start(&self) -> bool {
        boot::start(self.chip().flash.bytes()) == boot::Start::Program
    }
}
