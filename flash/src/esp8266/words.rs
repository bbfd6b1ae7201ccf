//! The first words of a program, and what they tell.

use std::time::Duration;

use crate::{Error, Kind, Result};

/// The speed at which the chip's ROM speaks after a reset, with the usual crystal of 26 MHz. The
/// firmware of pblink keeps it.
pub const BOOT_BAUD: u32 = 74_880;

/// Time to listen to a program that starts.
pub(super) const LISTEN: Duration = Duration::from_secs(5);

/// Begins the line with which the firmware of pblink greets.
const GREETING: &str = "pblink-esp8266";

/// Restarts that are no coincidence any more: some programs restart once after they were flashed, to take over a
/// setting.
pub(super) const LOOP: u32 = 3;

/// The origin of the program that starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// The firmware of pblink, which greets within 5 s.
    Pblink,
    /// Any other: it may say what it likes, or nothing.
    Other,
}

/// The lines that were heard after the reset.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Boot {
    /// All lines, without what cannot be printed.
    pub lines: Vec<String>,
    /// The line of pblink's firmware.
    pub greeting: Option<String>,
    /// Restarts after the start, each of which the ROM reports as `rst cause`.
    pub restarts: u32,
    /// Much of it could not be read: the program speaks at another speed.
    pub garbled: bool,
    /// The reason why the listening ended early.
    pub cut: Option<String>,
}

/// Remedy for a program that restarts again and again.
const RESTARTS: &str = "check the supply (3.3 V, 300 mA), and that the program is for this board: an ESP8285 and some \
                        modules start with --flash-mode dout only, some programs with another --header-size only";

impl Boot {
    /// Returns what may be wrong, if anything may be, in one sentence.
    pub fn warning(&self) -> Option<String> {
        if self.restarts >= LOOP {
            Some(format!(
                "the program restarts again and again ({} times so far): {}; {RESTARTS}",
                self.restarts,
                self.last_words()
            ))
        } else if self.greeting.is_some() {
            None
        } else if let Some(why) = &self.cut {
            Some(format!(
                "all of it is in flash, but what it says when it starts could not be heard ({why}): tap \
                 RESET, and look at its UART at {BOOT_BAUD} baud"
            ))
        } else if self.lines.is_empty() {
            Some(format!(
                "the board said nothing after its reset: tap RESET, and look at its UART at {BOOT_BAUD} baud"
            ))
        } else {
            None
        }
    }

    /// Checks from what was heard that the program has started. `reset`: by a reset, after
    /// which the ROM sets the speed; what is jumped to may keep the loader's, and cannot be read then.
    pub(super) fn check(&self, program: Program, reset: bool) -> Result<()> {
        let heard = |text: &str| self.lines.iter().any(|line| line.contains(text));
        let failed = |cause: String, remedy: &str| Err(Error::new(Kind::Other, cause, remedy));
        let restarts = program == Program::Pblink && self.restarts >= LOOP;
        if restarts && !heard("boot mode:(1,") {
            failed(
                format!(
                    "all of it is in flash, but the program restarts again and again ({} times so far): {}",
                    self.restarts,
                    self.last_words()
                ),
                RESTARTS,
            )
        } else if self.greeting.is_some() {
            Ok(())
        } else if heard("boot mode:(1,") {
            failed(
                "all of it is in flash, but the board started its loader instead of the program"
                    .to_owned(),
                "let go of FLASH (GPIO0), and tap RESET",
            )
        } else if heard("ets_main.c") {
            failed(
                "the board finds no program that starts in its flash".to_owned(),
                "flash it again with --verify full, with a program for the ESP8266 at address 0; an ESP8285 and \
                 some modules need --flash-mode dout",
            )
        } else if program == Program::Pblink && self.cut.is_none() && (reset || !self.garbled) {
            failed(
                format!(
                    "all of it is in flash, but the program did not greet within {} s of its start: {}",
                    LISTEN.as_secs(),
                    self.last_words()
                ),
                "check the supply (3.3 V, 300 mA) and tap RESET; if it stays so, run `pblink build esp8266` \
                 and flash it again",
            )
        } else {
            Ok(())
        }
    }

    fn last_words(&self) -> String {
        /// Enough for an exception and its address.
        const LINES: usize = 3;
        const CHARS: usize = 80;
        if self.lines.is_empty() {
            let what = if self.garbled { "nothing that can be read" } else { "nothing" };
            return format!("the board said {what}");
        }
        let last = &self.lines[self.lines.len().saturating_sub(LINES)..];
        let short = |line: &String| line.chars().take(CHARS).collect::<String>();
        format!("the last it said was {:?}", last.iter().map(short).collect::<Vec<_>>().join(" / "))
    }

    /// Takes over the words; restarts are counted by whoever listens.
    pub(super) fn take(&mut self, bytes: &[u8]) {
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
    fn what_may_be_wrong_is_warned_of() {
        assert!(heard(b"").warning().unwrap().contains("said nothing"));
        assert_eq!(heard(b"MicroPython v1.13\n").warning(), None);
        assert!(heard(b"boot\n\x80\xfe\x91\x00\x8c").garbled);
        let cut = Boot { cut: Some("Broken pipe".to_owned()), ..heard(b"ets\n") };
        assert!(cut.warning().unwrap().contains("Broken pipe"));
        assert!(cut.check(Program::Pblink, true).is_ok());
    }

    #[test]
    fn a_program_that_restarts_again_and_again_is_an_error_of_ours_and_a_warning_of_others() {
        let words = b"rst cause:2, boot mode:(3,6)\nFatal exception 28\npblink-esp8266 0.1.0\n";
        for (restarts, fails) in [(0, false), (2, false), (3, true), (40, true)] {
            let boot = Boot { restarts, ..heard(words) };
            let error = boot.check(Program::Pblink, true).err();
            assert_eq!((error.is_some(), boot.warning().is_some()), (fails, fails), "{restarts}");
            if let Some(error) = error {
                let said = boot.warning().unwrap();
                assert!(error.cause().contains("restarts again and again"), "{error}");
                assert!(error.cause().contains("Fatal exception 28"), "{error}");
                assert!(error.remedy().contains("--flash-mode dout"), "{error}");
                assert!(
                    said.contains("Fatal exception 28") && said.contains("--flash-mode"),
                    "{said}"
                );
            }
            assert!(boot.check(Program::Other, true).is_ok());
        }
    }

    #[test]
    fn a_program_that_does_not_start_is_an_error() {
        let crash = b"boot mode:(3,6)\nFatal exception 28\nrst cause:2, boot mode:(3,6)\n";
        let cases: [(&[u8], Program, &str); 6] = [
            (b"boot mode:(1,6)\n", Program::Other, "loader"),
            (b"boot mode:(1,6)\n", Program::Pblink, "loader"),
            (b"boot mode:(3,6)\nets_main.c 400\n", Program::Other, "no program that starts"),
            (crash, Program::Pblink, "Fatal exception 28"),
            (b"", Program::Pblink, "said nothing"),
            (b"\x80\xfe\x91\x00", Program::Pblink, "nothing that can be read"),
        ];
        for (words, program, cause) in cases {
            let error = heard(words).check(program, true).unwrap_err();
            assert!(error.cause().contains(cause) && !error.remedy().is_empty(), "{error}");
        }
        for words in [&crash[..], b"", b"\x80\xfe\x91\x00"] {
            assert!(heard(words).check(Program::Other, true).is_ok());
        }
        let garbled = heard(b"\x80\xfe\x91\x00");
        assert!(
            garbled.check(Program::Pblink, false).is_ok(),
            "it may speak at the loader's speed"
        );
        assert!(heard(b"").check(Program::Pblink, false).is_err());
        assert!(
            heard(b"boot mode:(1,6)\npblink-esp8266 0.1.0\n").check(Program::Pblink, true).is_ok()
        );
    }
}
