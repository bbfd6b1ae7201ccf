//! The ESP8266: its ROM loader over a serial port.
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
mod job;
mod loader;
mod plan;
mod serial;

pub use job::{Job, Verify, check};
pub use loader::chip::Mac;
pub use loader::stub::Stub;
pub use loader::{Connect, Device, Loader};
pub use pblink_image::esp8266::{FlashFrequency, FlashMap, FlashMode, Header, SdkLayout, Size};
