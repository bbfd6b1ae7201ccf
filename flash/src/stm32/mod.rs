//! The STM32: its flash sectors, and the two ways to them: a debug probe, USB DFU.
//!
//! ```text
//!   connect() ── finds a board, waits for one
//!       │
//!   program(), write_settings(), append_keys() … ── what holds for every way
//!       │
//!    Target ──┬── Dfu ──── DfuIo ───── USB                 (or a fake bootloader)
//!             └── Probe ── DebugLink ─ probe-rs            (or a fake probe)
//! ```
//!
//! Made for the boards that `pblink_image::map` knows. A program that names its board is refused by a chip with other flash
//! sectors; a probe also checks the device number, while over USB a Black Pill and a Nucleo-F446RE cannot be told apart.
//! Chips whose flash behaves alike (STM32F2, F4, F7: sectors, bits that can be cleared at any time) take programs too, and
//! settings if they have a sector where [`SETTINGS`] is.

mod check;
mod dfu;
mod find;
mod keys;
mod layout;
mod probe;
mod program;
mod settings;
#[cfg(feature = "probe")]
mod swd;
mod usb;

pub use check::{board_of, check_program};
pub use dfu::{Alternate, Dfu, DfuIo, IoError, request, state};
pub use find::{Bus, Found, Selector, Via, Wanted, connect};
pub use keys::{append_keys, read_keys};
pub use layout::{KEYS, Layout, PROGRAM, SETTINGS, Sector};
pub use probe::{DBGMCU_IDCODE, DebugLink, FLASH_OPTCR, FLASH_OPTKEYR, FLASH_SR, LinkError, Probe};
pub use program::{Outcome, program, write_program};
pub use settings::{read_settings, write_settings};
pub use usb::UsbBus;

use crate::Result;

/// Protection that keeps a program from the flash.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Protection {
    /// Read-out protection is on: nothing can be read or written.
    pub readout: bool,
    /// Numbers of the sectors that cannot be erased or written.
    pub sectors: Vec<usize>,
}

/// A way to the flash of one board.
///
/// Addresses and lengths are multiples of 4 in all calls. Each error says what to do.
pub trait Target {
    /// Returns the name by which the user knows the device.
    fn name(&self) -> String;

    /// Returns the sectors of its flash.
    fn layout(&self) -> &Layout;

    /// Returns the number of bytes to read or write at once; at least 4. Between two such pieces the user
    /// can stop.
    fn piece(&self) -> usize;

    /// Returns the protection that is known. A way that cannot read it returns none: the work then fails when
    /// it comes to it.
    ///
    /// # Errors
    /// The device is gone, or does not answer.
    fn protection(&mut self) -> Result<Protection>;

    /// Fills `out` from this address on.
    ///
    /// # Errors
    /// The device is gone, does not answer, or refuses.
    fn read(&mut self, address: u32, out: &mut [u8]) -> Result<()>;

    /// Makes all bytes of a sector 0xff. A bootloader may say that it did and have done nothing, since the
    /// sector is protected: look.
    ///
    /// # Errors
    /// See [`Self::read`].
    fn erase(&mut self, sector: &Sector) -> Result<()>;

    /// Clears bits: writing 0xff changes nothing.
    ///
    /// # Errors
    /// See [`Self::read`].
    fn write(&mut self, address: u32, bytes: &[u8]) -> Result<()>;

    /// Keeps the program from running until [`Self::start`], a reset, or the supply ends, also after this
    /// connection. Without it and without [`Self::start`], a chip that a probe has halted continues its
    /// program.
    ///
    /// # Errors
    /// See [`Self::read`].
    fn hold(&mut self) -> Result<()>;

    /// Turns read-out protection on, level 1, unless it is on. It holds when the supply comes on the next time, at the latest.
    /// The device may be gone after it.
    ///
    /// Whoever takes it off again erases the whole chip.
    ///
    /// # Errors
    /// See [`Self::read`].
    fn lock(&mut self) -> Result<()>;

    /// Starts the program; the device may be gone after it.
    ///
    /// # Errors
    /// See [`Self::read`].
    fn start(&mut self) -> Result<()>;
}
