//! Lies of a chip: what comes from it is changed by an input. What goes to it is not, so that a chip which is flashed all the
//! same has been told the truth.

use std::io;
use std::time::Duration;

use pblink_flash::coprocessor::Port;
use pblink_flash::stm32::{Alternate, DfuIo, IoError};

use crate::input::Input;

/// A connection whose far end lies. Behind the end of the input it says the truth.
pub struct Liar<'a, P> {
    pub truth: P,
    pub lies: Input<'a>,
}

impl<P> Liar<'_, P> {
    /// Changes an answer of this many bytes in its buffer, and returns how many bytes it has then.
    fn change(&mut self, buffer: &mut [u8], count: usize) -> usize {
        match self.lies.byte() {
            // Bytes are others: which ones, and how.
            1 => {
                let at = usize::from(self.lies.byte());
                if let Some(byte) = buffer[..count].get_mut(at) {
                    *byte ^= self.lies.byte();
                }
                count
            }
            // The end is missing.
            2 => count.saturating_sub(self.lies.byte().into()),
            // Something else came.
            3 => {
                let other = self.lies.counted();
                let count = other.len().min(buffer.len());
                buffer[..count].copy_from_slice(&other[..count]);
                count
            }
            // Something comes before it.
            4 => {
                let other = self.lies.counted();
                let room = buffer.len() - count;
                let other = &other[..other.len().min(room)];
                buffer.copy_within(..count, other.len());
                buffer[..other.len()].copy_from_slice(other);
                count + other.len()
            }
            // All of it is one byte.
            5 => {
                buffer[..count].fill(self.lies.byte());
                count
            }
            _ => count,
        }
    }
}

impl<P: Port> Port for Liar<'_, P> {
    fn read(&mut self, buffer: &mut [u8], timeout: Duration) -> io::Result<usize> {
        let count = self.truth.read(buffer, timeout)?;
        if count == 0 && self.lies.is_empty() {
            return Ok(0);
        }
        Ok(self.change(buffer, count))
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.truth.write(bytes)
    }

    fn set_baud(&mut self, baud: u32) -> io::Result<()> {
        self.truth.set_baud(baud)
    }

    fn set_lines(&mut self, dtr: bool, rts: bool) -> io::Result<()> {
        self.truth.set_lines(dtr, rts)
    }

    fn drain(&mut self) -> io::Result<()> {
        self.truth.drain()
    }

    fn wait(&mut self, time: Duration) {
        self.truth.wait(time);
    }
}

impl<I: DfuIo> DfuIo for Liar<'_, I> {
    fn name(&self) -> String {
        self.truth.name()
    }

    fn alternates(&self) -> &[Alternate] {
        self.truth.alternates()
    }

    fn transfer_size(&self) -> usize {
        self.truth.transfer_size()
    }

    fn select(&mut self, alternate: u8) -> Result<(), IoError> {
        self.truth.select(alternate)
    }

    fn control_out(&mut self, request: u8, value: u16, data: &[u8]) -> Result<(), IoError> {
        let done = self.truth.control_out(request, value, data);
        match self.lies.byte() {
            1 => Err(IoError::Stall),
            2 => Err(IoError::Timeout),
            _ => done,
        }
    }

    fn control_in(&mut self, request: u8, value: u16, out: &mut [u8]) -> Result<usize, IoError> {
        let count = self.truth.control_in(request, value, out)?;
        Ok(self.change(out, count))
    }

    fn pause(&mut self, time: Duration) {
        self.truth.pause(time);
    }

    fn now(&self) -> Duration {
        self.truth.now()
    }
}
