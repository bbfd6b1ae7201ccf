//! Cutting payloads into lines, for both programs on the I2C side.
//!
//! A payload is usually one line, but a line may be spread over payloads and a payload may hold
//! several lines. What cannot be taken yet stays where it is: in the machine's receive buffer, which
//! holds the other side off.

use heapless::Vec;

/// Puts lines together from payloads. `N` is the longest line, with its header and without its `\n`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Assembler<const N: usize> {
    line: Vec<u8, N>,
    too_long: bool,
}

/// The result of a payload.
pub(crate) enum Step {
    /// This many bytes were used, and no line is complete.
    Partial(usize),
    /// This many bytes were used, and [`Assembler::line`] is complete.
    Complete(usize),
    /// This many bytes were used, and ended a line that was too long and is dropped.
    TooLong(usize),
}

impl<const N: usize> Assembler<N> {
    pub(crate) const fn new() -> Self {
        Self { line: Vec::new(), too_long: false }
    }

    pub(crate) fn clear(&mut self) {
        self.line.clear();
        self.too_long = false;
    }

    /// Returns the first byte of the line, of which `payload` is the continuation.
    pub(crate) fn first(&self, payload: &[u8]) -> Option<u8> {
        self.line.first().or(payload.first()).copied()
    }

    /// Returns the length that the line will have, if it ends in `payload` and is not too long.
    pub(crate) fn completes(&self, payload: &[u8]) -> Option<usize> {
        let end = payload.iter().position(|&b| b == b'\n')?;
        (!self.too_long && self.line.len() + end <= N).then_some(self.line.len() + end)
    }

    /// Returns the complete line, without its `\n`. [`clear`](Self::clear) it before the next one.
    pub(crate) fn line(&self) -> &[u8] {
        &self.line
    }

    pub(crate) fn push(&mut self, payload: &[u8]) -> Step {
        let end = payload.iter().position(|&b| b == b'\n');
        let part = &payload[..end.unwrap_or(payload.len())];
        if self.line.extend_from_slice(part).is_err() {
            self.too_long = true;
        }
        match end {
            None => Step::Partial(payload.len()),
            Some(end) if self.too_long => {
                self.clear();
                Step::TooLong(end + 1)
            }
            Some(end) => Step::Complete(end + 1),
        }
    }
}

/// A line on its way out, in pieces of at most one payload.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Outgoing<const N: usize> {
    line: Vec<u8, N>,
    submitted: usize,
}

impl<const N: usize> Outgoing<N> {
    pub(crate) const fn new() -> Self {
        Self { line: Vec::new(), submitted: 0 }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.line.is_empty()
    }

    pub(crate) fn clear(&mut self) {
        self.line.clear();
        self.submitted = 0;
    }

    /// Sets the line: the parts, one after the other. False, and empty, if it does not fit.
    pub(crate) fn set(&mut self, parts: &[&[u8]]) -> bool {
        self.clear();
        let fits = parts.iter().all(|part| self.line.extend_from_slice(part).is_ok());
        if !fits {
            self.clear();
        }
        fits
    }

    /// Returns the bytes that have not been submitted.
    pub(crate) fn rest(&self) -> &[u8] {
        &self.line[self.submitted..]
    }

    pub(crate) fn submitted(&mut self, n: usize) {
        self.submitted += n;
    }
}
