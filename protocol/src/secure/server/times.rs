//! The times of a session: what is due, and when.

use super::super::session::{STOP_AFTER, STOP_FRAMES};
use super::super::suite::ServerSuite;
use super::*;

impl<S: ServerSuite> Server<S> {
    /// Does everything that is due at `now`.
    pub fn poll(&mut self, now: Instant, desk: &mut impl Desk) {
        self.sender.poll(now);
        self.unsaid |= self.ack_at.take_if(|at| now >= *at).is_some();
        if self.carrier.is_some() && now >= self.offer_at && self.offered().is_some() {
            self.offers = true;
            self.offer_at = now + OFFER_AGAIN;
        }
        let worn = |key: &Key<S::Keys>| key.is_worn(now, STOP_FRAMES, STOP_AFTER);
        let forgotten = self.heard.is_some_and(|heard| now.since(heard) >= KEEP_KEYS);
        if self.current.as_ref().is_some_and(worn) || self.current.is_some() && forgotten {
            self.drop_keys(desk);
        }
        if self.carrier.is_some() && self.heard.is_some_and(|heard| now >= heard + SILENCE) {
            self.down(desk);
        }
    }

    /// Returns the time of the next poll, if nothing happens before. `None`: never by itself.
    pub fn poll_at(&self, now: Instant) -> Option<Instant> {
        let silence = self.carrier.and(self.heard).map(|heard| heard + SILENCE);
        let ack = self.carrier.and(self.ack_at);
        let offer = self.carrier.and(self.offered()).map(|_| self.offer_at);
        let at = earliest(earliest(silence, ack), earliest(offer, self.sender.timeout_at()));
        at.map(|at| at.max(now))
    }

    /// Returns true if this connection is to be closed: nothing valid has come from it for too long.
    pub fn is_overdue(&self, now: Instant, visitor: &Visitor) -> bool {
        now >= self.overdue_at(visitor)
    }

    /// Returns when that is, if nothing valid comes before.
    pub fn overdue_at(&self, visitor: &Visitor) -> Instant {
        let carries = self.carrier == Some(visitor.number);
        visitor.heard + if carries { SILENCE } else { VISIT }
    }
}
