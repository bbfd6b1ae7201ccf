//! The parts of `pblink serve`: a [`hub`] around the server library, [`consumers`] of the lines
//! that boards send, and the [`control`] API with its client.
//!
//! The command is thin on this crate: it reads flags and `pblink.toml`, and prints.

pub mod consumers;
pub mod control;
pub mod hub;
