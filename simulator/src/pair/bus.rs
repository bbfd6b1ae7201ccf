//! The I2C bus of a pair.

use pblink_protocol::i2c::{BusFault, Initiator, Responder};
use pblink_protocol::time::{Duration, Instant};

use super::Pair;
use crate::fault::{BusEnd, Wire};
use crate::flaw::Flaw;
use crate::wires::{Armed, Transfer, TransferKind, bus_time};

/// Kind of transfer that is to be garbled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Header,
    Payload,
}

impl Pair {
    /// Starts a transfer as the master: writes bytes (`Ok`) or reads this many (`Err`).
    pub(super) fn begin_transfer(&mut self, what: Result<Vec<u8>, usize>, now: Instant) {
        let len = what.as_ref().map_or_else(|n| *n, Vec::len);
        let whole = bus_time(len, self.options.clock_hz);
        let address = bus_time(0, self.options.clock_hz);
        let ready = now >= self.deaf_until;
        let (kind, length) = match (&self.armed, what) {
            _ if ready && std::mem::take(&mut self.nak_next) => {
                (TransferKind::Broken, Duration::from_micros(whole.as_micros() / 2))
            }
            (Armed::Tx(bytes), Err(n)) if ready && bytes.len() == n => {
                (TransferKind::Read(bytes.clone()), whole)
            }
            (Armed::Rx(n), Ok(bytes)) if ready && bytes.len() == *n => {
                (TransferKind::Write(bytes), whole)
            }
            // Lengths that do not agree, or the wrong direction: the slave's peripheral errs.
            (Armed::Tx(_) | Armed::Rx(_), _) if ready => (TransferKind::Broken, whole),
            _ => (TransferKind::Unanswered, address),
        };
        self.transfer = Some(Transfer { done_at: now + length, kind });
    }

    fn garbled(&mut self, mut bytes: Vec<u8>) -> Vec<u8> {
        let kind = if bytes.len() == 2 { Part::Header } else { Part::Payload };
        if self.garble == Some(kind) && !bytes.is_empty() {
            self.garble = None;
            let at = self.rng.usize(0..bytes.len());
            bytes[at] ^= 1 << self.rng.u8(0..8);
        }
        bytes
    }

    pub(super) fn transferred(&mut self, kind: TransferKind, now: Instant) {
        match kind {
            TransferKind::Unanswered => {
                self.with_esp(now, |esp| esp.exchange().on_bus_fault(now, BusFault::NoAddress));
            }
            TransferKind::Broken => {
                self.armed = Armed::Nothing;
                self.app.exchange().on_bus_error(now);
                self.with_esp(now, |esp| esp.exchange().on_bus_fault(now, BusFault::Other));
            }
            TransferKind::Read(bytes) => {
                let (bytes, errs) = (self.garbled(bytes), self.errs_next.take());
                self.tell_slave(now, errs, |stm| stm.on_sent(now));
                self.tell_master(now, errs, |esp| esp.on_read(now, &bytes));
            }
            TransferKind::Write(bytes) => {
                let (bytes, errs) = (self.garbled(bytes), self.errs_next.take());
                self.tell_slave(now, errs, |stm| stm.on_received(now, &bytes));
                if errs == Some(BusEnd::Master) && self.flaw == Some(Flaw::ConfirmsUnsure) {
                    let latency = self.latency();
                    self.wires.drive(Wire::Ack, false, now, latency);
                }
                self.tell_master(now, errs, |esp| esp.on_written(now));
            }
        }
    }

    /// Tells the STM32, if it has armed its peripheral, that a transfer is complete, or that it has failed if that end errs.
    fn tell_slave(
        &mut self,
        now: Instant,
        errs: Option<BusEnd>,
        complete: impl FnOnce(&mut Initiator),
    ) {
        if std::mem::replace(&mut self.armed, Armed::Nothing) != Armed::Nothing {
            match errs {
                Some(BusEnd::Slave) => self.app.exchange().on_bus_error(now),
                _ => complete(self.app.exchange()),
            }
        }
    }

    /// Tells the ESP8266 the same.
    fn tell_master(
        &mut self,
        now: Instant,
        errs: Option<BusEnd>,
        complete: impl FnOnce(&mut Responder),
    ) {
        self.with_esp(now, |esp| match errs {
            Some(BusEnd::Master) => esp.exchange().on_bus_fault(now, BusFault::Other),
            _ => complete(esp.exchange()),
        });
    }
}
