//! Starting the new program, and hearing its first words.

use std::time::{Duration, Instant};

use super::listening::Listening;
use super::loader::Loader;
use super::words::{BOOT_BAUD, Boot, LISTEN, Program};
use crate::serial::port::Port;
use crate::{Progress, Result, Step};

impl<P: Port> Loader<P> {
    /// Leaves the loader, starts the program, and listens until pblink's firmware has greeted and not restarted for 1.5 s or,
    /// with another program, nothing more comes. A port that fails meanwhile is not an error: [`Boot::cut`].
    ///
    /// # Errors
    /// [`Kind::Other`](crate::Kind::Other): the board found no program that starts, started its loader again, or runs pblink's
    /// firmware without a greeting, as one does that crashes at once, or restarts it again and again.
    pub fn boot(mut self, program: Program, progress: &mut dyn Progress) -> Result<Boot> {
        progress.begin(Step::Wait, "the program's first words", LISTEN.as_secs());
        let (boot, reset) = match self.leave() {
            Ok(reset) => (self.listen(program, reset, progress), reset),
            Err(error) => (Boot { cut: Some(error.to_string()), ..Boot::default() }, self.wires),
        };
        boot.check(program, reset)?;
        if !boot.lines.is_empty() || boot.garbled {
            progress.end();
        }
        if !self.wires {
            progress.note(
                "tap RESET once, with FLASH let go: the chip remembers from its last reset that GPIO0 was low, and a \
                 restart by itself would end in the loader",
            );
        }
        Ok(boot)
    }

    /// Starts the program; returns true if by a reset.
    fn leave(&mut self) -> std::io::Result<bool> {
        let port = &mut self.connection.port;
        if self.wires && port.set_lines(false, true).is_ok() {
            port.wait(Duration::from_millis(100));
            port.set_baud(BOOT_BAUD)?;
            port.drain()?;
            port.set_lines(false, false)?;
            return Ok(true);
        }
        // Without wires the loader has to jump. A restart would not do: the chip would remember that
        // GPIO0 was low.
        self.backend().run_program(&mut self.connection)?;
        let port = &mut self.connection.port;
        // The command has to leave at the old speed.
        port.wait(Duration::from_millis(20));
        port.set_baud(BOOT_BAUD)?;
        Ok(false)
    }

    fn listen(&mut self, program: Program, reset: bool, progress: &mut dyn Progress) -> Boot {
        let port = &mut self.connection.port;
        let started = Instant::now();
        let mut heard = Listening::new(program, reset);
        let mut cut = None;
        let mut buffer = [0; 1024];
        while let Some(wait) = heard.wait(started.elapsed()) {
            if progress.cancelled() {
                cut = Some("stopped".to_owned());
                break;
            }
            match port.read(&mut buffer, wait) {
                Ok(0) => break,
                Ok(count) => heard.on_bytes(started.elapsed(), &buffer[..count]),
                Err(error) => {
                    cut = Some(error.to_string());
                    break;
                }
            }
            progress.advance(started.elapsed().as_secs().min(LISTEN.as_secs()));
        }
        Boot { cut, ..heard.finish() }
    }
}
