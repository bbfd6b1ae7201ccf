//! The lines to the STM32: those from the server that wait, and the one that is on its way.

use heapless::Vec;

use super::{INBOX, INBOX_BYTES};
use crate::i2c::frame::{CoprocessorFrame, MAX_SIGNAL};
use crate::tcp::endpoint::{Disposition, Host, Receipt, Ticket};
use crate::tcp::packed::Packed;
use crate::time::Duration;

/// The kind of the line on its way to the STM32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Passing {
    Nothing,
    /// A line of the ESP8266's own.
    Signal,
    /// The first line of the inbox.
    Message,
}

/// Lines to the STM32.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct ToHost {
    /// Lines from the server, with header and `\n`.
    inbox: Packed<INBOX_BYTES, INBOX>,
    /// The receipts that acknowledge them.
    receipts: Vec<Receipt, INBOX>,
    signal: Vec<u8, MAX_SIGNAL>,
    passing: Passing,
    /// Bytes of the line on its way that the exchange has taken.
    submitted: usize,
    /// Lines from the server that were longer than the buffer.
    pub(super) too_long: u32,
    /// Lines for the server that it has acknowledged.
    pub(super) acked: u32,
}

impl ToHost {
    pub(super) const fn new() -> Self {
        Self {
            inbox: Packed::new(),
            receipts: Vec::new(),
            signal: Vec::new(),
            passing: Passing::Nothing,
            submitted: 0,
            too_long: 0,
            acked: 0,
        }
    }

    /// Returns true if no line is on its way.
    pub(super) fn is_idle(&self) -> bool {
        self.passing == Passing::Nothing
    }

    /// Returns the rest of the line on its way, which the exchange has not taken.
    pub(super) fn rest(&self) -> &[u8] {
        let line = match self.passing {
            Passing::Nothing => return &[],
            Passing::Signal => &self.signal,
            Passing::Message => self.inbox.get(0).unwrap_or_default(),
        };
        line.get(self.submitted..).unwrap_or_default()
    }

    /// Notes that the exchange has taken `n` bytes of it.
    pub(super) fn submitted(&mut self, n: usize) {
        self.submitted += n;
    }

    /// Notes that the line on its way has been passed: returns the receipt that acknowledges it to the server.
    pub(super) fn passed(&mut self) -> Option<Receipt> {
        self.submitted = 0;
        if core::mem::replace(&mut self.passing, Passing::Nothing) != Passing::Message
            || self.receipts.is_empty()
        {
            return None;
        }
        self.inbox.drop_line(0);
        Some(self.receipts.remove(0))
    }

    /// Takes the report that the STM32 has begun anew: the line on its way comes from its beginning, and a signal is forgotten.
    pub(super) fn on_restarted(&mut self) {
        self.submitted = 0;
        self.passing = Passing::Nothing;
    }

    /// Makes this signal of the ESP8266's own the line on its way.
    pub(super) fn signal(&mut self, frame: &CoprocessorFrame<'_>) {
        // The longest fits.
        let _ = self.signal.resize(frame.buffer_len().min(MAX_SIGNAL), 0);
        frame.emit(&mut self.signal);
        self.passing = Passing::Signal;
    }

    /// Makes the oldest line from the server the one on its way. Returns false if no line waits.
    pub(super) fn message(&mut self) -> bool {
        let found = !self.receipts.is_empty();
        if found {
            self.passing = Passing::Message;
        }
        found
    }
}

impl Host<()> for ToHost {
    fn deliver(&mut self, text: &str, receipt: Receipt) -> Disposition {
        let line = CoprocessorFrame::Line(text);
        if self.receipts.is_full() {
            return Disposition::Refused;
        }
        let len = line.buffer_len();
        if self.inbox.push_with(len, |place| _ = line.emit(place)).is_err() {
            return Disposition::Refused;
        }
        // There is room: both hold as many.
        let _ = self.receipts.push(receipt);
        Disposition::Later
    }

    fn acked(&mut self, _: Ticket, _: Option<()>, _: Duration) {
        self.acked = self.acked.wrapping_add(1);
    }

    fn too_long(&mut self) {
        self.too_long = self.too_long.wrapping_add(1);
    }
}
