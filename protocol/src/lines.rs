//! Whole lines in a buffer, for the queues of an application.

use core::fmt;

use heapless::Vec;

use crate::MAX_TEXT;
use crate::i2c::frame::END;
use crate::tcp::line::BadText;

/// Bytes of lines that an [`AppBase`](crate::app::AppBase) keeps in each direction: at least two of the
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
pub(crate) struct Lines<const BYTES: usize> {
    bytes: Vec<u8, BYTES>,
}

impl<const BYTES: usize> Lines<BYTES> {
    pub(crate) const fn new() -> Self {
        Self { bytes: Vec::new() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(crate) fn fits(&self, len: usize) -> bool {
        self.bytes.len() + len <= BYTES
    }

    /// Appends `len` bytes, which `write` writes into their place. False, and as before, if they do
    /// not fit.
    pub(crate) fn push_with(&mut self, len: usize, write: impl FnOnce(&mut [u8])) -> bool {
        let at = self.bytes.len();
        let fits = self.bytes.resize(at + len, 0).is_ok();
        if fits {
            write(&mut self.bytes[at..]);
        }
        fits
    }

    /// Returns the first line, with its [`END`].
    pub(crate) fn first(&self) -> Option<&[u8]> {
        let end = self.bytes.iter().position(|&byte| byte == END)?;
        Some(&self.bytes[..=end])
    }

    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
    }

    /// Drops the first `len` bytes.
    pub(crate) fn drop_front(&mut self, len: usize) {
        self.bytes.copy_within(len.., 0);
        self.bytes.truncate(self.bytes.len() - len);
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
