//! The lines of the application: those on their way to the ESP8266, and those that it has not read.

use core::fmt;

use heapless::Vec;

use crate::MAX_TEXT;
use crate::delivery::Delivery;
use crate::i2c::frame::{END, HostFrame};
use crate::i2c::payload::Outgoing;
use crate::tcp::line::{BadText, check_text};

/// Bytes of lines that an [`AppBase`](super::AppBase) keeps in each direction: at least two of the
/// longest.
pub const QUEUE: usize = 2 * (MAX_TEXT + 2);

/// The reason for which a line was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WriteError {
    /// The queue is full: try again when a line has been passed on.
    Full,
    /// The text is longer than [`MAX_TEXT`] bytes.
    TooLong,
    /// The text cannot be a line.
    Text(BadText),
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("the queue is full"),
            Self::TooLong => write!(f, "the line is longer than {MAX_TEXT} bytes"),
            Self::Text(why) => why.fmt(f),
        }
    }
}

impl core::error::Error for WriteError {}

/// Whole lines, each with its [`END`], in order.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Lines<const BYTES: usize> {
    bytes: Vec<u8, BYTES>,
}

impl<const BYTES: usize> Lines<BYTES> {
    const fn new() -> Self {
        Self { bytes: Vec::new() }
    }

    fn fits(&self, len: usize) -> bool {
        self.bytes.len() + len <= BYTES
    }

    /// Appends `len` bytes, which `write` writes into their place. False, and as before, if they do
    /// not fit.
    fn push_with(&mut self, len: usize, write: impl FnOnce(&mut [u8])) -> bool {
        let at = self.bytes.len();
        let fits = self.bytes.resize(at + len, 0).is_ok();
        if fits {
            write(&mut self.bytes[at..]);
        }
        fits
    }

    /// Returns the first line, with its [`END`].
    fn first(&self) -> Option<&[u8]> {
        let end = self.bytes.iter().position(|&byte| byte == END)?;
        Some(&self.bytes[..=end])
    }

    /// Drops the first `len` bytes.
    fn drop_front(&mut self, len: usize) {
        self.bytes.copy_within(len.., 0);
        self.bytes.truncate(self.bytes.len() - len);
    }
}

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
        self.lines.bytes.is_empty()
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

/// Lines from the server that the application has not read.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Inbox<const BYTES: usize = QUEUE> {
    lines: Lines<BYTES>,
}

impl<const BYTES: usize> Inbox<BYTES> {
    pub(crate) const fn new() -> Self {
        Self { lines: Lines::new() }
    }

    /// Returns true if there is room for a text of `len` bytes.
    pub(crate) fn fits(&self, len: usize) -> bool {
        self.lines.fits(len + 1)
    }

    /// Appends a text, for which there is room.
    pub(crate) fn push(&mut self, text: &str) {
        let fits = self.lines.push_with(text.len() + 1, |place| {
            if let Some((end, place)) = place.split_last_mut() {
                place.copy_from_slice(text.as_bytes());
                *end = END;
            }
        });
        debug_assert!(fits, "room was made sure of before");
    }

    /// Hands the first text to `take`, and drops it.
    pub(crate) fn pop<R>(&mut self, take: impl FnOnce(&str) -> R) -> Option<R> {
        let line = self.lines.first()?;
        let len = line.len();
        // Checked when it was put in.
        let result = take(core::str::from_utf8(&line[..len - 1]).unwrap_or_default());
        self.lines.drop_front(len);
        Some(result)
    }
}
