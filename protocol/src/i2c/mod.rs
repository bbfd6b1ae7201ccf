//! The I2C side: how STM32 and ESP8266 pass payloads to each other over two wires and a bus.
//!
//! The STM32 ([`Initiator`]) is the I2C *slave*; the ESP8266 ([`Responder`]) is the master. An
//! exchange is started by the initiator about ten times a second, whether there is anything to pass
//! or not: header and payload from STM32 to ESP8266, then header and payload back. Every step is
//! confirmed by a level of `syn` (STM32 → ESP8266) and `ack` (ESP8266 → STM32), so neither side needs
//! to be quick; the two exceptions (pulses A and A') are why the responder holds ack low for
//! [`PULSE`], and why the initiator needs *edges* of ack, not the levels that it happened to
//! see. The steps and their numbers are those of `docs/PROTOCOL.md`.
//!
//! Both are machines without a clock or pins. The owner reports edges, transfers and time, and
//! carries out [`InitiatorAction`]s and [`ResponderAction`]s *in the order in which they come*.
//!
//! If something fails in the middle, the payload is at one end only: the responder hands a payload over
//! when `syn` has fallen after it, the initiator counts a payload as passed when `ack` has risen after it.
//! As `syn` falls only because the initiator saw that, a payload that is sent again after a failure
//! was never handed over before: a crash may lose a payload, but does not duplicate one.

pub mod frame;
mod initiator;
mod pace;
pub(crate) mod payload;
mod responder;

pub use initiator::{Failure, Initiator, InitiatorAction, InitiatorEvent};
pub use pace::InitiatorTiming;
pub use responder::{BusFault, Responder, ResponderAction};

use heapless::Vec;

use crate::time::Duration;

/// The STM32's I2C address.
pub const ADDRESS: u8 = 0x12;

/// The most bytes that pass in one direction in one exchange.
pub const MAX_PAYLOAD: usize = 200;

/// The pause of the responder between a rise of `syn` and the slave's address.
pub const SETUP: Duration = Duration::from_micros(20);

/// The shortest time for which the responder keeps `ack` low in the two pulses that are not
/// interlocked. A pulse of 93 µs was missed by the reference's polling initiator.
pub const PULSE: Duration = Duration::from_micros(100);

/// The longest wait for the other side within an exchange.
pub const WAIT: Duration = Duration::from_secs(1);

/// The header of a payload: two bytes, little-endian; bits 0–14 length, bit 15 hold-off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Header {
    /// Length of the payload that follows; 0 for none.
    pub len: u16,
    /// The sender's receive buffer is not empty: it cannot take a payload.
    pub hold_off: bool,
}

impl Header {
    /// Returns the two bytes.
    pub const fn encode(self) -> [u8; 2] {
        (self.len & 0x7fff | (self.hold_off as u16) << 15).to_le_bytes()
    }

    /// Reads the two bytes. `None` if the length is more than [`MAX_PAYLOAD`].
    pub fn decode(bytes: [u8; 2]) -> Option<Self> {
        let word = u16::from_le_bytes(bytes);
        let header = Self { len: word & 0x7fff, hold_off: word & 0x8000 != 0 };
        (usize::from(header.len) <= MAX_PAYLOAD).then_some(header)
    }
}

/// A payload, or none: the buffer is empty then.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Payload(Vec<u8, MAX_PAYLOAD>);

impl Payload {
    const EMPTY: Self = Self(Vec::new());

    fn as_slice(&self) -> &[u8] {
        &self.0
    }

    /// Copies as much of `bytes` as fits, replacing what was there. Returns how many bytes that are.
    fn set(&mut self, bytes: &[u8]) -> usize {
        let len = bytes.len().min(MAX_PAYLOAD);
        self.0.clear();
        let fits = self.0.extend_from_slice(&bytes[..len]).is_ok();
        debug_assert!(fits, "it was cut to what fits");
        len
    }

    fn clear(&mut self) {
        self.0.clear();
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Drops the first `n` bytes.
    fn consume(&mut self, n: usize) {
        let n = n.min(self.0.len());
        self.0.copy_within(n.., 0);
        self.0.truncate(self.0.len() - n);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_payload_was_before_does_not_count() {
        let mut used = Payload::EMPTY;
        assert_eq!(used.set(&[7; 300]), MAX_PAYLOAD);
        assert_eq!(used.set(b"xone"), 4);
        used.consume(1);
        let mut fresh = Payload::EMPTY;
        assert_eq!(fresh.set(b"one"), 3);
        assert_eq!(used, fresh);
        used.consume(10);
        assert_eq!(used, Payload::EMPTY);
    }
}
