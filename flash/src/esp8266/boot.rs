//! Starting the new program, and hearing its first words.

use std::time::Duration;

use super::loader::Loader;
use crate::serial::port::Port;
use crate::start::{Boot, Program, listen};
use crate::{Chip, Progress, Result};

const CHIP: Chip = Chip::Esp8266;

impl<P: Port> Loader<P> {
    /// Leaves the loader, starts the program, and listens until pblink's firmware has greeted and not restarted for 1.5 s or,
    /// with another program, nothing more comes. A port that fails meanwhile is not an error: [`Boot::cut`].
    ///
    /// # Errors
    /// [`Kind::Other`](crate::Kind::Other): the board found no program that starts, started its loader again, or runs pblink's
    /// firmware without a greeting, as one does that crashes at once, or restarts it again and again.
    pub fn boot(mut self, program: Program, progress: &mut dyn Progress) -> Result<Boot> {
        let (boot, reset) = match self.leave() {
            Ok(reset) => {
                let heard = (CHIP, program, reset);
                (listen(&mut self.connection.port, heard, progress), reset)
            }
            Err(error) => (Boot { cut: Some(error.to_string()), ..Boot::new(CHIP) }, self.wires),
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
            port.set_baud(CHIP.boot_baud())?;
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
        port.set_baud(CHIP.boot_baud())?;
        Ok(false)
    }
}
