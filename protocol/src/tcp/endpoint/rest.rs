//! The little that is left of an endpoint while its peer is away, for owners of many.

use super::{Endpoint, Held, LineBuf, Mid, Stats, Store, Ticket, Window};

/// The state of an endpoint without a connection and without a line, apart from its window: see
/// [`Endpoint::rest`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rest {
    next: Mid,
    ticket: Ticket,
    stats: Stats,
}

impl Rest {
    /// The state of an endpoint that has seen nothing yet.
    pub const NEW: Self = Self { next: Mid(0), ticket: Ticket(0), stats: Stats::NONE };

    /// Counters of the endpoint.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }
}

impl<B: LineBuf, L, const N: usize, S: Store<Line = L>> Endpoint<B, L, N, S> {
    /// Returns what is to be kept of this endpoint, with its [window](Self::window), so that another one can go on in
    /// its place. `None` while there is a connection, or a line that is waiting or unacknowledged, or a message that
    /// is not [released](Self::release). The owner must have no other receipt: the other endpoint does not know it.
    pub fn rest(&self) -> Option<Rest> {
        let rests = self.connection.is_none() && self.held.is_empty() && self.outbox.len() == 0;
        rests.then(|| Rest {
            next: self.outbox.first(),
            ticket: self.outbox.next_ticket(),
            stats: self.stats,
        })
    }

    /// Goes on in the place of an endpoint that [rests](Self::rest). To be called on a new one that was made
    /// and set up in the same way, or on one that rests itself: what that one knew is gone.
    pub fn resume(&mut self, rest: Rest, window: Option<&Window>) {
        self.on_disconnected();
        match window {
            Some(window) => self.window.clone_from(window),
            None => self.window = Window::new(),
        }
        self.window.reconnected();
        self.held = Held::new();
        self.outbox.resume(rest.next, rest.ticket);
        self.stats = rest.stats;
    }
}
