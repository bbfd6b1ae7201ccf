//! An ESP8266: the loader in its ROM, what a stub in RAM adds, its flash, and faults.
//!
//! A [`Board`] is used in two ways: [`Board::line`] is a port within the process, where no time passes;
//! [`Board::pty`] is a pseudo-terminal for whole programs.

mod boot;
mod chip;
mod hub;
mod line;
mod registers;

pub use boot::image;
pub use hub::Hub;
pub use line::Line;

use crate::espressif;
pub use crate::espressif::{Fault, Running};
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
pub type Board = espressif::Board<Chip>;

impl Board {
    /// Makes a board.
    pub fn new(options: Options) -> Self {
        let Options { magic, flash_size, faults, says } = options;
        Self::of(Chip::new(magic, flash_size, faults, says))
    }

    /// Makes a board with these faults, and otherwise the default one.
    pub fn with(faults: impl Into<Vec<Fault>>) -> Self {
        Self::new(Options { faults: faults.into(), ..Options::default() })
    }

    /// Returns a port to it within this process.
    pub fn line(&self) -> Line {
        Line::new(self.clone())
    }
}
