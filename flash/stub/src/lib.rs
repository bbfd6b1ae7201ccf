//! The flasher stub: a program for the RAM of an ESP8266 that the chip's ROM loader starts.
//!
//! The ROM loader can write flash, slowly, and neither read nor verify it. The stub takes its place on
//! the serial line and speaks the commands that Espressif has published for such stubs, so every host
//! program that knows them can use it.
//!
//! | module | what it is |
//! |---|---|
//! | [`protocol`] | numbers of commands and errors |
//! | [`chip`] | what the stub needs of a chip |
//! | [`engine`] | the commands, for any such chip |
//! | `board` | the chip itself (feature `chip`) |
//! | [`rpc`], `bench` | what stands in for the chip's ROM in the emulator (feature `bench`) |
#![no_std]

pub mod chip;
pub mod engine;
pub mod protocol;
pub mod rpc;

mod writing;

#[cfg(all(target_arch = "xtensa", feature = "bench"))]
mod bench;
#[cfg(all(target_arch = "xtensa", feature = "chip"))]
mod board;
