//! The ESP8266: its images, and its ROM loader over a serial port.
//!
//! [`Loader::connect`] brings the chip into its loader and checks that it is an ESP8266, before anything
//! is changed; [`Loader::flash`] erases, writes and verifies; [`Loader::boot`] starts the program.
//! All of it works with the loader in the chip's ROM, and faster and more thoroughly with a [`Stub`], a
//! loader for its RAM.
//!
//! | | ROM loader | stub |
//! |---|---|---|
//! | writes | as it is | compressed |
//! | verifies | 64 bytes of every sector, or everything slowly | everything, by MD5 |
//! | baud rate | the first one | can be changed |
//! | skips what is unchanged | no | yes, unless all is erased |

mod boot;
mod chip;
mod header;
mod image;
mod job;
mod layout;
mod link;
mod loader;
mod packet;
mod plan;
mod port;
mod ports;
mod rom;
mod shown;
mod slip;
mod spi;
mod stub;

pub use boot::{BOOT_BAUD, Boot, Program};
pub use chip::Mac;
pub use header::{Header, Size};
pub use image::{
    FlashFrequency, FlashMode, FlashParameters, FlashSize, Image, MAGIC, parameters, patch,
};
pub use job::{Erase, Flashed, Job, Verified, Verify};
pub use layout::{SystemSectors, regions};
pub use loader::{Before, Connect, Device, Loader};
pub use plan::size_text;
pub use port::{Port, Serial};
pub use ports::{Adapter, adapters, only};
pub use stub::Stub;
