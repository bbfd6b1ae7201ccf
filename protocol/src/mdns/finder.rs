//! Asking until there is an answer.

use super::{answer, query};
use crate::time::{Duration, Instant};

/// The pause behind the first question; it doubles up to [`MAX_PAUSE`].
const MIN_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause between two questions.
const MAX_PAUSE: Duration = Duration::from_secs(8);

/// Looks for the address of one name, attempt by attempt.
///
/// An attempt to connect [begins](Self::begin) a search, and may end it before there is an answer. The pauses go on over
/// attempts, so that a network without the server is not asked at the pace of the attempts; an answer that comes between
/// two attempts is kept for the next.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Finder {
    searching: bool,
    /// Repeated in answers; 0 before the first question.
    id: u16,
    /// The next question is not asked before.
    at: Instant,
    pause: Duration,
    found: Option<[u8; 4]>,
}

impl Finder {
    /// Makes one that looks for nothing.
    pub const fn new() -> Self {
        Self { searching: false, id: 0, at: Instant::ZERO, pause: MIN_PAUSE, found: None }
    }

    /// Begins a search.
    pub fn begin(&mut self) {
        self.searching = true;
    }

    /// Ends the search; an answer may still come.
    pub fn end(&mut self) {
        self.searching = false;
    }

    /// The network is another one: asks at once when there is something to look for.
    pub fn on_network(&mut self, now: Instant) {
        (self.at, self.pause, self.found) = (now, MIN_PAUSE, None);
    }

    /// Takes a message that came to the port from which the questions went out.
    pub fn on_message(&mut self, message: &[u8], name: &str) {
        if self.id != 0
            && let Some(address) = answer(message, name, self.id)
        {
            self.found = Some(address);
        }
    }

    /// Returns the address, once, if there is one and a search; the search is over then.
    pub fn take(&mut self, now: Instant) -> Option<[u8; 4]> {
        let address = self.found.take_if(|_| self.searching)?;
        self.searching = false;
        // The next search is another one, and what comes until then is too old for it.
        (self.at, self.pause, self.id) = (now, MIN_PAUSE, 0);
        Some(address)
    }

    /// Writes a question into `out` if one is due, and returns its length.
    pub fn poll(&mut self, now: Instant, name: &str, out: &mut [u8]) -> Option<usize> {
        if !self.searching || self.found.is_some() || now < self.at {
            return None;
        }
        if self.id == 0 {
            // Boards that start together ask at different times.
            self.id = now.as_micros() as u16 | 1;
        }
        self.at = now + self.pause;
        self.pause = self.pause.times(2).min(MAX_PAUSE);
        query(name, self.id, out)
    }

    /// Returns the time of the next [`poll`](Self::poll) or [`take`](Self::take), if no message comes before.
    pub fn poll_at(&self, now: Instant) -> Option<Instant> {
        self.searching.then_some(if self.found.is_some() { now } else { self.at })
    }
}

impl Default for Finder {
    fn default() -> Self {
        Self::new()
    }
}
