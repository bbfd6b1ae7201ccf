//! Questions of an owner that keeps lines and windows in a store.

use super::{Endpoint, LineBuf, Mid, Store, Ticket, Window};

impl<B: LineBuf, L, const N: usize, S: Store<Line = L>> Endpoint<B, L, N, S> {
    /// Chooses when an acknowledged line leaves: at once (false, as at first), or (true) only by
    /// [`done`](Self::done), for an owner that keeps its lines in a store and has to commit first that
    /// one is acknowledged. Until then it is repeated each time-out, nothing follows number 0, and numbers go
    /// at most 100 beyond its own; ordered lines follow it, since the peer has it. Best-effort lines are repeated like all others then: the store cannot know whether
    /// they were sent. To be chosen before the first line is sent.
    pub fn set_commits(&mut self, commits: bool) {
        self.outbox.set_keeps(commits);
    }

    /// Removes the oldest line, whose acknowledgement the owner has committed. False, and nothing
    /// happens, if `ticket` is not the oldest line, or the peer has not acknowledged it. See
    /// [`set_commits`](Self::set_commits).
    pub fn done(&mut self, ticket: Ticket) -> bool {
        let sending = self.connection.as_ref().and_then(|c| c.sending).map(|s| s.ticket);
        self.outbox.done(ticket, sending)
    }

    /// Returns the oldest lines that the peer has acknowledged and that are not [done](Self::done), in
    /// order: those whose removal the owner commits next.
    pub fn acked_oldest(&self) -> impl Iterator<Item = Ticket> + '_ {
        self.outbox.acked_oldest()
    }

    /// Sets the number of the oldest line, from a store: its first line was sent by an earlier process,
    /// or is to be the next after all that were. Returns false, and nothing happens, if a line has been
    /// sent and is not done.
    pub fn set_first_number(&mut self, mid: Mid) -> bool {
        self.outbox.set_first(mid)
    }

    /// Returns the number of the oldest line; without one, that of the next line. This is what a store
    /// keeps for [`set_first_number`](Self::set_first_number).
    pub fn first_number(&self) -> Mid {
        self.outbox.first()
    }

    /// Returns what [`first_number`](Self::first_number) will be once the `acked` oldest lines are
    /// [done](Self::done).
    pub fn first_number_after(&self, acked: usize) -> Mid {
        self.outbox.first_after(acked)
    }

    /// Returns what is known of received messages, to be copied, and stored with them.
    pub fn window(&self) -> &Window {
        &self.window
    }

    /// Takes a window from a store, before the first connection.
    pub fn set_window(&mut self, mut window: Window) {
        window.reconnected();
        self.window = window;
    }
}
