//! Happenings on a board that its server learns of over the secure link, beside the lines.
//!
//! | kind | happening | details |
//! |---|---|---|
//! | 1 | the ESP8266's report | connects, number, free memory: 4 bytes each, big-endian |
//! | 2 | the ESP8266 was reset | the cause, 1 byte: see [`ResetCause`] |
//! | 3 | the STM32 has started | the cause, 1 byte: see [`RestartCause`] |
//!
//! A reset and a start are told once there is a link again; a report only while there is one. Kinds and causes that are not known
//! are passed over. New ones are appended.

use core::fmt;

use super::supervisor::ResetCause;
use crate::i2c::Failure;
use crate::report::Report;

/// A happening on a board.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Happening {
    /// The ESP8266 has reported about itself.
    Report(Report),
    /// The ESP8266 was reset.
    Reset(ResetCause),
    /// The STM32's program has started.
    Restart(RestartCause),
}

/// The reason for which an STM32 has started, as its chip knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum RestartCause {
    /// It got its power.
    PowerOn,
    /// Its supply voltage fell too low, and rose again.
    BrownOut,
    /// Its reset pin: a button, a probe, or another chip.
    ResetPin,
    /// Its program has asked for it, as it does after a panic.
    Software,
    /// The independent watchdog: its program has fed it no more.
    IndependentWatchdog,
    /// The window watchdog: its program has fed it too late, or too soon.
    WindowWatchdog,
    /// It was to enter a low-power mode that its option bytes forbid.
    LowPower,
    /// The chip does not know, or was not asked.
    Unknown,
}

impl fmt::Display for RestartCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PowerOn => "power on",
            Self::BrownOut => "brown-out",
            Self::ResetPin => "reset pin",
            Self::Software => "its program asked for it, or panicked",
            Self::IndependentWatchdog => "watchdog: its program hung",
            Self::WindowWatchdog => "window watchdog",
            Self::LowPower => "a low-power mode that is forbidden",
            Self::Unknown => "unknown cause",
        })
    }
}

const REPORT: u8 = 1;
const RESET: u8 = 2;
const RESTART: u8 = 3;

/// The causes of a start, by the byte that stands for each. New ones are appended.
const RESTARTS: [RestartCause; 8] = [
    RestartCause::PowerOn,
    RestartCause::BrownOut,
    RestartCause::ResetPin,
    RestartCause::Software,
    RestartCause::IndependentWatchdog,
    RestartCause::WindowWatchdog,
    RestartCause::LowPower,
    RestartCause::Unknown,
];

/// The causes of a reset, by the byte that stands for each. New ones are appended.
const CAUSES: [ResetCause; 10] = [
    ResetCause::Silent,
    ResetCause::NoServer,
    ResetCause::Requested,
    ResetCause::Unproven,
    ResetCause::Exchange(Failure::NoAnswer),
    ResetCause::Exchange(Failure::NoBoot),
    ResetCause::Exchange(Failure::Bus),
    ResetCause::Exchange(Failure::BadHeader),
    ResetCause::Exchange(Failure::Restarted),
    ResetCause::Garbled,
];

impl Happening {
    /// Bytes of the longest details.
    pub const MAX: usize = 12;

    /// Returns the kind, as the wire has it.
    pub const fn kind(&self) -> u8 {
        match self {
            Self::Report(_) => REPORT,
            Self::Reset(_) => RESET,
            Self::Restart(_) => RESTART,
        }
    }

    /// Writes the details, and returns their length.
    pub fn encode(&self, out: &mut [u8; Self::MAX]) -> usize {
        match self {
            Self::Report(Report { connects, number, mem_free }) => {
                for (place, field) in out.chunks_exact_mut(4).zip([connects, number, mem_free]) {
                    place.copy_from_slice(&field.to_be_bytes());
                }
                12
            }
            Self::Reset(cause) => {
                out[0] = code(&CAUSES, cause);
                1
            }
            Self::Restart(cause) => {
                out[0] = code(&RESTARTS, cause);
                1
            }
        }
    }

    /// Reads a kind and its details. `None`: they are not known.
    pub fn decode(kind: u8, details: &[u8]) -> Option<Self> {
        match (kind, details) {
            (REPORT, _) if details.len() == 12 => {
                let field = |at: usize| Some(u32::from_be_bytes(*details[at..].first_chunk()?));
                let (connects, number, mem_free) = (field(0)?, field(4)?, field(8)?);
                Some(Self::Report(Report { connects, number, mem_free }))
            }
            (RESET, &[code]) => CAUSES.get(usize::from(code)).copied().map(Self::Reset),
            (RESTART, &[code]) => RESTARTS.get(usize::from(code)).copied().map(Self::Restart),
            _ => None,
        }
    }
}

/// Returns the byte that stands for a cause. A test has all of them.
fn code<T: PartialEq>(known: &[T], cause: &T) -> u8 {
    known.iter().position(|it| it == cause).map_or(u8::MAX, |code| code as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes are on the wire: those of causes that are there already never change.
    #[test]
    fn each_cause_of_a_start_has_its_byte() {
        for (byte, cause) in RESTARTS.into_iter().enumerate() {
            let expected = match cause {
                RestartCause::PowerOn => 0,
                RestartCause::BrownOut => 1,
                RestartCause::ResetPin => 2,
                RestartCause::Software => 3,
                RestartCause::IndependentWatchdog => 4,
                RestartCause::WindowWatchdog => 5,
                RestartCause::LowPower => 6,
                RestartCause::Unknown => 7,
            };
            assert_eq!(byte, expected);
        }
    }

    #[test]
    fn what_is_written_is_read_and_what_is_not_known_is_passed_over() {
        let report = Report { connects: 1, number: 0x0203_0405, mem_free: u32::MAX };
        let resets = CAUSES.map(Happening::Reset);
        let restarts = RESTARTS.map(Happening::Restart);
        let all = resets.into_iter().chain(restarts).chain([Happening::Report(report)]);
        for happening in all {
            let mut out = [0; Happening::MAX];
            let len = happening.encode(&mut out);
            assert_eq!(Happening::decode(happening.kind(), &out[..len]), Some(happening));
            assert_eq!(Happening::decode(happening.kind(), &out[..len - 1]), None);
        }
        assert_eq!(Happening::decode(2, &[CAUSES.len() as u8]), None);
        assert_eq!(Happening::decode(3, &[RESTARTS.len() as u8]), None);
        assert_eq!(Happening::decode(4, &[0]), None);
    }
}
