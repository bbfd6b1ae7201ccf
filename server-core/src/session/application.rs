//! The part of a session that the application's tasks use: lines to write, and lines to take.

use std::task::{Context, Poll, Waker};

use pblink_protocol::delivery::Delivery;
use pblink_protocol::tcp::endpoint::Ticket;
use pblink_protocol::time::Instant;

use super::core::Took;
use super::secure::{self, Secure};
use super::state::Open;
use super::{Content, Core, Lent, Loan, Session, State, Written};
use crate::buffers::Scratch;
use crate::error::{Closed, WriteError};

impl Session {
    /// Puts a line into the queue, for which the caller has a permit of `room`, and sends it if that
    /// is possible. `None`: it is done already.
    pub(crate) fn submit(
        &self,
        text: &str,
        delivery: Delivery,
    ) -> Result<Option<Written>, WriteError> {
        self.with(|state, scratch, now| {
            if let State::Secure(secure) = state {
                let number = Self::push_secure(secure, scratch, now, None, text);
                secure.wait_for(number, Waker::noop());
                return Ok(Some(Written::Secure(number)));
            }
            let (core, ticket) = Self::push(state, scratch, now, text, delivery)?;
            if !core.endpoint.is_pending(ticket) {
                return Ok(None);
            }
            // From here on a shutdown knows that someone wants to hear of this line.
            core.wait_for(ticket, !delivery.is_guaranteed(), Waker::noop());
            Ok(Some(Written::Classic(ticket)))
        })
    }

    /// Does the same for a line that nobody waits for. `row`: its number in the owner's store.
    pub(crate) fn post(
        &self,
        row: Option<u64>,
        text: &str,
        delivery: Delivery,
    ) -> Result<(), WriteError> {
        self.with(|state, scratch, now| {
            if let State::Secure(secure) = state {
                Self::push_secure(secure, scratch, now, row, text);
                return Ok(());
            }
            Self::push(state, scratch, now, text, delivery).map(|_| ())
        })
    }

    fn push_secure(
        secure: &mut Secure,
        scratch: &mut Scratch,
        now: Instant,
        row: Option<u64>,
        text: &str,
    ) -> u64 {
        let number = secure.write(row, text, now);
        secure.flush(now, &mut scratch.out);
        number
    }

    /// Sends a line over a secure link that may be lost. False: not now; [`changed`](Self::changed) says when.
    pub(crate) fn send_once(&self, text: &str) -> Result<bool, WriteError> {
        self.with(|state, scratch, now| match state {
            State::Secure(secure) if !secure.record.closing => {
                let sent = secure.send(text);
                secure.flush(now, &mut scratch.out);
                Ok(sent)
            }
            _ => Err(WriteError::Closed),
        })
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
        line: Written,
        best_effort: bool,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), WriteError>> {
        match (&mut *self.lock(), line) {
            (State::Over { kept, forgotten, .. }, _) if kept.contains(&line) => {
                let error = if *forgotten { WriteError::Forgotten } else { WriteError::Kept };
                Poll::Ready(Err(error))
            }
            (State::Live(core), Written::Classic(ticket)) if core.endpoint.is_pending(ticket) => {
                core.wait_for(ticket, best_effort, cx.waker());
                Poll::Pending
            }
            (State::Secure(secure), Written::Secure(number)) if secure.is_pending(number) => {
                secure.wait_for(number, cx.waker());
                Poll::Pending
            }
            (State::Secure(secure), Written::Secure(number)) => {
                let undetermined = secure.take_undetermined(number);
                Poll::Ready(if undetermined { Err(WriteError::Undetermined) } else { Ok(()) })
            }
            _ => Poll::Ready(Ok(())),
        }
    }

    /// Cancels a line that nobody waits for any more. If it was never sent, it never will be.
    pub(crate) fn cancel(&self, line: Written) {
        self.with(|state, _, _| match (state, line) {
            (State::Live(core), Written::Classic(ticket)) => {
                core.forget(ticket);
                core.endpoint.cancel(ticket);
            }
            (State::Secure(secure), Written::Secure(number)) => secure.cancel(number),
            _ => {}
        });
    }

    /// Takes the oldest waiting line, and accepts it. `Ok(false)`: there is none yet.
    pub(crate) fn try_read(&self, line: &mut String) -> Result<bool, Closed> {
        // One way out of the lock, for each line passes here.
        let taken = {
            let mut state = self.lock();
            match state.open() {
                Ok(Open::Classic(core)) => {
                    let took = core.take_into(line);
                    core.settle(&self.shared);
                    Ok(Some((took, took != Took::Nothing && core.has_caught_up())))
                }
                Ok(Open::Secure(_)) => Ok(None),
                Err(Closed) => Err(Closed),
            }
        };
        let Some((took, caught_up)) = taken? else { return self.try_read_secure(line) };
        if caught_up {
            self.acknowledge();
        }
        Ok(took == Took::Line)
    }

    fn try_read_secure(&self, line: &mut String) -> Result<bool, Closed> {
        self.with(|state, scratch, now| {
            let Open::Secure(secure) = state.open()? else { return Err(Closed) };
            let took = secure.take_into(line);
            secure.flush(now, &mut scratch.out);
            Ok(took)
        })
    }

    /// Sends acknowledgements that wait.
    fn acknowledge(&self) {
        self.with(|state, scratch, now| {
            if let State::Live(core) = state {
                core.acknowledge(now, &mut scratch.out);
            }
        });
    }

    /// Lends the oldest waiting line.
    pub(crate) fn try_lend(&self) -> Result<Option<Lent>, Closed> {
        Ok(match self.lock().open()? {
            Open::Classic(core) => {
                let lent = core.side.inbox.lend();
                lent.map(|(loan, text, report)| Lent { loan, text, report, origin: None })
            }
            Open::Secure(secure) => {
                let inbox = &mut secure.side.inbox;
                inbox.lend().map(|(loan, text, report)| {
                    let origin = inbox.receipt(loan).and_then(secure::Received::origin);
                    Lent { loan, text, report, origin }
                })
            }
        })
    }

    /// Wakes another reader if a line waits.
    pub(crate) fn pass_on(&self) {
        let waits = match &*self.lock() {
            State::Live(core) => core.side.inbox.is_waiting(),
            State::Secure(secure) => secure.side.inbox.is_waiting(),
            State::Asleep(_) | State::Over { .. } => false,
        };
        if waits {
            self.lines.notify_one();
        }
    }

    /// Accepts a line that was lent.
    pub(crate) fn accept(&self, loan: Loan) -> Result<(), Closed> {
        self.with(|state, scratch, now| match state {
            State::Live(core) => {
                if core.accept(loan) && core.has_caught_up() {
                    core.acknowledge(now, &mut scratch.out);
                }
                Ok(())
            }
            State::Secure(secure) => {
                secure.accept(loan);
                secure.flush(now, &mut scratch.out);
                Ok(())
            }
            State::Asleep(_) | State::Over { .. } => Err(Closed),
        })
    }

    /// Puts a line that was lent back: it waits again.
    pub(crate) fn give_back(&self, loan: Loan) {
        self.with(|state, _, _| match state {
            State::Live(core) => core.side.inbox.give_back(loan),
            State::Secure(secure) => secure.side.inbox.give_back(loan),
            State::Asleep(_) | State::Over { .. } => {}
        });
        self.pass_on();
    }

    /// Lends all waiting lines as a batch. `None`: there is nothing to store, or the application has some
    /// already.
    pub(crate) fn take_batch(&self) -> Result<Option<Content>, Closed> {
        Ok(match self.lock().open()? {
            Open::Classic(core) => {
                core.record.queued = false;
                core.take_batch()
            }
            Open::Secure(secure) => {
                secure.record.queued = false;
                secure.take_batch()
            }
        })
    }

    /// Accepts all lines of the batch with this content.
    pub(crate) fn accept_batch(&self, content: &Content) -> Result<(), Closed> {
        let accepted = self.with(|state, scratch, now| match state {
            State::Live(core) => {
                core.accept_batch(content);
                core.acknowledge(now, &mut scratch.out);
                Ok(())
            }
            State::Secure(secure) => {
                let Scratch { out, wakes } = scratch;
                secure.accept_batch(content, &mut self.call(now, wakes));
                secure.flush(now, out);
                if secure.record.take_changed() {
                    self.changed.notify_waiters();
                }
                Ok(())
            }
            State::Asleep(_) | State::Over { .. } => Err(Closed),
        });
        // Lines that have come meanwhile.
        self.pass_on();
        accepted
    }

    /// Puts the lines of the batch back: they wait again.
    pub(crate) fn give_batch_back(&self) {
        self.with(|state, _, _| match state {
            State::Live(core) => core.side.inbox.give_batch_back(),
            State::Secure(secure) => secure.give_batch_back(),
            State::Asleep(_) | State::Over { .. } => {}
        });
        self.pass_on();
    }

    /// Hands out no more lines: the server is about to stop.
    pub(crate) fn close_reading(&self) {
        if let Some(record) = self.lock().record_mut() {
            record.closing = true;
        }
        self.lines.notify_waiters();
    }
}
