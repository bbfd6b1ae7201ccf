//! All that is to be stored of a client at once, for an owner that commits.

use std::fmt;
use std::sync::Arc;

use crate::error::Closed;
use crate::origin::Origin;
use crate::session::{Content, Session, Tag};
use crate::state::SessionState;

/// All lines of a client that were waiting, none acknowledged yet, and its session with them: see
/// [`Connection::take_batch`](crate::Connection::take_batch) and
/// [`Server::next_batch`](crate::Server::next_batch).
///
/// [`accept`](Self::accept) acknowledges all of them with one write to the socket. Dropped without that,
/// all go back to the head of the queue.
#[must_use = "a batch that is dropped without accept() is handed out again"]
pub struct Batch {
    session: Arc<Session>,
    content: Box<Content>,
    /// The session wants to know that it is given back.
    out: bool,
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
    /// Times that the client's program has begun anew before this line, as far as this server has seen:
    /// counted from 0 for each server. It wraps after 2³².
    pub restarts: u32,
    /// Where it is from, if it came over a secure link. `None` there: it was sent as best effort.
    pub origin: Option<Origin>,
}

impl Batch {
    pub(crate) fn new(session: Arc<Session>, content: Content) -> Self {
        Self { session, content: Box::new(content), out: true }
    }

    /// Returns the id of the client that sent the lines.
    pub fn client(&self) -> &str {
        &self.session.id
    }

    /// Returns the number of lines.
    pub fn len(&self) -> usize {
        self.content.lines.len()
    }

    /// Returns true if there is no line, only a [state](Self::state) to be stored:
    /// [`Connection::take_batch`](crate::Connection::take_batch) gives no such batch without
    /// [`Builder::commits`](crate::Builder::commits).
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the bytes of all lines together.
    pub fn bytes(&self) -> usize {
        self.content.lines.bytes()
    }

    /// Returns the lines, in order.
    pub fn lines(&self) -> impl ExactSizeIterator<Item = BatchLine<'_>> {
        self.content.lines.iter().map(|(text, tag, origin)| {
            let Tag { report, restarts } = tag;
            BatchLine { text, report, restarts, origin }
        })
    }

    /// Returns the number of lines *to* the client that are done: its oldest ones, which it has
    /// acknowledged. The owner removes them from its store in the same transaction. Always 0 without
    /// [`Builder::commits`](crate::Builder::commits).
    pub fn done(&self) -> usize {
        self.content.done()
    }

    /// Returns the number up to which lines to the client are *undetermined* with this commit: nobody knows whether it has
    /// them, and it will not get them. The owner takes them out of those that wait, and tells someone. Only for a client that
    /// speaks the secure link, after a power failure of it or of the store; see
    /// [`EventKind::Undetermined`](crate::EventKind::Undetermined).
    pub fn undetermined(&self) -> Option<u64> {
        self.content.resolution()?.undetermined
    }

    /// Returns the session as it was when the batch was taken, with the lines that are
    /// [done](Self::done) removed: it knows the messages of the batch
    /// and of those before it, and none that came later. Stored in the same transaction as the
    /// lines, and [restored](crate::Builder::restore_states), nothing is lost or duplicated
    /// whenever the program dies.
    ///
    /// Reports are messages, too, and so must be stored: see
    /// [`Builder::hold_reports`](crate::Builder::hold_reports).
    pub fn state(&self) -> &SessionState {
        &self.content.state
    }

    /// Acknowledges all lines to the client: they are where they cannot be lost. Lines to it that are
    /// done leave the session, and make room for others.
    ///
    /// # Errors
    /// [`Closed`] if the server was shut down before: the lines are not acknowledged, and the
    /// [`SavedSessions`](crate::SavedSessions) hold them.
    pub fn accept(mut self) -> Result<(), Closed> {
        self.out = false;
        self.session.accept_batch(&self.content)
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
            .field("done", &self.done())
            .finish_non_exhaustive()
    }
}
