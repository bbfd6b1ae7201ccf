//! The part of a session that an owner commits.

use std::sync::Arc;

use pblink_protocol::secure::frame::Epoch;
use pblink_protocol::secure::server::Resolution;
use pblink_protocol::tcp::endpoint::Ticket;

use super::inbox::Loan;
use super::texts::Lines;
use crate::origin::Origin;
use crate::state::SessionState;

/// Lines, state, and what is done, of one moment.
#[derive(Debug)]
pub(crate) struct Content {
    pub(crate) lines: Lines,
    pub(crate) state: SessionState,
    pub(crate) done: Done,
}

/// Parts of a batch that are done, or are done with its commit.
#[derive(Debug)]
pub(crate) enum Done {
    Classic {
        /// The oldest lines to the client, as far as it has acknowledged them.
        tickets: Vec<Ticket>,
        /// The endpoint had settled so often.
        settled: u32,
    },
    Secure {
        /// The last line of the batch.
        last: Option<(Epoch, u64)>,
        /// Lines to the client that it has: how many, and the number of the last.
        delivered: (usize, u64),
        /// The answer to a client that has said where it stands.
        resolution: Option<Resolution>,
    },
}

impl Content {
    /// Returns the number of lines to the client that are done.
    pub(crate) fn done(&self) -> usize {
        match &self.done {
            Done::Classic { tickets, .. } => tickets.len(),
            Done::Secure { delivered, .. } => delivered.0,
        }
    }

    /// Returns the resolution, of a secure link.
    pub(crate) fn resolution(&self) -> Option<&Resolution> {
        match &self.done {
            Done::Classic { .. } => None,
            Done::Secure { resolution, .. } => resolution.as_ref(),
        }
    }
}

/// A line that was lent.
#[derive(Debug)]
pub(crate) struct Lent {
    pub(crate) loan: Loan,
    pub(crate) text: Arc<str>,
    pub(crate) report: bool,
    pub(crate) origin: Option<Origin>,
}
