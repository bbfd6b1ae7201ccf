//! Events on the board that the server does not know yet.

use heapless::Vec;

use super::super::frame::{Event, Frame};

/// Bytes of the details of an [event](super::Board::tell).
pub const MAX_EVENT: usize = 16;
/// Kinds of events that can wait.
const KINDS: usize = 4;

/// The last event of each kind, the one that has waited for the longest time first.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Happened(Vec<(u8, Vec<u8, MAX_EVENT>), KINDS>);

impl Happened {
    pub(super) const fn new() -> Self {
        Self(Vec::new())
    }

    /// Keeps an event, in the place of one of its kind. Of more than [`KINDS`] kinds, the one that has waited for the longest time
    /// is lost.
    pub(super) fn put(&mut self, kind: u8, details: &[u8]) {
        let details = details.iter().copied().take(MAX_EVENT).collect();
        if let Some(event) = self.0.iter_mut().find(|event| event.0 == kind) {
            event.1 = details;
            return;
        }
        if self.0.is_full() {
            self.0.remove(0);
        }
        // There is room.
        let _ = self.0.push((kind, details));
    }

    /// Writes the next one, if there is one and it fits, and forgets it. Returns the length.
    pub(super) fn frame(&mut self, out: &mut [u8]) -> Option<usize> {
        let (kind, bytes) = self.0.first()?;
        let len = Frame::Event(Event { kind: *kind, bytes }).encode(out)?;
        self.0.remove(0);
        Some(len)
    }
}
