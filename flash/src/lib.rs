//! Puts programs and settings onto the boards.
//!
//! | board | way | module |
//! |---|---|---|
//! | ESP8266 | its ROM loader over a serial port | [`esp8266`] |
//! | STM32 | a debug probe, or its own USB bootloader | [`stm32`] |
//!
//! Each way to a board is a small trait with the real thing and, in tests, a fake behind it. What has
//! to hold for every way (check the chip first, erase no more than needed, read back, never leave half
//! a program that starts) is written once, above the trait.
//!
//! Everything blocks: call it from a thread of its own. Nothing here prints: what is going on is told
//! to a [`Progress`], and what went wrong is an [`Error`] with its cause and a remedy.

pub mod esp8266;
pub mod stm32;

mod access;
mod error;
mod progress;

pub use error::{Error, Kind, Result};
pub use progress::{Progress, Silent, Step};

/// Bytes and where they belong in flash.
#[derive(Clone, PartialEq, Eq)]
pub struct Region {
    /// What the user knows it by: a file name.
    pub name: String,
    /// Address of the first byte: an offset in the ESP8266's flash, an address of the STM32's memory map.
    pub address: u32,
    /// The bytes.
    pub bytes: Vec<u8>,
}

impl std::fmt::Debug for Region {
    /// Without the bytes: there may be a password in them.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Region({} at {:#x}, {} bytes)", self.name, self.address, self.bytes.len())
    }
}

impl Region {
    /// The first address behind it; as `u64`, since it may be the end of the address space.
    pub fn end(&self) -> u64 {
        u64::from(self.address) + self.bytes.len() as u64
    }
}
