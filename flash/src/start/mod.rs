//! The start of a program: its first words, and what they tell. Takes bytes and the time since the start, does no I/O but
//! in [`listen`].

mod listening;
mod voice;

use std::time::{Duration, Instant};

use crate::serial::port::Port;
use crate::{Chip, Error, Kind, Progress, Result, Step};
use listening::Listening;

/// Time to listen to a program that starts.
const LISTEN: Duration = Duration::from_secs(5);

/// Restarts that are no coincidence any more: some programs restart once after they were flashed, to take over a
/// setting.
const LOOP: u32 = 3;

/// The origin of the program that starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// The firmware of pblink, which greets within 5 s.
    Pblink,
    /// Any other: it may say what it likes, or nothing.
    Other,
}

/// The lines that were heard after the reset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Boot {
    /// The chip that was listened to.
    pub chip: Chip,
    /// All lines, without what cannot be printed.
    pub lines: Vec<String>,
    /// The line of pblink's firmware.
    pub greeting: Option<String>,
    /// Restarts after the start, each of which the ROM reports.
    pub restarts: u32,
    /// Much of it could not be read: the program speaks at another speed.
    pub garbled: bool,
    /// The reason why the listening ended early.
    pub cut: Option<String>,
}

impl Boot {
    /// Returns the words of a chip that has said nothing yet.
    pub fn new(chip: Chip) -> Self {
        let (lines, greeting, restarts, garbled, cut) = (Vec::new(), None, 0, false, None);
        Self { chip, lines, greeting, restarts, garbled, cut }
    }

    /// Returns what may be wrong, if anything may be, in one sentence.
    pub fn warning(&self) -> Option<String> {
        let baud = self.chip.boot_baud();
        if self.restarts >= LOOP {
            Some(format!(
                "the program restarts again and again ({} times so far): {}; {}",
                self.restarts,
                self.last_words(),
                self.chip.voice().if_it_restarts
            ))
        } else if self.greeting.is_some() {
            None
        } else if let Some(why) = &self.cut {
            Some(format!(
                "all of it is in flash, but what it says when it starts could not be heard ({why}): tap \
                 RESET, and look at its UART at {baud} baud"
            ))
        } else if self.lines.is_empty() {
            Some(format!(
                "the board said nothing after its reset: tap RESET, and look at its UART at {baud} baud"
            ))
        } else {
            None
        }
    }

    /// Checks from what was heard that the program has started. `reset`: by a reset, after
    /// which the ROM sets the speed; what is jumped to may keep the loader's, and cannot be read then.
    pub(crate) fn check(&self, program: Program, reset: bool) -> Result<()> {
        let voice = self.chip.voice();
        let heard = |text: &str| self.lines.iter().any(|line| line.contains(text));
        let failed = |cause: String, remedy: &str| Err(Error::new(Kind::Other, cause, remedy));
        let restarts = program == Program::Pblink && self.restarts >= LOOP;
        if restarts && !heard(voice.loader) {
            failed(
                format!(
                    "all of it is in flash, but the program restarts again and again ({} times so far): {}",
                    self.restarts,
                    self.last_words()
                ),
                voice.if_it_restarts,
            )
        } else if self.greeting.is_some() {
            Ok(())
        } else if heard(voice.loader) {
            failed(
                "all of it is in flash, but the board started its loader instead of the program"
                    .to_owned(),
                voice.if_in_loader,
            )
        } else if voice.nothing.iter().any(|text| heard(text)) {
            failed(
                "the board finds no program that starts in its flash".to_owned(),
                voice.if_nothing_starts,
            )
        } else if program == Program::Pblink && self.cut.is_none() && (reset || !self.garbled) {
            failed(
                format!(
                    "all of it is in flash, but the program did not greet within {} s of its start: {}",
                    LISTEN.as_secs(),
                    self.last_words()
                ),
                voice.if_it_does_not_greet,
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
    fn take(&mut self, bytes: &[u8]) {
        let readable = |byte: &u8| matches!(byte, b'\t' | b'\n' | b'\r' | b' '..=b'~');
        let strange = bytes.iter().filter(|byte| !readable(byte)).count();
        let voice = self.chip.voice();
        self.garbled = strange * 4 > bytes.len();
        let text: String =
            bytes.iter().filter(|byte| readable(byte)).map(|&byte| char::from(byte)).collect();
        self.lines = text
            .split(['\n', '\r'])
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .map(str::to_owned)
            .collect();
        self.greeting = self.lines.iter().find(|line| line.contains(voice.greeting)).cloned();
    }
}

/// Listens to a program that starts, until pblink's firmware has greeted and not restarted for 1.5 s or, with another
/// program, nothing more comes. A port that fails meanwhile is not an error: [`Boot::cut`]. `reset`: the chip was reset,
/// and not only sent to the program.
pub(crate) fn listen(
    port: &mut impl Port,
    (chip, program, reset): (Chip, Program, bool),
    progress: &mut dyn Progress,
) -> Boot {
    progress.begin(Step::Wait, "the program's first words", LISTEN.as_secs());
    let started = Instant::now();
    let mut heard = Listening::new(chip, program, reset);
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

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(text: &[u8]) -> Boot {
        let mut boot = Boot::new(Chip::Esp8266);
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

    #[test]
    fn an_esp32_c3_has_words_of_its_own() {
        let heard = |text: &[u8]| {
            let mut boot = Boot::new(Chip::Esp32c3);
            boot.take(text);
            boot
        };
        let rom =
            "ESP-ROM:esp32c3-api1-20210207\r\nrst:0x1 (POWERON),boot:0xc (SPI_FAST_FLASH_BOOT)\r\n";
        let greets = heard(format!("{rom}pblink-esp32c3 0.1.0\r\n").as_bytes());
        assert_eq!(greets.greeting.as_deref(), Some("pblink-esp32c3 0.1.0"));
        assert!(greets.check(Program::Pblink, true).is_ok());
        for (words, cause) in [
            (
                "rst:0x1 (POWERON),boot:0x5 (DOWNLOAD(USB/UART0/1))\r\nwaiting for download\r\n",
                "loader",
            ),
            ("invalid header: 0xffffffff\r\n", "no program that starts"),
            (
                "E (38) boot: No bootable app partitions in the partition table\r\n",
                "no program that starts",
            ),
            ("pblink-esp8266 0.1.0\r\n", "did not greet"),
        ] {
            let error = heard(words.as_bytes()).check(Program::Pblink, true).unwrap_err();
            assert!(error.cause().contains(cause), "{error}");
            assert!(!error.remedy().contains("ESP8266"), "{error}");
        }
        let restarts = Boot { restarts: LOOP, ..greets };
        assert!(!restarts.warning().unwrap().contains("--flash-mode"), "it has no such flag");
    }
}
