//! An ESP32-C3: the loader in its ROM, what a stub in RAM adds, its flash, its start, and faults.
//!
//! A [`Board`] is a pseudo-terminal for whole programs. It has no wires for a reset, as a board on a line without them:
//! [`Board::tap_reset`] is a person's finger.
//!
//! Sources: "Serial Protocol", "Boot Mode Selection" and "Firmware Image Format" in the documentation of Espressif's
//! esptool; `loader.py` and `targets/esp32c3.py` of esptool 5.6; the chapters "Chip Boot Control" (strapping pins),
//! "eFuse Controller", "SPI Controller" and "Watchdog Timers" of the ESP32-C3 Technical Reference Manual; the published
//! ROM of this revision where these say nothing (its order of checks, and its end after FLASH_END). Where the ROM takes
//! what is not described, such as memory that an earlier message left, the fake refuses.

mod boot;
mod chip;
mod image;
mod registers;
#[cfg(test)]
mod tests;

pub use image::{Regions, app, bootloader, table};

use crate::espressif;
pub use crate::espressif::{Fault, Running};
pub use crate::pty::Pty;
use chip::Chip;

/// The number of this chip in images and in the answer to GET_SECURITY_INFO.
pub const CHIP_ID: u16 = 5;

/// The first output of pblink's firmware when it starts.
pub const GREETING: &str = "pblink-esp32c3 0.1.0\r\nreset: Some(ChipPowerOn)\r\n";

/// Properties of a board.
#[derive(Debug, Clone)]
pub struct Options {
    /// The number of the chip that it claims to be.
    pub chip_id: u16,
    /// Bytes of flash.
    pub flash_size: usize,
    /// Faults of this board. There is no adapter, so none that refuses a speed.
    pub faults: Vec<Fault>,
    /// The first output of the program in flash when it starts.
    pub says: Vec<u8>,
    /// GPIO9 was low at the last reset of the whole chip, as a board has it whose button was held. The chip remembers
    /// it, so that a restart by software ends in the loader again. False: such a restart starts the program.
    pub latched: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            chip_id: CHIP_ID,
            flash_size: 4 << 20,
            faults: Vec::new(),
            says: GREETING.as_bytes().to_vec(),
            latched: true,
        }
    }
}

/// A board, in its loader, with old bytes all over its flash. Copies are the same board.
pub type Board = espressif::Board<Chip>;

impl Board {
    /// Makes a board.
    pub fn new(options: Options) -> Self {
        Self::of(Chip::new(options))
    }

    /// Makes a board with these faults, and otherwise the default one.
    pub fn with(faults: impl Into<Vec<Fault>>) -> Self {
        Self::new(Options { faults: faults.into(), ..Options::default() })
    }

    /// Taps the board's button RESET, with the other one let go: the whole chip is reset and starts its program.
    pub fn tap_reset(&self) {
        espressif::Chip::reset(&mut *self.chip(), false);
    }
}
