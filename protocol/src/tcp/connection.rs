//! The state of an endpoint that belongs to the present connection only.

use core::hash::{Hash, Hasher};

use super::line::Mid;
use super::mid_set::MidSet;
use super::outbox::Ticket;
use crate::time::{Duration, Instant};

/// The present connection, if there is one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Connection {
    pub(super) last_rx: Instant,
    /// The latest time of the next keepalive; at once after connecting.
    pub(super) keepalive_at: Instant,
    /// A complete line has come.
    pub(super) first_line: bool,
    pub(super) pause: Pause,
    pub(super) acks: Acks,
    /// Messages that came over this connection and whose acknowledgement the owner holds back. What
    /// came over an earlier one must not be acknowledged here: the peer may have restarted, and mean
    /// another message by the id.
    pub(super) held: MidSet,
    /// A message of which only a part is sent so far.
    pub(super) sending: Option<Sending>,
    pub(super) quiet: Quiet,
}

impl Connection {
    pub(super) const fn new(now: Instant) -> Self {
        Self {
            last_rx: now,
            keepalive_at: now,
            first_line: false,
            pause: Pause::UntilSignOfLife,
            acks: Acks::new(),
            held: MidSet::EMPTY,
            sending: None,
            quiet: Quiet::new(now),
        }
    }
}

/// The state of the rule who may send lines (not acknowledgements) when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Pause {
    UntilSignOfLife,
    Until(Instant),
    Over,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Sending {
    pub(super) ticket: Ticket,
    /// Bytes of id, text and newline that are sent.
    pub(super) sent: usize,
}

/// Keepalives in a row prove, by the peer's own clock, that it has no message that waits for its
/// acknowledgement: it would have repeated it between them. They are counted in the order of the stream,
/// since what a receiver can measure is only how long the network took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Quiet {
    keepalives: u8,
    since: Instant,
    /// A message came over this connection.
    spoke: bool,
    /// The owner has bytes that the socket did not take.
    blocked: bool,
}

impl Quiet {
    /// A peer repeats a message after four keepalives at the latest; twice that.
    const AFTER_A_MESSAGE: u8 = 8;
    /// One that has just connected repeats nothing until it has heard from us: it sends up to 13.
    const AFTER_CONNECTING: u8 = 16;

    const fn new(now: Instant) -> Self {
        Self { keepalives: 0, since: now, spoke: false, blocked: false }
    }

    pub(super) fn on_message(&mut self, now: Instant) {
        self.spoke = true;
        self.restart(now);
    }

    /// Begins to count anew: the peer may have heard of an acknowledgement only now.
    pub(super) fn restart(&mut self, now: Instant) {
        self.keepalives = 0;
        self.since = now;
    }

    pub(super) fn set_blocked(&mut self, now: Instant, blocked: bool) {
        self.blocked = blocked;
        self.restart(now);
    }

    /// Counts a keepalive. Returns true if the peer has been quiet for long enough: the count, and two
    /// time-outs by our clock.
    pub(super) fn on_keepalive(&mut self, now: Instant, timeout: Duration) -> bool {
        self.keepalives = self.keepalives.saturating_add(1);
        let enough = if self.spoke { Self::AFTER_A_MESSAGE } else { Self::AFTER_CONNECTING };
        self.keepalives >= enough && now.since(self.since) >= timeout.times(2) && !self.blocked
    }
}

/// Acknowledgements to send, in order; each id at most once, so 256 places are always enough.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Acks {
    due: heapless::Deque<u8, 256>,
    set: MidSet,
}

impl Acks {
    const fn new() -> Self {
        Self { due: heapless::Deque::new(), set: MidSet::EMPTY }
    }

    pub(super) fn push(&mut self, mid: Mid) {
        if self.set.insert(mid) {
            // There is room: each id has a place.
            let _ = self.due.push_back(mid.0);
        }
    }

    /// Takes one out that is not to be sent any more.
    pub(super) fn cancel(&mut self, mid: Mid) {
        if self.set.remove(mid) {
            self.due.retain(|&due| due != mid.0);
        }
    }

    pub(super) fn pop(&mut self) -> Option<Mid> {
        let mid = Mid(self.due.pop_front()?);
        self.set.remove(mid);
        Some(mid)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.due.is_empty()
    }
}

impl Hash for Acks {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_usize(self.due.len());
        for mid in &self.due {
            mid.hash(state);
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::collections::HashSet;
    use std::hash::DefaultHasher;

    use super::*;

    #[test]
    fn other_acknowledgements_have_another_digest() {
        // A model checker knows states by their digests alone.
        let digest = |mids: &[u8]| {
            let (mut acks, mut hasher) = (Acks::new(), DefaultHasher::new());
            mids.iter().for_each(|mid| acks.push(Mid(*mid)));
            acks.hash(&mut hasher);
            hasher.finish()
        };
        let digests = [&[][..], &[0], &[1], &[1, 2], &[2, 1]].map(digest);
        assert_eq!(HashSet::from(digests).len(), digests.len());
        assert_eq!(digest(&[1, 1]), digest(&[1]));
    }
}
