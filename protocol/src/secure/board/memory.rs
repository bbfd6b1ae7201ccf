//! The memory that a board keeps through a restart of its program: lines that are not done, and where it stands with the server.

use super::super::frame::Epoch;
use super::super::session::{Lines, Outgoing};
use crate::lines::WriteError;
use crate::time::Instant;

/// Memory that survives a reset of the chip by its watchdog, by a panic, or by its reset button; not a loss of power.
pub trait Memory {
    /// Returns the epoch of this memory: drawn at random when the chip has got its power.
    fn epoch(&self) -> Epoch;

    /// Returns the number of the oldest line that is kept, or of the next one if there is none. The first is 1.
    fn first(&self) -> u64;

    /// Returns the number that the next line will have.
    fn next(&self) -> u64;

    /// Returns a line that is kept, and when it was written.
    fn line(&self, seq: u64) -> Option<(&[u8], Instant)>;

    /// Keeps a line, whose text was checked.
    ///
    /// # Errors
    /// [`WriteError::Full`]: there is no room until older ones are done.
    fn push(&mut self, now: Instant, text: &str) -> Result<(), WriteError>;

    /// Drops all lines up to and including this one.
    fn free(&mut self, done: u64);

    /// Returns where the board stands with the server; `None`: it has never heard from one.
    fn view(&self) -> Option<View>;

    /// Stores where the board stands with the server.
    fn set_view(&mut self, view: View);
}

/// A memory that is not there yet keeps nothing, and has no room: for a board in a `static`, before it
/// [begins](super::Board::begin).
impl<M: Memory> Memory for Option<M> {
    fn epoch(&self) -> Epoch {
        self.as_ref().map_or(Epoch::MIN, M::epoch)
    }

    fn first(&self) -> u64 {
        self.as_ref().map_or(1, M::first)
    }

    fn next(&self) -> u64 {
        self.as_ref().map_or(1, M::next)
    }

    fn line(&self, seq: u64) -> Option<(&[u8], Instant)> {
        self.as_ref()?.line(seq)
    }

    fn push(&mut self, now: Instant, text: &str) -> Result<(), WriteError> {
        self.as_mut().ok_or(WriteError::Full)?.push(now, text)
    }

    fn free(&mut self, done: u64) {
        if let Some(memory) = self {
            memory.free(done);
        }
    }

    fn view(&self) -> Option<View> {
        self.as_ref()?.view()
    }

    fn set_view(&mut self, view: View) {
        if let Some(memory) = self {
            memory.set_view(view);
        }
    }
}

/// Where a board stands with its server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct View {
    /// The server's epoch.
    pub epoch: Epoch,
    /// The last line of that epoch which the application is done with.
    pub done: u64,
}

/// The lines of a memory, as a sender asks for them.
pub(super) struct Kept<'a, M>(pub(super) &'a M);

impl<M: Memory> Lines for Kept<'_, M> {
    fn after(&self, after: u64) -> Option<Outgoing<'_>> {
        let first = self.0.first();
        let seq = first.max(after + 1);
        let (text, written) = self.0.line(seq)?;
        // A server takes them without gaps, also where older ones are done.
        Some(Outgoing { seq, prev: seq - 1, text, written })
    }
}
