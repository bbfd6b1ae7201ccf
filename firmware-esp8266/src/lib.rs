//! The fixed firmware of the ESP8266: everything but the hardware.
//!
//! All decisions are made by [`pblink_protocol::coprocessor::Coprocessor`]. This crate carries its
//! actions out on a [`Board`] and bounds the time that this takes, so that the chip's WiFi stack is
//! never starved. A board's main loop is:
//!
//! 1. report to the [`Program`] each [`Event`] of the network, when it happens ([`Program::event`]);
//! 2. after each event, each edge of `syn`, and when the time is up that it asked for, let it
//!    [`run`](Program::run).
//!
//! | feature | board |
//! |---|---|
//! | (none) | none: the library alone, as in the host's tests |
//! | `emulator` | QEMU's lx106 core; wires and network are carried by a harness |
//! | `sdk` | the chip, with Espressif's ESP8266_NONOS_SDK: compiled and linked, never run on a chip |
//! | `vectors` | the same core, but instead of the program it answers the tests' questions |

#![no_std]

mod board;
mod clock;
#[cfg(all(any(feature = "emulator", feature = "vectors"), target_arch = "xtensa"))]
mod emulator;
pub mod i2c;
mod program;
#[cfg(all(feature = "sdk", target_arch = "xtensa"))]
mod sdk;

pub use board::{Board, Event, SEND};
pub use clock::Clock;
pub use program::{BUDGET, Program};
