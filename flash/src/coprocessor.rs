//! The parts that flashing any coprocessor has in common: ports, words for what is done, and the first words of a program.

pub use crate::job::{Before, Erase, Flashed, Verified};
pub use crate::pieces::size_text;
pub use crate::serial::find::{FoundPort, Ports, SystemPorts, WantedPort, find};
pub use crate::serial::port::{Port, Serial};
pub use crate::serial::ports::{Adapter, adapters, only};
pub use crate::start::{Boot, Program};
