//! The images of the ESP8266: made of a linker's ELF file, and what stands in their headers.

mod check;
mod elf;
pub mod header;
mod layout;
mod sdk;

pub use check::check;
pub use elf::{FlashFrequency, FlashMode, FlashParameters, FlashSize, Image, parameters, patch};
pub use header::{FlashMap, Header, Size};
pub use layout::{SystemSectors, regions};
pub use sdk::SdkLayout;
