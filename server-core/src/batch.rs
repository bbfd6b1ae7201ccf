//! All waiting lines of a client at once, for an owner that commits them together.

use std::fmt;
use std::sync::Arc;

use crate::error::Closed;
use crate::session::Session;
use crate::state::SessionState;

/// All lines of a client that were waiting, none acknowledged yet: see
/// [`Connection::take_batch`](crate::Connection::take_batch).
///
/// [`accept`](Self::accept) acknowledges all of them with one write to the socket. Dropped without that,
/// all go back to the head of the queue.
#[must_use = "a batch that is dropped without accept() is handed out again"]
pub struct Batch {
    session: Arc<Session>,
    lines: Lines,
    state: SessionState,
    /// The session wants to know that it is given back.
    out: bool,
}

/// Texts, one behind the other.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    text: String,
    /// The end of each, and true for a report.
    ends: Vec<(usize, bool)>,
}

impl Lines {
    pub(crate) fn push(&mut self, text: &str, report: bool) {
        self.text.push_str(text);
        self.ends.push((self.text.len(), report));
    }
}

/// A line of a [`Batch`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct BatchLine<'a> {
    /// The line, without its newline.
    pub text: &'a str,
    /// It is a report of the ESP8266 rather than a line of the board's program: only with
    /// [`Builder::hold_reports`](crate::Builder::hold_reports).
    pub report: bool,
}

impl Batch {
    pub(crate) fn new(session: Arc<Session>, lines: Lines, state: SessionState) -> Self {
        Self { session, lines, state, out: true }
    }

    /// Returns the id of the client that sent the lines.
    pub fn client(&self) -> &str {
        &self.session.id
    }

    /// Returns the number of lines; at least one.
    #[allow(clippy::len_without_is_empty, reason = "no batch is empty")]
    pub fn len(&self) -> usize {
        self.lines.ends.len()
    }

    /// Returns the lines, in order.
    pub fn lines(&self) -> impl ExactSizeIterator<Item = BatchLine<'_>> {
        let mut from = 0;
        self.lines.ends.iter().map(move |&(to, report)| {
            let text = &self.lines.text[from..to];
            from = to;
            BatchLine { text, report }
        })
    }

    /// Returns the session as it was when the batch was taken: it knows the messages of the batch
    /// and of those before it, and none that came later. Stored in the same transaction as the
    /// lines, and [restored](crate::Builder::restore_states), nothing is lost or duplicated
    /// whenever the program dies.
    ///
    /// Reports are messages, too, and so must be stored: see
    /// [`Builder::hold_reports`](crate::Builder::hold_reports).
    pub fn state(&self) -> &SessionState {
        &self.state
    }

    /// Acknowledges all lines to the client: they are where they cannot be lost.
    ///
    /// # Errors
    /// [`Closed`] if the server was shut down before: the lines are not acknowledged, and the
    /// [`SavedSessions`](crate::SavedSessions) hold them.
    pub fn accept(mut self) -> Result<(), Closed> {
        self.out = false;
        self.session.accept_batch()
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        if self.out {
            self.session.give_batch_back();
        }
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch")
            .field("client", &self.client())
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}
