//! Lines from the client, on their way to the application.

use super::super::content::{Content, Done};
use super::super::inbox::Loan;
use super::{Core, Took};
use crate::state::SessionState;

impl Core {
    /// Takes the oldest waiting line, and accepts it. Reports before it are accepted, too: the reader of
    /// lines has no use for them.
    #[inline]
    pub(crate) fn take_into(&mut self, line: &mut String) -> Took {
        let mut took = Took::Nothing;
        while let Some(taken) = self.side.inbox.take_into(line) {
            self.endpoint.release(taken.receipt);
            if !taken.report {
                return Took::Line;
            }
            took = Took::Reports;
        }
        took
    }

    /// Accepts a line that was lent. False if it is not known (any more).
    pub(crate) fn accept(&mut self, loan: Loan) -> bool {
        let receipt = self.side.inbox.accept(loan);
        receipt.map(|receipt| self.endpoint.release(receipt)).is_some()
    }

    /// Returns true if an owner that commits has something to commit, and has no batch of this
    /// session already.
    pub(crate) fn is_due(&self) -> bool {
        self.record.commits
            && !self.record.closing
            && !self.side.inbox.is_out()
            && (self.side.inbox.len() > 0
                || self.endpoint.acked_oldest().next().is_some()
                || self.endpoint.stats().settled != self.settled)
    }

    /// Lends all waiting lines as a batch, with the knowledge of the client at this moment. `None`: there
    /// is nothing to store, or the application has lines already.
    pub(crate) fn take_batch(&mut self) -> Option<Content> {
        if !(self.is_due() || self.side.inbox.is_waiting()) {
            return None;
        }
        let lines = self.side.inbox.lend_all()?;
        let tickets: Vec<_> = match self.record.commits {
            true => self.endpoint.acked_oldest().collect(),
            false => Vec::new(),
        };
        let settled = self.endpoint.stats().settled;
        let next = self.endpoint.first_number_after(tickets.len());
        let state = SessionState::new(self.endpoint.window().clone(), next);
        Some(Content { lines, state, done: Done::Classic { tickets, settled } })
    }

    /// Accepts all lines of the batch that is out, and removes those to the client that are done.
    pub(crate) fn accept_batch(&mut self, content: &Content) {
        let endpoint = &mut self.endpoint;
        self.side.inbox.accept_batch(|receipt| endpoint.release(receipt));
        let Done::Classic { tickets, settled } = &content.done else { return };
        for &ticket in tickets {
            endpoint.done(ticket);
        }
        self.settled = *settled;
    }
}
