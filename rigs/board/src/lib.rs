//! The language of the emulated boards and their test harness. The firmwares' emulator boards and the
//! harness (`pblink-emulation`) use the same code, so that they cannot disagree.
//!
//! | module | what it is |
//! |---|---|
//! | [`frame`] | wires, network and test orders, as frames on one stream |
//! | [`numbered`] | the lines that tests send: each has a number, so that none is lost unnoticed |
//! | [`questions`] | the machines of `protocol` as questions and answers |

#![no_std]

pub mod frame;
pub mod numbered;
pub mod questions;
