//! The ESP32-C3's images: made of the linker's ELF file, and checked before they are written.
//!
//! Three files lie in its flash: Espressif's second-stage bootloader at 0, the table of partitions at 0x8000, and the
//! program at 0x10000. The chip's ROM starts the first, which finds the last by the second.

mod check;
#[cfg(feature = "esp32c3")]
mod make;

pub use check::check;
#[cfg(feature = "esp32c3")]
pub use make::regions;

/// The place of the second-stage bootloader (ESP32-C3 Technical Reference Manual, 8.2; other chips have other places).
pub const BOOTLOADER: u32 = 0;

/// The place of the table of partitions: ESP-IDF's usual one.
pub const TABLE: u32 = 0x8000;

/// The place of the program: where the usual table begins its first partition for one.
pub const PROGRAM: u32 = 0x1_0000;
