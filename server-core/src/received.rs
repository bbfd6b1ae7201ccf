//! A line that the application has, and that its client does not know to be safe yet.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use crate::error::Closed;
use crate::origin::Origin;
use crate::session::{Lent, Loan, Session};

/// A line from a client, not yet acknowledged: see [`Connection::recv`](crate::Connection::recv).
///
/// [`accept`](Self::accept) acknowledges it. Dropped without that, the line goes back to its place at
/// the head of the queue, and the next reader gets it; nothing of that goes over the wire. It may be
/// kept for as long as it takes, handed to another task, and accepted in any order. However often the
/// client repeats it meanwhile, it is not delivered a second time.
///
/// A client has at most 127 lines without an acknowledgement (a board of pblink 64, a published one
/// usually one), and sends no more until some are accepted.
#[must_use = "a line that is dropped without accept() is handed out again"]
pub struct Received {
    session: Arc<Session>,
    loan: Option<Loan>,
    text: Arc<str>,
    report: bool,
    origin: Option<Origin>,
}

impl Received {
    pub(crate) fn new(session: Arc<Session>, lent: Lent) -> Self {
        let Lent { loan, text, report, origin } = lent;
        Self { session, loan: Some(loan), text, report, origin }
    }

    /// Returns the id of the client that sent it.
    pub fn client(&self) -> &str {
        &self.session.id
    }

    /// Returns the line, without its newline.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns true for a report of the ESP8266 rather than a line of the board's program: only with
    /// [`Builder::hold_reports`](crate::Builder::hold_reports).
    pub fn is_report(&self) -> bool {
        self.report
    }

    /// Returns where the line is from, if it came over a secure link, and was not sent as best effort.
    pub fn origin(&self) -> Option<Origin> {
        self.origin
    }

    /// Acknowledges the line to the client: it is where it cannot be lost.
    ///
    /// # Errors
    /// [`Closed`] if the server was shut down before: the line is not acknowledged, and the
    /// [`SavedSessions`](crate::SavedSessions) hold it, so that the next server hands it out again.
    pub fn accept(mut self) -> Result<(), Closed> {
        match self.loan.take() {
            Some(loan) => self.session.accept(loan),
            None => Ok(()),
        }
    }
}

impl Drop for Received {
    fn drop(&mut self) {
        if let Some(loan) = self.loan.take() {
            self.session.give_back(loan);
        }
    }
}

impl Deref for Received {
    type Target = str;

    fn deref(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for Received {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Received")
            .field("client", &self.client())
            .field("text", &self.text())
            .finish_non_exhaustive()
    }
}
