//! The status that a device reports.

use std::time::Duration;

/// The answer to GETSTATUS (DFU 1.1, §6.1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Status {
    /// Why it is in the error state; 0 if it is not.
    pub(super) status: u8,
    /// Time that the host shall wait before the next request.
    pub(super) poll: Duration,
    /// Its state after this answer.
    pub(super) state: u8,
}

impl Status {
    pub(super) fn of([status, p0, p1, p2, state, _]: [u8; 6]) -> Self {
        let poll = u32::from_le_bytes([p0, p1, p2, 0]);
        Self { status, poll: Duration::from_millis(poll.into()), state }
    }
}

pub(super) const TARGET: u8 = 0x01;
pub(super) const WRITE: u8 = 0x03;
pub(super) const ERASE: u8 = 0x04;
pub(super) const CHECK_ERASED: u8 = 0x05;
pub(super) const PROG: u8 = 0x06;
pub(super) const VERIFY: u8 = 0x07;
pub(super) const ADDRESS: u8 = 0x08;
pub(super) const VENDOR: u8 = 0x0b;
pub(super) const USBR: u8 = 0x0c;
pub(super) const POR: u8 = 0x0d;

/// Returns a status in words (DFU 1.1, §6.1.2, table of `bStatus`).
pub(super) fn meaning(status: u8) -> String {
    let (name, text) = match status {
        0x00 => ("OK", "no error"),
        TARGET => ("errTARGET", "the address is not one of its memories"),
        0x02 => ("errFILE", "the file fails a test of its own"),
        WRITE => ("errWRITE", "the memory cannot be written"),
        ERASE => ("errERASE", "erasing failed"),
        CHECK_ERASED => ("errCHECK_ERASED", "the memory is not empty after erasing"),
        PROG => ("errPROG", "programming failed"),
        VERIFY => ("errVERIFY", "what was programmed is not what is there"),
        ADDRESS => ("errADDRESS", "the address is out of range"),
        0x09 => ("errNOTDONE", "the data ended too early"),
        0x0a => ("errFIRMWARE", "its firmware is damaged"),
        VENDOR => ("errVENDOR", "read-out protection is on"),
        USBR => ("errUSBR", "an unexpected reset of the bus"),
        POR => ("errPOR", "an unexpected power-on reset"),
        0x0e => ("errUNKNOWN", "it does not say what"),
        0x0f => ("errSTALLEDPKT", "it does not know the request"),
        other => return format!("it reports the unknown status {other:#04x}"),
    };
    format!("{text} ({name})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_to_wait_has_24_bits() {
        let status = Status::of([0x0b, 0x40, 0x42, 0x0f, 10, 0]);
        assert_eq!(status.poll, Duration::from_secs(1000));
        assert_eq!((status.status, status.state), (VENDOR, 10));
    }

    #[test]
    fn every_status_has_words_of_its_own() {
        let all: Vec<_> = (0..=0x10).map(meaning).collect();
        for (i, text) in all.iter().enumerate() {
            assert!(!all[i + 1..].contains(text), "{text}");
        }
        assert!(all[0x0f].contains("errSTALLEDPKT"));
        assert!(all[0x10].contains("0x10"));
    }
}
