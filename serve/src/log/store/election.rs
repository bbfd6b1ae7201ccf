//! The time at which a gateway that stands by may lead.
//!
//! No clock decides who leads: that does the stream, which takes one claim and refuses the other. A gateway that claims too
//! early costs its boards a new connection, and nobody a line.

use std::time::Duration;

/// Interval at which the leader says that it is there.
pub(super) const BEAT: Duration = Duration::from_millis(500);

/// Time without a word of the leader after which another may claim.
const SILENCE: Duration = Duration::from_secs(3);

/// Pause before a claim that was refused is made again.
const AGAIN: Duration = Duration::from_millis(500);

/// See the module's text. Times are those of a clock that nobody sets.
#[derive(Debug)]
pub(super) struct Election {
    /// Added to the silence: not all claim at once.
    rank: Duration,
    vacant: bool,
    heard: Duration,
    not_before: Duration,
}

impl Election {
    /// Returns one for a gateway that begins to look now. `rank`: a time that other gateways do not have, below [`SILENCE`].
    pub(super) fn new(now: Duration, rank: Duration) -> Self {
        Self { rank, vacant: false, heard: now, not_before: now }
    }

    /// Notes that the leader has said something, or that there is a new one.
    pub(super) fn heard(&mut self, now: Duration) {
        (self.heard, self.vacant) = (now, false);
    }

    /// Notes that the leader has stopped in good order.
    pub(super) fn left(&mut self) {
        self.vacant = true;
    }

    /// Notes that nothing could be heard up to now: silence says nothing.
    pub(super) fn deaf(&mut self, now: Duration) {
        self.heard = now;
    }

    /// Notes that a claim was refused, or that nobody has said a word on it.
    pub(super) fn refused(&mut self, now: Duration) {
        self.not_before = now + AGAIN;
    }

    /// Returns the time at which a claim is due.
    pub(super) fn claim_at(&self) -> Duration {
        let silent = self.heard + SILENCE + self.rank;
        // Behind a leader that has left, too, not all claim at once.
        let due = if self.vacant { self.heard.min(silent) + self.rank / 4 } else { silent };
        due.max(self.not_before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_leader_is_replaced_once_it_was_silent_for_long_enough() {
        let mut election = Election::new(ms(0), ms(200));
        assert_eq!(election.claim_at(), ms(3200));
        election.heard(ms(1000));
        assert_eq!(election.claim_at(), ms(4200));
        // A network that was gone says nothing about the leader.
        election.deaf(ms(9000));
        assert_eq!(election.claim_at(), ms(12_200));
    }

    #[test]
    fn a_leader_that_has_left_is_replaced_at_once() {
        let mut election = Election::new(ms(0), ms(200));
        election.heard(ms(1000));
        election.left();
        assert_eq!(election.claim_at(), ms(1050));
        // Another was quicker.
        election.refused(ms(1060));
        election.heard(ms(1070));
        assert_eq!(election.claim_at(), ms(4270));
    }

    #[test]
    fn a_claim_that_was_refused_is_made_again_after_a_pause() {
        let mut election = Election::new(ms(0), ms(0));
        election.refused(ms(3000));
        assert_eq!(election.claim_at(), ms(3500));
    }
}
