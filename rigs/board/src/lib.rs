//! The language of the emulated boards and their test harness. The firmwares' emulator boards and the
//! harness (`pblink-emulation`) use the same code, so that they cannot disagree.
//!
//! | module | what it is |
//! |---|---|
//! | `coprocessor` | the emulator board of a coprocessor, apart from its core (feature of the same name) |
//! | [`frame`] | wires, network and test orders, as frames on one stream |
//! | [`numbered`] | the lines that tests send: each has a number, so that none is lost unnoticed |
//! | [`questions`] | the machines of `protocol` as questions and answers |

#![no_std]

#[cfg(feature = "coprocessor")]
pub mod coprocessor;
pub mod frame;
pub mod numbered;
pub mod questions;
