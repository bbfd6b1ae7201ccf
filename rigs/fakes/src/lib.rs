//! Boards that are only software, for the tests of flashing.
//!
//! Each behaves as the chip's manual says, down to what flash can and cannot do, and has faults that a
//! test can ask for. Nothing that ships depends on this crate.

pub mod esp32c3;
pub mod esp8266;
pub mod espressif;
mod esptool;
mod line;
pub mod micropython;
mod pty;
pub mod stm32;

pub use esptool::esptool;
