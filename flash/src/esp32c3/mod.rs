//! The ESP32-C3: its ROM loader over a serial port, or over its own USB.
//!
//! [`Loader::connect`] brings the chip into its loader and checks that it is an ESP32-C3, before anything is changed;
//! [`Loader::flash`] erases, writes and verifies; [`Loader::boot`] starts the program. The language of the loader is that of
//! the library `espflash`; here is what has to hold for every board: pieces that are written again when the line is bad,
//! and an order in which a half-written program never starts.

mod errors;
mod job;
mod loader;

pub use crate::job::{Erase, Flashed, Verified};
pub use crate::pieces::size_text;
pub use crate::serial::find::{FoundPort, Ports, SystemPorts, WantedPort, find};
pub use crate::serial::port::Serial;
pub use crate::serial::ports::{Adapter, adapters};
pub use crate::start::{Boot, Program};
pub use job::{Job, check};
pub use loader::{Before, Connect, Device, Loader};
