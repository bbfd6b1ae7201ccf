//! The parts of `pblink serve`: a [`hub`] around the server library, [`consumers`] of the lines
//! that boards send, and the [`control`] API with its client.
//!
//! The command is thin on this crate: it reads flags and `pblink.toml`, and prints.

// They wait for whoever reads, and panic when nobody does: what is to be seen goes through events or `tracing`.
#![deny(clippy::print_stdout, clippy::print_stderr)]

#[cfg(feature = "mdns")]
pub mod announce;
pub mod consumers;
pub mod control;
#[cfg(feature = "nats")]
pub mod gateways;
pub mod hub;
pub mod log;
pub mod memory;
mod message;
mod past;
mod refused;
pub mod service;
mod times;
mod web;

pub use log::Past;

/// The examples of the README, as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
