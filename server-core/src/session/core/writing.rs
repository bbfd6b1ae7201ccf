//! Lines to the client, and the tasks that wait for them.

use std::task::Waker;

use pblink_protocol::delivery::Delivery;
use pblink_protocol::tcp::endpoint::Ticket;
use pblink_protocol::time::Instant;

use super::Core;
use crate::buffers::LineBytes;

impl Core {
    /// Adds a line to those to send.
    pub(crate) fn push(&mut self, now: Instant, text: &str, delivery: Delivery) -> Option<Ticket> {
        let ticket = (self.endpoint.write(now, LineBytes::copy_of(text), delivery)).ok()?;
        self.held += 1;
        Some(ticket)
    }

    /// Returns the number of places in the queue of written lines that have become free since the last call.
    pub(crate) fn take_freed(&mut self) -> usize {
        let used = self.endpoint.unacked();
        let freed = self.held.saturating_sub(used);
        self.held = used;
        freed
    }

    pub(crate) fn wait_for(&mut self, ticket: Ticket, best_effort: bool, waker: &Waker) {
        self.side.waiters.wait_for(ticket, best_effort, waker);
    }

    pub(crate) fn forget(&mut self, ticket: Ticket) {
        self.side.waiters.remove(ticket);
    }

    /// Wakes those whose lines are done without an acknowledgement.
    pub(crate) fn wake_best_effort(&mut self, wakes: &mut Vec<Waker>) {
        let Self { side, endpoint, .. } = self;
        side.waiters.wake_best_effort(|ticket| endpoint.is_pending(ticket), wakes);
    }

    /// Returns the tickets that someone waits for; all are woken.
    pub(crate) fn pending(&mut self, wakes: &mut Vec<Waker>) -> Vec<Ticket> {
        let Self { side, endpoint, .. } = self;
        side.waiters.wake_all(|ticket| endpoint.is_pending(ticket), wakes)
    }
}
