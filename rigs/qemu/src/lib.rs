//! Test rigs for the firmwares' machine code. Nothing that ships depends on this crate.
//!
//! ```text
//!  QEMU: pblink-stm32 ── I2C, syn, ack, reset ── QEMU: pblink-esp8266 or pblink-esp32c3
//!          │ frames on its USART                   │ frames on its console
//!          └────────────── Rig ────────────────────┘
//!                           └── TCP ── pblink serve
//! ```
//!
//! | module | what it is |
//! |---|---|
//! | [`image`] | finds compilers and emulators, builds the images |
//! | [`chip`] | a QEMU process with a firmware, and the frames to and from it |
//! | [`rig`] | both boards, the wires and the network between them |
//! | [`server`] | a `pblink serve` process |
//! | [`ledger`] | which lines arrived, and whether any was lost or duplicated |
#![cfg(unix)]

mod bench;
pub mod chip;
pub mod command;
pub mod image;
pub mod ledger;
mod network;
pub mod rig;
pub mod seen;
pub mod server;
