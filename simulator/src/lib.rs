//! Simulated boards: the real state machines of `pblink-protocol` on virtual wires.
//!
//! A [`Pair`] is an STM32 and its ESP8266 with the two wires, the reset wire and the I2C bus between
//! them, a radio, and a small user program that writes numbered lines. Everything in it happens in
//! virtual time: the owner says how far to go ([`Pair::advance`]) and when it is needed again
//! ([`Pair::next_at`]). There are two owners:
//!
//! - [`world`]: many pairs, a network and a server in memory. Nothing waits, everything follows from
//!   a seed: an hour of outages takes a second, and a failing seed fails again.
//! - [`live`]: one pair in real time on a real TCP socket, for `pblink demo` and `pblink simulate`.
//!
//! A [`scene`] is a world that is written down, with its faults and with all that must hold.
//! A [`campaign`] runs thousands of scenes by chance.
//!
//! Not modelled: electrical levels, rise times, clock stretching, more than one slave on the bus. See
//! `docs/ARCHITECTURE.md`.

pub mod campaign;
mod fault;
mod flaw;
mod ledger;
pub mod live;
mod pair;
mod program;
pub mod scene;
mod secure;
mod wires;
pub mod world;

pub use fault::{BusEnd, Fault, Wire};
pub use flaw::Flaw;
pub use ledger::{Ledger, Totals};
pub use pair::{NetCommand, Pair, PairEvent, PairOptions};
pub use program::{Program, ProgramOptions, sequence_of};
pub use secure::{Cryptography, Keeper, PairKeys};

/// The examples of the README, as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
