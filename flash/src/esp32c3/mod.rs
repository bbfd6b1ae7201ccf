//! The ESP32-C3: its ROM loader over a serial port, or over its own USB.
//!
//! [`Loader::connect`] brings the chip into its loader and checks that it is an ESP32-C3, before anything is changed;
//! [`Loader::flash`] erases, writes and verifies; [`Loader::boot`] starts the program. The language of the loader is that of
//! the library `espflash`; here is what has to hold for every board: pieces that are written again when the line is bad,
//! and an order in which a half-written program never starts.

mod errors;
mod job;
mod loader;

pub use job::{Job, check};
pub use loader::{Connect, Device, Loader};
