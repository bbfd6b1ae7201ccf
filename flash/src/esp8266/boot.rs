//! Starting the new program, and hearing its first words.

use std::time::{Duration, Instant};

use super::link::SHORT;
use super::loader::Loader;
use super::packet::{self, Op};
use super::port::Port;
use crate::{Progress, Result, Step};

/// The speed at which the chip's ROM speaks after a reset, with the usual crystal of 26 MHz. The
/// firmware of pblink keeps it.
pub const BOOT_BAUD: u32 = 74_880;

/// Begins the line with which the firmware of pblink greets.
const GREETING: &str = "pblink-esp8266";

/// How long to listen.
const LISTEN: Duration = Duration::from_secs(5);

/// How long a program that has said something may be silent before it counts as done.
const PAUSE: Duration = Duration::from_millis(1500);

/// What was heard after the reset.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Boot {
    /// All lines, without what cannot be printed.
    pub lines: Vec<String>,
    /// The line of pblink's firmware.
    pub greeting: Option<String>,
    /// Much of it could not be read: the program speaks at another speed.
    pub garbled: bool,
}

impl Boot {
    /// What is wrong, if anything is, in one sentence.
    pub fn warning(&self) -> Option<&'static str> {
        let heard = |text: &str| self.lines.iter().any(|line| line.contains(text));
        if self.greeting.is_some() {
            None
        } else if heard("boot mode:(1,") {
            Some(
                "the board started its loader instead of the program: let go of FLASH, and tap RESET",
            )
        } else if heard("ets_main.c") {
            Some("the board found no program that starts: flash it again")
        } else if self.lines.is_empty() {
            Some(
                "the board said nothing after its reset: tap RESET, and look at its UART at 74880 baud",
            )
        } else {
            None
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        let readable = |byte: &u8| matches!(byte, b'\t' | b'\n' | b'\r' | b' '..=b'~');
        let strange = bytes.iter().filter(|byte| !readable(byte)).count();
        self.garbled = strange * 4 > bytes.len();
        let text: String =
            bytes.iter().filter(|byte| readable(byte)).map(|&byte| char::from(byte)).collect();
        self.lines = text
            .split(['\n', '\r'])
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .map(str::to_owned)
            .collect();
        self.greeting = self.lines.iter().find(|line| line.contains(GREETING)).cloned();
    }
}

impl<P: Port> Loader<P> {
    /// Leaves the loader, starts the program, and listens until pblink's firmware has greeted or nothing
    /// more comes. Other programs say other things, or nothing: that is no error.
    ///
    /// # Errors
    /// [`crate::Kind::Vanished`].
    pub fn boot(mut self, progress: &mut dyn Progress) -> Result<Boot> {
        progress.begin(Step::Wait, "the program's first words", LISTEN.as_secs());
        let boot = self.leave().and_then(|()| self.listen(progress));
        let boot = boot.map_err(|error| self.explain(error.into()))?;
        progress.end();
        Ok(boot)
    }

    fn leave(&mut self) -> std::io::Result<()> {
        let port = &mut self.link.port;
        if self.wires && port.set_lines(false, true).is_ok() {
            port.wait(Duration::from_millis(100));
            port.set_baud(BOOT_BAUD)?;
            port.drain()?;
            return port.set_lines(false, false);
        }
        // Without wires the loader has to jump. A restart would not do: the chip would remember that
        // GPIO0 was low. No answer is waited for, since the jump may be quicker.
        let (op, data) = if self.in_stub() {
            (Op::RunUserCode, Vec::new())
        } else {
            let begin = packet::words([0, 0, 1024, 0]);
            let _ = self.link.command(Op::FlashBegin, &begin, SHORT);
            (Op::FlashEnd, packet::words([1]))
        };
        let port = &mut self.link.port;
        port.write(&packet::command(op, &data, 0))?;
        // The command has to leave at the old speed.
        port.wait(Duration::from_millis(20));
        port.set_baud(BOOT_BAUD)
    }

    fn listen(&mut self, progress: &mut dyn Progress) -> std::io::Result<Boot> {
        /// A program that talks without end has said enough.
        const ENOUGH: usize = 16384;
        let port = &mut self.link.port;
        let started = Instant::now();
        let mut bytes = Vec::new();
        let mut boot = Boot::default();
        let mut buffer = [0; 1024];
        while boot.greeting.is_none() && bytes.len() < ENOUGH && !progress.cancelled() {
            let left = LISTEN.saturating_sub(started.elapsed());
            let wait = if bytes.is_empty() { left } else { left.min(PAUSE) };
            let count = if wait.is_zero() { 0 } else { port.read(&mut buffer, wait)? };
            if count == 0 {
                break;
            }
            bytes.extend(&buffer[..count]);
            // Only whole lines, so that the greeting is not cut.
            let whole = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
            boot.take(&bytes[..whole]);
            progress.advance(started.elapsed().as_secs());
        }
        boot.take(&bytes);
        Ok(boot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(text: &[u8]) -> Boot {
        let mut boot = Boot::default();
        boot.take(text);
        boot
    }

    #[test]
    fn our_greeting_is_found_among_the_rom_s_words() {
        let boot = heard(
            b"\xff ets Jan  8 2013,rst cause:2, boot mode:(3,6)\r\n\r\npblink-esp8266 0.1.0\r\n",
        );
        assert_eq!(boot.greeting.as_deref(), Some("pblink-esp8266 0.1.0"));
        assert_eq!(boot.lines.len(), 2);
        assert_eq!((boot.garbled, boot.warning()), (false, None));
    }

    #[test]
    fn what_goes_wrong_at_the_start_is_told() {
        assert!(heard(b"").warning().unwrap().contains("said nothing"));
        assert!(heard(b"boot mode:(1,6)\n").warning().unwrap().contains("FLASH"));
        assert!(heard(b"boot mode:(3,6)\nets_main.c\n").warning().unwrap().contains("no program"));
        assert_eq!(heard(b"MicroPython v1.13\n").warning(), None);
        assert!(heard(b"boot\n\x80\xfe\x91\x00\x8c").garbled);
    }
}
