//! Lines of a secure link in the hands of the application: those to the client, and those from it.

use std::task::Waker;

use pblink_protocol::time::Instant;

use super::super::content::{Content, Done};
use super::super::inbox::Loan;
use super::{Call, Received, Secure};
use crate::origin::Origin;
use crate::state::{IN_FLIGHT, SessionState};

impl Received {
    /// Returns where the line is from, if it has a number.
    pub(crate) fn origin(&self) -> Option<Origin> {
        let Self { epoch, seq, written_ms } = *self;
        (seq > 0).then_some(Origin { epoch: epoch.get(), seq, written_ms })
    }
}

/// Lines to the client.
impl Secure {
    /// Adds a line with this number.
    pub(super) fn push(&mut self, number: u64, text: &str, written: Instant) {
        // No number is given twice, whatever the owner's store says. After a start some come that the store has given long ago:
        // those that the session had no room for when it began.
        let number = number.max(self.given + 1);
        self.given = number;
        self.standing.highest = self.standing.highest.max(number);
        self.rows.push(number, text, written);
        self.held += 1;
    }

    /// Puts a line behind those to be sent. `number`: that of the owner's store; else the next one.
    pub(crate) fn write(&mut self, number: Option<u64>, text: &str, now: Instant) -> u64 {
        self.push(number.unwrap_or(self.standing.highest + 1), text, now);
        self.given
    }

    /// Sends a line that may be lost. False: the one before it is still on its way, or there is no link.
    pub(crate) fn send(&mut self, text: &str) -> bool {
        let sent = self.record.is_up() && self.machine.send(text);
        self.wants_to_send |= !sent;
        sent
    }

    /// Takes a line back that its writer waits for no more, if it was never sent.
    pub(crate) fn cancel(&mut self, number: u64) {
        self.side.waiters.remove(number);
        if number > self.machine.mark() {
            self.rows.remove(number);
        }
    }

    pub(crate) fn is_pending(&self, number: u64) -> bool {
        self.rows.contains(number)
    }

    /// Returns true, once, if nobody knows whether the client has this line.
    pub(crate) fn take_undetermined(&mut self, number: u64) -> bool {
        let at = self.undetermined.iter().position(|&other| other == number);
        at.map(|at| self.undetermined.swap_remove(at)).is_some()
    }

    pub(crate) fn wait_for(&mut self, number: u64, waker: &Waker) {
        self.side.waiters.wait_for(number, false, waker);
    }

    /// Returns the lines that someone waits for; all are woken.
    pub(crate) fn pending(&mut self, wakes: &mut Vec<Waker>) -> Vec<u64> {
        let Self { side, rows, .. } = self;
        side.waiters.wake_all(|number| rows.contains(number), wakes)
    }

    /// Returns the number of places in the queue of written lines that have become free since the last call.
    pub(crate) fn take_freed(&mut self) -> usize {
        // More than the queue has places for is there only after a restart.
        let used = self.rows.len().min(IN_FLIGHT);
        let freed = self.held.min(IN_FLIGHT).saturating_sub(used);
        self.held = self.rows.len();
        freed
    }

    /// Returns the number of places that are taken.
    pub(crate) fn taken(&self) -> usize {
        self.rows.len().min(IN_FLIGHT)
    }
}

/// Lines from the client.
impl Secure {
    /// Returns the last line up to which all are accepted.
    pub(super) fn accepted(&self) -> u64 {
        let waits = |line: &&Received| line.seq > 0 && Some(line.epoch) == self.standing.board;
        let oldest = self.side.inbox.receipts().find(waits);
        oldest.map_or(self.standing.received, |line| line.seq - 1)
    }

    /// Takes the oldest waiting line, and accepts it.
    pub(crate) fn take_into(&mut self, line: &mut String) -> bool {
        let taken = self.side.inbox.take_into(line).is_some();
        self.acknowledge();
        taken
    }

    /// Accepts a line that was lent.
    pub(crate) fn accept(&mut self, loan: Loan) {
        if self.side.inbox.accept(loan).is_some() {
            self.acknowledge();
        }
    }

    /// Acknowledges what was accepted.
    fn acknowledge(&mut self) {
        if let Some(board) = self.standing.board {
            self.machine.on_committed(board, self.accepted());
        }
    }

    /// Returns true if an owner that commits has something to commit, and has no batch of this session already.
    pub(crate) fn is_due(&self) -> bool {
        let something = self.side.inbox.len() > 0
            || self.wishes.resume.is_some()
            || self.rows.count_up_to(self.done) > 0;
        self.record.commits && !self.record.closing && !self.side.inbox.is_out() && something
    }

    /// Lends all waiting lines as a batch, with the answer to a client that has said where it stands: it comes behind them.
    pub(crate) fn take_batch(&mut self) -> Option<Content> {
        if !(self.is_due() || self.side.inbox.is_waiting()) {
            return None;
        }
        let mut lines = self.side.inbox.lend_all()?;
        lines.set_origins(self.side.inbox.receipts().map(Received::origin));
        let numbered = self.side.inbox.receipts().filter(|from| from.seq > 0);
        let last = numbered.last().map(|from| (from.epoch, from.seq));
        let mut standing = self.standing.clone();
        self.asked = self.wishes.resume.take_if(|_| self.record.commits);
        let resolution = self.asked.map(|resume| {
            let resolution = self.resolve(&resume);
            standing.resolve(resume.peer, self.own, &resolution);
            resolution
        });
        // What it has said in passing, and what it says of itself now.
        let resolved = resolution.and_then(|resolution| resolution.delivered);
        let delivered = self.done.max(resolved.unwrap_or(0));
        let delivered = match self.record.commits {
            true => (self.rows.count_up_to(delivered), delivered),
            false => (0, 0),
        };
        let state = SessionState::secure(standing);
        Some(Content { lines, state, done: Done::Secure { last, delivered, resolution } })
    }

    /// Accepts all lines of the batch that is out, removes those to the client that are done, and answers the client.
    pub(crate) fn accept_batch(&mut self, content: &Content, call: &mut Call<'_>) {
        let Done::Secure { last, delivered, resolution } = &content.done else { return };
        self.side.inbox.accept_batch(|_| {});
        if let Some((epoch, seq)) = *last {
            self.machine.on_committed(epoch, seq);
        }
        self.deliver_up_to(delivered.1, call);
        if let Some(resolution) = resolution {
            // The machine has taken no line since it asked.
            let asked = self.asked.take();
            self.take_over(asked.and_then(|resume| resume.peer), resolution);
            self.on_settled(resolution, call);
            if resolution.answer.epoch == self.own {
                self.on_answered(resolution, call);
            } else {
                // A new epoch has begun meanwhile. The board may have asked the same again, and is not to learn one that has ended:
                // what was resolved counts, and the answer is that to the question as it is now.
                self.wishes.resume = self.wishes.resume.or(asked);
            }
        }
    }
    /// Puts the lines of the batch that is out back, and the question with them, unless there is a newer one.
    pub(crate) fn give_batch_back(&mut self) {
        self.side.inbox.give_batch_back();
        let asked = self.asked.take();
        self.wishes.resume = self.wishes.resume.or(asked);
    }
}
