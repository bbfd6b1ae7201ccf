//! The work of a loader on the chip's flash, whether it is the one in ROM or a stub in RAM.

use std::io;
use std::time::Duration;

use crate::esp8266::serial::connection::{Connection, Fault};
use crate::serial::port::Port;

/// Bytes, and where in flash they belong or lie.
#[derive(Debug, Clone, Copy)]
pub struct Part<'a> {
    /// Address of the first byte.
    pub address: u32,
    /// The bytes.
    pub bytes: &'a [u8],
}

/// The work that a loader is able to do.
#[derive(Debug, Clone, Copy)]
pub struct Abilities {
    /// Bytes from the beginning of flash that it can erase and write.
    pub reach: u32,
    /// It erases the sectors that it writes. Otherwise they must be erased before.
    pub erases_what_it_writes: bool,
    /// It compares whole parts at once, and so every byte.
    pub hashes: bool,
    /// The speed of the line can be changed without a reset.
    pub changes_baud: bool,
}

/// A loader that runs on the chip.
///
/// All of it may be done again after a [`Fault`]; the caller gets the loader's attention in between.
pub trait Backend<P: Port> {
    /// Returns the work that it is able to do.
    fn abilities(&self) -> Abilities;

    /// Connects the chip's SPI controller to the flash.
    fn attach(&self, connection: &mut Connection<P>) -> Result<(), Fault>;

    /// Erases these bytes, whole sectors.
    fn erase(&self, connection: &mut Connection<P>, address: u32, length: u32)
    -> Result<(), Fault>;

    /// Writes a part from the beginning of a sector. `done` gets the number of bytes that it has
    /// acknowledged, for each block; never, if it acknowledges nothing before the end.
    fn write(
        &self,
        connection: &mut Connection<P>,
        part: Part<'_>,
        done: &mut dyn FnMut(usize),
    ) -> Result<(), Fault>;

    /// Returns an address at which flash differs from a part, or from samples of it unless `all` is
    /// to be compared. `done` gets the number of bytes that are compared or passed over by now.
    fn differs(
        &self,
        connection: &mut Connection<P>,
        part: Part<'_>,
        all: bool,
        done: &mut dyn FnMut(usize),
    ) -> Result<Option<u32>, Fault>;

    /// Reads a part of flash.
    fn read(
        &self,
        connection: &mut Connection<P>,
        address: u32,
        length: u32,
    ) -> Result<Vec<u8>, Fault>;

    /// Changes the speed of the line on both ends.
    fn change_baud(&self, connection: &mut Connection<P>, from: u32, to: u32) -> Result<(), Fault>;

    /// Sends the command that jumps to the program in flash. Its answer is not waited for, since the
    /// jump may be quicker.
    fn run_program(&self, connection: &mut Connection<P>) -> io::Result<()>;
}

/// Returns a time-out for work on this many bytes, from the slowest chips' data sheets.
pub fn per_megabyte(seconds: u32, length: u32) -> Duration {
    Duration::from_secs(5) + Duration::from_secs(seconds.into()) * length.div_ceil(4096) / 256
}
