//! Test rigs for the firmwares' machine code. Nothing that ships depends on this crate.
//!
//! ```text
//!  Rig: AppBase (host code) ── wires, I2C ── QEMU: pblink-esp8266 (machine code)
//!                                              │ frames on its console
//!                                             Rig ── TCP ── pblink_server::Server
//! ```
//!
//! | module | what it is |
//! |---|---|
//! | [`image`] | finds compiler and emulator, builds the image |
//! | [`chip`] | a QEMU process with the firmware, and the frames to and from it |
//! | [`rig`] | an STM32 (host code), the wires, the network, and a [`Chip`](chip::Chip) |
//! | [`ledger`] | which lines arrived, and whether any was lost or doubled |
#![cfg(unix)]

pub mod chip;
pub mod image;
pub mod ledger;
mod network;
pub mod rig;
