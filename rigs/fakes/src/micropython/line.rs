//! A port to a board within the process. No time passes: where nothing comes, nothing will.

use std::io;
use std::time::Duration;

use pblink_flash::coprocessor::Port;

use super::Board;
use crate::line;

/// A port to a board.
#[derive(Debug)]
pub struct Line {
    board: Board,
}

impl Line {
    pub(super) fn new(board: Board) -> Self {
        Self { board }
    }
}

impl Port for Line {
    fn read(&mut self, buffer: &mut [u8], _timeout: Duration) -> io::Result<usize> {
        let mut chip = self.board.chip();
        if chip.gone {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        Ok(line::piece(&mut chip.output, buffer))
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut chip = self.board.chip();
        bytes.iter().for_each(|byte| chip.feed(*byte));
        if chip.gone { Err(io::ErrorKind::BrokenPipe.into()) } else { Ok(()) }
    }

    fn set_baud(&mut self, _baud: u32) -> io::Result<()> {
        Ok(())
    }

    fn set_lines(&mut self, _dtr: bool, _rts: bool) -> io::Result<()> {
        Ok(())
    }

    fn drain(&mut self) -> io::Result<()> {
        self.board.chip().output.clear();
        Ok(())
    }

    fn wait(&mut self, _time: Duration) {}
}
