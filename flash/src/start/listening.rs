//! Listening to a program that starts: how long, and what counts. Takes bytes and the time since the start, does no I/O.

use std::time::Duration;

use super::{Boot, LISTEN, LOOP, Program};
use crate::Chip;

/// Time of silence after which a program that has said something counts as done: of somebody else, or one of ours that
/// has greeted.
const PAUSE: Duration = Duration::from_millis(1500);

/// Time to listen to a program that has restarted: three times, with a watchdog that bites after 3.2 s.
const LISTEN_RESTARTED: Duration = Duration::from_secs(15);

/// Time of silence after which a program that has restarted, or has not said a word of its own, counts as done: longer
/// than that watchdog, by which a program that hangs restarts.
const PAUSE_RESTARTED: Duration = Duration::from_secs(4);

/// A program that talks without end has said enough.
const ENOUGH: usize = 16384;

/// The words of a program so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listening {
    chip: Chip,
    program: Program,
    bytes: Vec<u8>,
    /// The end of the lines that were searched already.
    searched: usize,
    /// The line of pblink's firmware.
    greeting: Option<String>,
    /// Resets that the ROM has reported; the first is ours if `by_reset`.
    resets: u32,
    by_reset: bool,
    /// The program has said something: not all is of the ROM.
    spoke: bool,
    /// Time of the last byte.
    last: Duration,
}

impl Listening {
    /// Returns one that has heard nothing. `by_reset`: the chip was reset, and not only sent to the program.
    pub(super) fn new(chip: Chip, program: Program, by_reset: bool) -> Self {
        let (bytes, searched, greeting, resets) = (Vec::new(), 0, None, 0);
        let (spoke, last) = (false, Duration::ZERO);
        Self { chip, program, bytes, searched, greeting, resets, by_reset, spoke, last }
    }

    /// Returns how long to wait for the next bytes at this time since the start; none: it was listened to for long enough.
    pub(super) fn wait(&self, now: Duration) -> Option<Duration> {
        let restarts = self.restarts();
        let done = match self.program {
            // Who crashes after its greeting, as where the supply is too weak for the radio, has not started.
            Program::Pblink => self.greeting.is_some(),
            Program::Other => !self.bytes.is_empty(),
        };
        // One that talks without a pause does not crash.
        let talks = self.bytes.len() > ENOUGH && done && restarts == 0;
        if restarts >= LOOP || talks {
            return None;
        }
        let (whole, pause) = match restarts {
            // A prompt has no end of line.
            0 if self.spoke || self.searched < self.bytes.len() => (LISTEN, PAUSE),
            0 => (LISTEN, PAUSE_RESTARTED),
            _ => (LISTEN_RESTARTED, PAUSE_RESTARTED),
        };
        let end = if done { whole.min(self.last + pause) } else { whole };
        Some(end.saturating_sub(now)).filter(|wait| !wait.is_zero())
    }

    /// Takes what has come at this time since the start.
    pub(super) fn on_bytes(&mut self, now: Duration, bytes: &[u8]) {
        self.last = now;
        if self.bytes.len() > ENOUGH {
            // The greeting or a restart may still come; what is kept must not grow.
            self.bytes.drain(..ENOUGH / 2);
            self.searched = self.searched.saturating_sub(ENOUGH / 2);
        }
        self.bytes.extend(bytes);
        // Only whole lines, so that nothing is cut.
        let whole = self.bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
        let lines = &self.bytes[self.searched.min(whole)..whole];
        let voice = self.chip.voice();
        self.resets += voice.resets(lines);
        let mut new = Boot::new(self.chip);
        new.take(lines);
        let of_rom = |line: &String| voice.of_rom.iter().any(|begins| line.starts_with(begins));
        self.spoke |= new.garbled || !new.lines.iter().all(of_rom);
        self.greeting = self.greeting.take().or(new.greeting);
        self.searched = self.searched.max(whole);
    }

    /// Returns the number of restarts after the start.
    fn restarts(&self) -> u32 {
        self.resets.saturating_sub(self.by_reset.into())
    }

    /// Returns all that was heard.
    pub(super) fn finish(self) -> Boot {
        let mut boot = Boot { restarts: self.restarts(), ..Boot::new(self.chip) };
        boot.take(&self.bytes);
        boot.greeting = self.greeting.or(boot.greeting);
        boot
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROM: &[u8] = b"\r\n ets Jan  8 2013,rst cause:2, boot mode:(3,6)\r\n\r\n";
    const CRASH: &[u8] = b"Fatal exception 28 (LoadProhibitedCause):\r\nepc1=0x4020abcd\r\n";

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// Lets a program of these words listen, each at its time in ms, until it has heard enough; returns when that was.
    fn heard(program: Program, by_reset: bool, words: &[(u64, &[u8])]) -> (Boot, Duration) {
        let mut listening = Listening::new(Chip::Esp8266, program, by_reset);
        let (mut now, mut words) = (Duration::ZERO, words.iter());
        let mut next = words.next();
        while let Some(wait) = listening.wait(now) {
            match next {
                Some(&(at, bytes)) if ms(at) <= now + wait => {
                    now = ms(at).max(now);
                    listening.on_bytes(now, bytes);
                    next = words.next();
                }
                _ => now += wait,
            }
        }
        (listening.finish(), now)
    }

    #[test]
    fn restarts_are_counted_after_our_reset() {
        let round = [ROM, CRASH].concat();
        let thrice: Vec<(u64, &[u8])> = (0..9).map(|n| (200 * n, &round[..])).collect();
        for program in [Program::Pblink, Program::Other] {
            let (boot, when) = heard(program, true, &thrice);
            assert_eq!((boot.restarts, when), (3, ms(600)), "the fourth report of the ROM");
            let (boot, when) = heard(program, false, &thrice);
            assert_eq!((boot.restarts, when), (3, ms(400)), "jumped to, the first is one too many");
        }
        // In whatever pieces it comes.
        let all = round.repeat(4);
        let bytes: Vec<(u64, &[u8])> = all.chunks(1).map(|byte| (1, byte)).collect();
        assert_eq!(heard(Program::Other, true, &bytes).0.restarts, 3);
    }

    #[test]
    fn a_watchdog_is_waited_for_once_the_program_has_restarted() {
        let slow: Vec<(u64, &[u8])> = (0..9).map(|n| (1200 + 3200 * n, ROM)).collect();
        let words: Vec<_> = [(0, ROM)].into_iter().chain(slow.iter().copied()).collect();
        let (boot, when) = heard(Program::Other, true, &words);
        assert_eq!((boot.restarts, when), (3, ms(7600)));
        // A single restart is nothing: some programs do so to take over a setting.
        let (boot, when) = heard(Program::Other, true, &words[..2]);
        assert_eq!((boot.restarts, when), (1, ms(5200)));
        assert_eq!(boot.warning(), None);
        // Two are not enough, and it does not go on for ever.
        let often: Vec<(u64, &[u8])> = (0..99).map(|n| (500 * n, &b"x\r\n"[..])).collect();
        let words: Vec<_> = [(0, ROM), (1, ROM), (2, ROM)].into_iter().chain(often).collect();
        let (boot, when) = heard(Program::Other, true, &words);
        assert_eq!((boot.restarts, when), (2, ms(15_000)));
    }

    #[test]
    fn a_program_that_hangs_without_a_word_is_waited_for_until_its_watchdog_bites() {
        const LOADS: &[u8] =
            b"load 0x40100000, len 2592, room 16\r\ntail 0\r\nchksum 0xf3\r\ncsum 0xf3\r\n";
        let starts = [ROM, LOADS].concat();
        let hangs: Vec<(u64, &[u8])> = (0..9).map(|n| (3200 * n, &starts[..])).collect();
        let (boot, when) = heard(Program::Other, true, &hangs);
        assert_eq!((boot.restarts, when), (3, ms(9600)));
        // In pieces that end within a line, too.
        let bytes: Vec<(u64, &[u8])> = starts.chunks(7).map(|piece| (1, piece)).collect();
        assert_eq!(heard(Program::Other, true, &bytes).1, ms(4001));
        // One that has nothing to say costs a little time, one that has something does not.
        assert_eq!(heard(Program::Other, true, &hangs[..1]).1, ms(4000));
        for word in [&b"hello\r\n"[..], b">>> ", b"\x80\xfe\x91\x00"] {
            let (_, when) = heard(Program::Other, true, &[(0, &starts), (100, word)]);
            assert_eq!(when, ms(1600), "{word:?}");
        }
    }

    #[test]
    fn one_that_greets_and_crashes_has_not_started() {
        let greets = [ROM, b"pblink-esp8266 0.1.0\r\n"].concat();
        let (boot, when) = heard(Program::Pblink, true, &[(0, &greets)]);
        assert_eq!((boot.restarts, when), (0, ms(1500)));
        assert_eq!(boot.greeting.as_deref(), Some("pblink-esp8266 0.1.0"));
        let again: Vec<(u64, &[u8])> = (0..9).map(|n| (1000 * n, &greets[..])).collect();
        let (boot, _) = heard(Program::Pblink, true, &again);
        assert_eq!((boot.restarts, boot.greeting.is_some()), (3, true));
        assert!(boot.warning().unwrap().contains("restarts again and again"), "{boot:?}");
    }

    #[test]
    fn what_talks_without_end_is_bounded() {
        let long = b"x".repeat(1000);
        let words: Vec<(u64, &[u8])> = (0..9000).map(|n| (n, &long[..])).collect();
        let (boot, when) = heard(Program::Other, true, &words);
        assert!(when < ms(20) && boot.lines.concat().len() <= 2 * ENOUGH, "{when:?}");
        // Ours may still greet, and what crashes may still restart.
        let (boot, when) = heard(Program::Pblink, true, &words);
        assert_eq!(when, LISTEN);
        assert!(boot.lines.concat().len() <= 2 * ENOUGH);
        let round = [ROM, &[CRASH; 100].concat()[..]].concat();
        let words: Vec<(u64, &[u8])> = (0..9).map(|n| (200 * n, &round[..])).collect();
        for program in [Program::Pblink, Program::Other] {
            assert_eq!(heard(program, true, &words).0.restarts, 3);
        }
    }
}
