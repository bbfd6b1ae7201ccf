//! Progress of the work, for whoever shows it.

/// A part of the work that takes its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Step {
    /// Waiting for a device to appear or to answer; the amount is seconds.
    Wait,
    /// Erasing; the amount is bytes, or 0 if the chip does not report how far it is.
    Erase,
    /// Writing; bytes.
    Write,
    /// Reading back or hashing; bytes.
    Verify,
    /// Reading; bytes.
    Read,
}

/// Receives the progress, on the thread that does the work. Must not block for long.
pub trait Progress {
    /// Begins a step. `what` is the file or device that it is about, `total` its amount (0: unknown).
    fn begin(&mut self, step: Step, what: &str, total: u64);
    /// Reports the amount of the step's total that is done; never less than before within a step.
    fn advance(&mut self, done: u64);
    /// Ends the step; not called when it failed.
    fn end(&mut self);
    /// Passes on a note that the user should read, one sentence.
    fn note(&mut self, text: &str);
    /// Returns true if the user wants the work to stop. It does so at the next safe place.
    fn cancelled(&self) -> bool {
        false
    }
}

/// Shows nothing.
#[derive(Debug, Default)]
pub struct Silent;

impl Progress for Silent {
    fn begin(&mut self, _step: Step, _what: &str, _total: u64) {}
    fn advance(&mut self, _done: u64) {}
    fn end(&mut self) {}
    fn note(&mut self, _text: &str) {}
}
