//! What lies in the flash of pblink's boards: written by tools, read by the boards and by tools.
//!
//! | module | contents | used by |
//! |---|---|---|
//! | [`settings`] | what the STM32 keeps in a sector of its own: configuration and log level | STM32, tools |
//! | [`identity`] | the name and version of a program, where tools find them | STM32, tools |
//! | `esp8266` | images for the ESP8266, from the linker's ELF file (feature `make`) | tools |

#![cfg_attr(not(feature = "make"), no_std)]

pub mod identity;
pub mod settings;

#[cfg(feature = "make")]
pub mod esp8266;

#[cfg(feature = "make")]
mod error;
#[cfg(feature = "make")]
mod region;

#[cfg(feature = "make")]
pub use error::{Error, Result};
#[cfg(feature = "make")]
pub use region::Region;
