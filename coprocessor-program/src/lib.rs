//! The fixed program of a coprocessor: everything but its chip.
//!
//! All decisions are made by [`pblink_protocol::coprocessor::Coprocessor`]. This crate carries its actions out on a
//! [`Board`] and bounds the time that this takes, so that the chip's WiFi stack is never starved. A board's main loop
//! is:
//!
//! 1. report to the [`Program`] each [`Event`] of the network, when it happens ([`Program::event`]);
//! 2. after each event, each edge of `syn`, and when the time is up that it asked for, let it
//!    [`run`](Program::run).
//!
//! [`i2c`] is the bus's master for chips that have none, or one that does not suit.

#![no_std]

mod board;
mod clock;
pub mod i2c;
mod program;

pub use board::{Board, Event, SEND, Syn};
pub use clock::Clock;
pub use program::{BUDGET, Program};
