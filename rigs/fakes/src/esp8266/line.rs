//! A port to a board within the process. No time passes: where nothing comes, nothing will.

use std::io;
use std::time::Duration;

use pblink_flash::coprocessor::Port;

use super::{Board, Fault};
use crate::espressif::Chip as _;
use crate::line;

/// A port to a board, with the wires that reset it.
#[derive(Debug)]
pub struct Line {
    board: Board,
    baud: u32,
    wires: bool,
}

impl Line {
    pub(super) fn new(board: Board) -> Self {
        Self { board, baud: 115_200, wires: true }
    }

    /// Takes away the adapter's wires that reset the board.
    #[must_use]
    pub fn without_wires(mut self) -> Self {
        self.wires = false;
        self
    }
}

impl Port for Line {
    fn read(&mut self, buffer: &mut [u8], _timeout: Duration) -> io::Result<usize> {
        let mut chip = self.board.chip();
        let uart = &mut chip.core().uart;
        if uart.gone {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        Ok(line::piece(&mut uart.output, buffer))
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut chip = self.board.chip();
        if chip.core().uart.gone {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        chip.feed(bytes, self.baud);
        Ok(())
    }

    fn set_baud(&mut self, baud: u32) -> io::Result<()> {
        if self.board.chip().core().uart.faults.has(&Fault::NoSpeed(baud)) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        self.baud = baud;
        self.board.chip().core().uart.host_baud = baud;
        Ok(())
    }

    fn set_lines(&mut self, dtr: bool, rts: bool) -> io::Result<()> {
        if !self.wires {
            return Err(io::ErrorKind::Unsupported.into());
        }
        self.board.chip().lines(dtr, rts);
        Ok(())
    }

    fn drain(&mut self) -> io::Result<()> {
        self.board.chip().core().uart.output.clear();
        Ok(())
    }

    fn wait(&mut self, _time: Duration) {}
}
