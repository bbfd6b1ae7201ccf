//! Happenings on a board that its server learns of over the secure link, beside the lines.
//!
//! | kind | happening | details |
//! |---|---|---|
//! | 1 | the ESP8266's report | connects, number, free memory: 4 bytes each, big-endian |
//! | 2 | the ESP8266 was reset | the cause, 1 byte: see [`ResetCause`] |
//!
//! A reset is told once there is a link again; a report only while there is one. Kinds that are not known are passed over.

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
}

const REPORT: u8 = 1;
const RESET: u8 = 2;

/// The causes, by the byte that stands for each. New ones are appended.
const CAUSES: [ResetCause; 9] = [
    ResetCause::Silent,
    ResetCause::NoServer,
    ResetCause::Requested,
    ResetCause::Unproven,
    ResetCause::Exchange(Failure::NoAnswer),
    ResetCause::Exchange(Failure::NoBoot),
    ResetCause::Exchange(Failure::Bus),
    ResetCause::Exchange(Failure::BadHeader),
    ResetCause::Exchange(Failure::Restarted),
];

impl Happening {
    /// Bytes of the longest details.
    pub const MAX: usize = 12;

    /// Returns the kind, as the wire has it.
    pub const fn kind(&self) -> u8 {
        match self {
            Self::Report(_) => REPORT,
            Self::Reset(_) => RESET,
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
                let code = CAUSES.iter().position(|known| known == cause);
                // A test has all of them.
                out[0] = code.map_or(u8::MAX, |code| code as u8);
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
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_what_is_not_known_is_passed_over() {
        let report = Report { connects: 1, number: 0x0203_0405, mem_free: u32::MAX };
        let resets = CAUSES.map(Happening::Reset);
        for happening in resets.into_iter().chain([Happening::Report(report)]) {
            let mut out = [0; Happening::MAX];
            let len = happening.encode(&mut out);
            assert_eq!(Happening::decode(happening.kind(), &out[..len]), Some(happening));
            assert_eq!(Happening::decode(happening.kind(), &out[..len - 1]), None);
        }
        assert_eq!(Happening::decode(2, &[CAUSES.len() as u8]), None);
        assert_eq!(Happening::decode(3, &[0]), None);
    }
}
