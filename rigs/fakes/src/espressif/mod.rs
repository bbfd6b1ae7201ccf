//! Parts that the fakes of Espressif's chips have in common: both loaders speak the same protocol.

mod board;
mod fault;
mod flash;
pub(crate) mod image;
mod packet;
mod reading;
pub(crate) mod slip;
mod spi;
mod uart;

pub use board::{Board, Chip, Core, Running};
pub use fault::Fault;
pub(crate) use flash::{Flash, SECTOR};
pub(crate) use packet::{Arrival, Request};
pub(crate) use reading::Reading;
pub(crate) use spi::{Controller, Layout};

/// Reasons of a ROM for refusing a command, from the table "ROM Loader Errors" of Espressif's description of the
/// serial protocol.
pub(crate) mod reason {
    /// The message has a wrong format.
    pub const INVALID: u8 = 5;
    /// The command was carried out and failed.
    pub const FAILED: u8 = 6;
    /// The check sum of the data is wrong.
    pub const CHECKSUM: u8 = 7;
    /// Flash does not hold what was written.
    pub const WRITE: u8 = 8;
    /// The compressed data are damaged.
    pub const DEFLATE: u8 = 0xb;

    /// Returns the reason that a loader in RAM gives where the ROM gives this one.
    pub fn of_stub(reason: u8) -> u8 {
        match reason {
            INVALID => 0xff,
            CHECKSUM => 0xc1,
            FAILED | WRITE => 0xc4,
            DEFLATE => 0xc7,
            other => other,
        }
    }
}
