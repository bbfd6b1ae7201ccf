//! The part of a session that the application's tasks use: lines to write, and lines to take.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use pblink_protocol::delivery::Delivery;
use pblink_protocol::tcp::endpoint::Ticket;
use pblink_protocol::time::Instant;

use super::core::Took;
use super::{Content, Core, Loan, Session, State};
use crate::buffers::Scratch;
use crate::error::{Closed, WriteError};

impl Session {
    /// Puts a line into the queue, for which the caller has a permit of `room`, and sends it if that
    /// is possible. `None`: it is done already.
    pub(crate) fn submit(
        &self,
        text: &str,
        delivery: Delivery,
    ) -> Result<Option<Ticket>, WriteError> {
        self.with(|state, scratch, now| {
            let (core, ticket) = Self::push(state, scratch, now, text, delivery)?;
            if !core.endpoint.is_pending(ticket) {
                return Ok(None);
            }
            // From here on a shutdown knows that someone wants to hear of this line.
            core.wait_for(ticket, !delivery.is_guaranteed(), Waker::noop());
            Ok(Some(ticket))
        })
    }

    /// Does the same for a line that nobody waits for.
    pub(crate) fn post(&self, text: &str, delivery: Delivery) -> Result<(), WriteError> {
        self.with(|state, scratch, now| Self::push(state, scratch, now, text, delivery).map(|_| ()))
    }

    fn push<'a>(
        state: &'a mut State,
        scratch: &mut Scratch,
        now: Instant,
        text: &str,
        delivery: Delivery,
    ) -> Result<(&'a mut Core, Ticket), WriteError> {
        let State::Live(core) = state else {
            return Err(WriteError::Closed);
        };
        let ticket = core.push(now, text, delivery).ok_or(WriteError::Closed)?;
        // One line goes out from here, at once. When there are several, the connection's task
        // sends them together: a call to the system costs more than all the rest.
        if core.endpoint.unacked() == 1 {
            core.flush(now, &mut scratch.out);
        }
        core.call_for_attention(now);
        Ok((core, ticket))
    }

    /// Waits for a line to be acknowledged (`best_effort`: sent).
    pub(crate) fn poll_done(
        &self,
        ticket: Ticket,
        best_effort: bool,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), WriteError>> {
        match &mut *self.lock() {
            State::Over { kept, forgotten, .. } if kept.contains(&ticket) => {
                let error = if *forgotten { WriteError::Forgotten } else { WriteError::Kept };
                Poll::Ready(Err(error))
            }
            State::Live(core) if core.endpoint.is_pending(ticket) => {
                core.wait_for(ticket, best_effort, cx.waker());
                Poll::Pending
            }
            State::Live(_) | State::Asleep(_) | State::Over { .. } => Poll::Ready(Ok(())),
        }
    }

    /// Cancels a line that nobody waits for any more. If it was never sent, it never will be.
    pub(crate) fn cancel(&self, ticket: Ticket) {
        self.with(|state, _, _| {
            if let State::Live(core) = state {
                core.forget(ticket);
                core.endpoint.cancel(ticket);
            }
        });
    }

    /// Takes the oldest waiting line, and accepts it. `Ok(false)`: there is none yet.
    pub(crate) fn try_read(&self, line: &mut String) -> Result<bool, Closed> {
        let (took, caught_up) = {
            let mut state = self.lock();
            let core = state.open()?;
            let took = core.take_into(line);
            if took == Took::Nothing {
                return Ok(false);
            }
            core.settle(&self.shared);
            (took, core.has_caught_up())
        };
        if caught_up {
            self.acknowledge();
        }
        Ok(took == Took::Line)
    }

    /// Sends acknowledgements that wait.
    fn acknowledge(&self) {
        self.with(|state, scratch, now| {
            if let State::Live(core) = state {
                core.acknowledge(now, &mut scratch.out);
            }
        });
    }

    /// Lends the oldest waiting line: its loan, its text, and whether it is a report.
    pub(crate) fn try_lend(&self) -> Result<Option<(Loan, Arc<str>, bool)>, Closed> {
        Ok(self.lock().open()?.side.inbox.lend())
    }

    /// Wakes another reader if a line waits.
    pub(crate) fn pass_on(&self) {
        let waits = matches!(&*self.lock(), State::Live(core) if core.side.inbox.is_waiting());
        if waits {
            self.lines.notify_one();
        }
    }

    /// Accepts a line that was lent.
    pub(crate) fn accept(&self, loan: Loan) -> Result<(), Closed> {
        self.with(|state, scratch, now| {
            let State::Live(core) = state else {
                return Err(Closed);
            };
            if core.accept(loan) && core.has_caught_up() {
                core.acknowledge(now, &mut scratch.out);
            }
            Ok(())
        })
    }

    /// Puts a line that was lent back: it waits again.
    pub(crate) fn give_back(&self, loan: Loan) {
        self.with(|state, _, _| {
            if let State::Live(core) = state {
                core.side.inbox.give_back(loan);
            }
        });
        self.pass_on();
    }

    /// Lends all waiting lines as a batch. `None`: there is nothing to store, or the application has some
    /// already.
    pub(crate) fn take_batch(&self) -> Result<Option<Content>, Closed> {
        let mut state = self.lock();
        let core = state.open()?;
        core.record.queued = false;
        Ok(core.take_batch())
    }

    /// Accepts all lines of the batch with this content.
    pub(crate) fn accept_batch(&self, content: &Content) -> Result<(), Closed> {
        let accepted = self.with(|state, scratch, now| {
            let State::Live(core) = state else {
                return Err(Closed);
            };
            core.accept_batch(content);
            core.acknowledge(now, &mut scratch.out);
            Ok(())
        });
        // Lines that have come meanwhile.
        self.pass_on();
        accepted
    }

    /// Puts the lines of the batch back: they wait again.
    pub(crate) fn give_batch_back(&self) {
        self.with(|state, _, _| {
            if let State::Live(core) = state {
                core.side.inbox.give_batch_back();
            }
        });
        self.pass_on();
    }

    /// Hands out no more lines: the server is about to stop.
    pub(crate) fn close_reading(&self) {
        self.with(|state, _, _| {
            if let State::Live(core) = state {
                core.record.closing = true;
            }
        });
        self.lines.notify_waiters();
    }
}
