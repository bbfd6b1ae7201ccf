//! Puts programs and settings onto the boards.
//!
//! | board | way | module |
//! |---|---|---|
//! | ESP8266 | its ROM loader over a serial port | [`esp8266`] |
//! | ESP32-C3 | its ROM loader over a serial port or its own USB, by the library `espflash` | `esp32c3` (feature) |
//! | STM32 | a debug probe, or its own USB bootloader | [`stm32`] |
//! | a board with MicroPython | its raw REPL over a serial port | [`micropython`] |
//!
//! [`coprocessor`] has what the first two have in common.
//!
//! Each way to a board is a small trait with the real thing and, in tests, a fake behind it. What has
//! to hold for every way (check the chip first, erase no more than needed, read back, never leave half
//! a program that starts) is written once, above the trait.
//!
//! Everything blocks: call it from a thread of its own. Nothing here prints: a [`Progress`] receives
//! what is happening, and a failure is an [`Error`] with its cause and a remedy.

pub mod coprocessor;
#[cfg(feature = "esp32c3")]
pub mod esp32c3;
pub mod esp8266;
pub mod micropython;
pub mod stm32;

mod access;
mod chip;
mod error;
mod job;
mod pieces;
mod progress;
mod serial;
mod shown;
mod start;

pub use chip::Chip;
pub use error::{Error, Kind, Result};
pub use pblink_image::Region;
pub use progress::{Progress, Silent, Step};

/// The examples of the README, as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
