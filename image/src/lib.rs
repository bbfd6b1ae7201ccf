//! The content of the flash of pblink's boards: written by tools, read by the boards and by tools.
//!
//! | module | contents | used by |
//! |---|---|---|
//! | [`map`] | the STM32s' memory, of each kind of board: sectors, program, settings; `memory.x` for the linker | STM32, tools |
//! | [`settings`] | what the STM32 keeps in a sector of its own: configuration and log level | STM32, tools |
//! | [`keys`] | the keys of the secure link: records that are appended to a sector of their own | STM32, tools |
//! | [`crc`] | the check sum of all of them | STM32, tools |
//! | [`identity`] | the name and version of a program, where tools find them | STM32, tools |
//! | `esp8266`, `stm32` | images, from the linker's ELF file (feature `make`) | tools |
//! | `esp32c3` | checks of images (feature `make`), and images from the linker's ELF file (feature `esp32c3`) | tools |
//! | `program` | the form that images for Espressif's chips have in common (feature `make`) | tools |
//! | `file` | formats of files that hold a program, but are not its bytes (feature `make`) | tools |
//! | `manifest`, `sizes` | the list of what was built, and the memory it takes (feature `make`) | tools |

#![cfg_attr(not(feature = "make"), no_std)]

pub mod crc;
pub mod identity;
pub mod keys;
pub mod map;
pub mod settings;

#[cfg(feature = "make")]
pub mod esp32c3;
#[cfg(feature = "make")]
pub mod esp8266;
#[cfg(feature = "make")]
pub mod file;
#[cfg(feature = "make")]
pub mod manifest;
#[cfg(feature = "make")]
pub mod program;
#[cfg(feature = "make")]
pub mod sizes;
#[cfg(feature = "make")]
pub mod stm32;

#[cfg(feature = "make")]
mod error;
#[cfg(feature = "make")]
mod region;

#[cfg(feature = "make")]
pub use error::{Error, Result};
#[cfg(feature = "make")]
pub use region::Region;

/// The examples of the README, as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
