//! Lines to the client, and the tasks that wait for them.

use std::task::Waker;

use pblink_protocol::delivery::Delivery;
use pblink_protocol::tcp::endpoint::Ticket;
use pblink_protocol::time::Instant;

use super::super::side::Waiter;
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
        match self.side.waiters.iter_mut().find(|w| w.ticket == ticket) {
            Some(waiter) => waiter.waker.clone_from(waker),
            None => {
                self.side.best_effort_waiters += usize::from(best_effort);
                self.side.waiters.push(Waiter { ticket, best_effort, waker: waker.clone() });
            }
        }
    }

    pub(crate) fn forget(&mut self, ticket: Ticket) {
        self.side.remove(ticket);
    }

    /// Wakes those whose lines are done without an acknowledgement.
    pub(crate) fn wake_best_effort(&mut self, wakes: &mut Vec<Waker>) {
        if self.side.best_effort_waiters == 0 {
            return;
        }
        let mut at = 0;
        while let Some(waiter) = self.side.waiters.get(at) {
            if waiter.best_effort && !self.endpoint.is_pending(waiter.ticket) {
                self.side.best_effort_waiters -= 1;
                wakes.push(self.side.waiters.swap_remove(at).waker);
            } else {
                at += 1;
            }
        }
    }

    /// Returns the tickets that someone waits for; all are woken.
    pub(crate) fn pending(&mut self, wakes: &mut Vec<Waker>) -> Vec<Ticket> {
        self.side.best_effort_waiters = 0;
        let waiters = std::mem::take(&mut self.side.waiters);
        let pending = |w: &Waiter| self.endpoint.is_pending(w.ticket).then_some(w.ticket);
        let tickets = waiters.iter().filter_map(pending).collect();
        wakes.extend(waiters.into_iter().map(|w| w.waker));
        tickets
    }
}
