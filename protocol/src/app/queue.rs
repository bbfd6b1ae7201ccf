//! The lines of the application on their way to the ESP8266.

use crate::MAX_TEXT;
use crate::delivery::Delivery;
use crate::i2c::frame::HostFrame;
use crate::i2c::payload::Outgoing;
use crate::lines::{Lines, QUEUE, WriteError};
use crate::tcp::line::check_text;

/// Lines for the ESP8266. They leave when they have been passed, however often that is reset in
/// between.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Outbox {
    lines: Lines<QUEUE>,
    /// A copy of the first line, or the configuration.
    passing: Outgoing<{ MAX_TEXT + 2 }>,
    /// Bytes of `lines` that `passing` is a copy of; 0 for the configuration.
    copied: usize,
}

impl Outbox {
    pub(super) const fn new() -> Self {
        Self { lines: Lines::new(), passing: Outgoing::new(), copied: 0 }
    }

    /// Appends a line for the server.
    pub(super) fn write(&mut self, text: &str, delivery: Delivery) -> Result<(), WriteError> {
        let text = check_text(text).map_err(WriteError::Text)?;
        if text.len() > MAX_TEXT {
            return Err(WriteError::TooLong);
        }
        let frame = HostFrame::Line { delivery, text };
        let fits = self.lines.push_with(frame.buffer_len(), |place| _ = frame.emit(place));
        if fits { Ok(()) } else { Err(WriteError::Full) }
    }

    /// Returns true if no line is queued, and none is on its way.
    pub(super) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Drops all lines. The configuration stays on its way.
    pub(super) fn drop_lines(&mut self) {
        self.lines.clear();
        if core::mem::take(&mut self.copied) > 0 {
            self.passing.clear();
        }
    }

    /// Forgets how far the line on its way has come.
    pub(super) fn on_down(&mut self) {
        self.passing.clear();
        self.copied = 0;
    }

    /// Puts the configuration on its way, before all lines.
    pub(super) fn configure(&mut self, frame: &[u8]) {
        self.passing.set(&[frame]);
        self.copied = 0;
    }

    /// Returns true while a line, or the configuration, is on its way.
    pub(super) fn is_passing(&self) -> bool {
        !self.passing.is_empty()
    }

    /// Puts the first line on its way. Returns false if no line waits.
    pub(super) fn begin(&mut self) -> bool {
        let Some(line) = self.lines.first() else {
            return false;
        };
        self.passing.set(&[line]);
        self.copied = line.len();
        true
    }

    /// Returns the bytes of the line on its way that the exchange has not taken.
    pub(super) fn rest(&self) -> &[u8] {
        self.passing.rest()
    }

    /// Notes that the exchange has taken `n` bytes of it.
    pub(super) fn on_submitted(&mut self, n: usize) {
        self.passing.submitted(n);
    }

    /// Drops the line on its way: all of it has been passed.
    pub(super) fn on_passed(&mut self) {
        self.passing.clear();
        self.lines.drop_front(core::mem::take(&mut self.copied));
    }
}
