//! The memory of a session: the endpoint, the unread lines, and the connection of the moment.
//!
//! Everything here runs under the session's lock and never waits.

mod asleep;
mod taking;
mod writing;

use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Waker;

use pblink_protocol::tcp::endpoint::{Endpoint, Role};
use pblink_protocol::time::{Instant, earliest};

use self::asleep::Numbers;
pub(crate) use self::asleep::{Packed, Spare};
use super::record::Record;
use super::side::{Receiver, Side};
use super::transport::{Socket, Transport};
use super::{Due, Effects, Limits, Shared};
use crate::buffers::{LineBytes, Partial};
use crate::event::Cause;
use crate::state::{IN_FLIGHT, Owed, SessionState};
use crate::status::LinkStatus;

/// Result of a read by whoever wants lines only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Took {
    Nothing,
    /// Reports only: their acknowledgements wait.
    Reports,
    /// A line, and what reports were before it.
    Line,
}

/// The endpoint of a client that is here.
pub(crate) type End = Endpoint<Partial, LineBytes, IN_FLIGHT>;

/// See the module's text. `E`: the endpoint, or what is left of it while the client is away.
#[derive(Debug)]
pub(crate) struct Core<E = End> {
    pub(crate) endpoint: E,
    pub(crate) side: Side,
    pub(crate) transport: Option<Transport>,
    /// Places in the queue of written lines that are taken, as far as the semaphore knows.
    held: usize,
    /// The connection's task knows that acknowledgements wait to be sent.
    told_acks: bool,
    /// Someone wants to know when this connection speaks.
    pub(crate) rivals: bool,
    /// The endpoint had settled so often when its state was last stored.
    settled: u32,
    pub(crate) record: Record,
}

impl Core {
    pub(crate) fn new(limits: &Limits, now: Instant) -> Self {
        Self::with(Self::endpoint(limits), limits, now)
    }

    fn endpoint(limits: &Limits) -> End {
        let partial = Partial::new(limits.max_line);
        let mut endpoint = Endpoint::new(Role::Server, limits.timing, partial);
        endpoint.set_commits(limits.commits);
        endpoint
    }

    pub(crate) fn is_current(&self, socket: &Arc<Socket>) -> bool {
        self.transport.as_ref().is_some_and(|transport| transport.is(socket))
    }

    /// Returns the socket of the present connection.
    pub(super) fn socket(&self) -> Option<Arc<Socket>> {
        self.transport.as_ref().map(Transport::socket)
    }

    /// Tries once more before a client that takes nothing is cut.
    pub(super) fn retry(&mut self, now: Instant) {
        let timeout = self.endpoint.timing().timeout;
        if let Some(transport) = &mut self.transport
            && transport.blocked_since().is_some_and(|since| now.since(since) >= timeout)
        {
            transport.retry(now);
        }
    }

    /// Attaches a connection that has given this session's id.
    pub(crate) fn attach(
        &mut self,
        socket: Arc<Socket>,
        peer: SocketAddr,
        now: Instant,
        id: &str,
        shared: &Shared,
    ) {
        self.endpoint.on_connected(now);
        self.transport = Some(Transport::new(socket));
        self.record.on_up(peer, now, id, shared);
    }

    /// Detaches the connection, which is over. Lines wait for the next one.
    pub(crate) fn detach(&mut self, cause: Cause, now: Instant, id: &str, shared: &Shared) {
        let Some(transport) = self.transport.take() else { return };
        transport.look_again();
        self.endpoint.on_disconnected();
        self.side.shrink();
        self.record.on_down(cause, now, id, shared);
    }

    /// Parks the session, which moves to another server: it is down until its client comes back.
    pub(crate) fn park(&mut self) {
        self.side.park();
        self.told_acks = false;
        self.rivals = false;
        self.record.park();
        self.held = 0;
    }

    pub(crate) fn is_worth_keeping(&self) -> bool {
        self.record.connects > 0 || self.record.restored || self.endpoint.unacked() > 0
    }

    /// Looks at bytes that came in.
    pub(crate) fn receive(
        &mut self,
        bytes: &[u8],
        now: Instant,
        id: &str,
        shared: &Shared,
        wakes: &mut Vec<Waker>,
    ) {
        let mut receiver = Receiver { side: &mut self.side, id, shared, now, wakes };
        self.endpoint.on_bytes(now, bytes, &mut receiver);
    }

    /// Returns true if lines were delivered since the last call.
    pub(crate) fn take_delivered(&mut self) -> bool {
        std::mem::take(&mut self.side.delivered)
    }

    /// Sends all that is to be sent now and that the socket takes.
    pub(crate) fn flush(&mut self, now: Instant, out: &mut [u8]) {
        self.told_acks = false;
        if let Some(transport) = &mut self.transport {
            let was_blocked = transport.blocked_since().is_some();
            transport.flush(now, out, |out| self.endpoint.transmit(now, out));
            if transport.blocked_since().is_some() {
                self.endpoint.on_blocked(now);
            } else if was_blocked {
                self.endpoint.on_written(now);
            }
        }
    }

    fn blocked_since(&self) -> Option<Instant> {
        self.transport.as_ref().and_then(Transport::blocked_since)
    }

    fn is_broken(&self) -> bool {
        self.transport.as_ref().is_some_and(Transport::is_broken)
    }

    /// Returns why the connection has to be closed, if it has to.
    pub(crate) fn failure(&self, now: Instant) -> Option<Cause> {
        let timeout = self.endpoint.timing().timeout;
        if self.side.too_long {
            Some(Cause::LineTooLong)
        } else if self.is_broken() {
            Some(Cause::Reset)
        } else if self.endpoint.outage(now) {
            Some(Cause::Silent)
        } else if (self.blocked_since()).is_some_and(|since| now.since(since) >= timeout) {
            Some(Cause::SlowReader)
        } else {
            None
        }
    }

    pub(crate) fn clear_failure(&mut self) {
        self.side.too_long = false;
    }

    /// Returns when the connection's task has to look again.
    fn deadline(&self, now: Instant) -> Option<Instant> {
        let timeout = self.endpoint.timing().timeout;
        match self.blocked_since() {
            // The endpoint has more to send, but that must wait for the socket.
            Some(since) => earliest(self.endpoint.outage_at(), Some(since + timeout)),
            None => self.endpoint.poll_at(now),
        }
    }

    /// Returns for the connection's task when to look again, if that has changed, and whether it
    /// has to wait until the socket takes bytes.
    pub(crate) fn rearm(&mut self, now: Instant, fired: bool) -> (Option<Instant>, bool) {
        if fired {
            self.idle(now);
        }
        let deadline = self.deadline(now);
        (self.transport.as_mut()).map_or((None, false), |t| t.rearm(deadline, fired))
    }

    /// Wakes the connection's task after a writer has flushed, if it has to know.
    pub(crate) fn call_for_attention(&self, now: Instant) {
        if let Some(transport) = &self.transport
            && transport.wants_attention(self.deadline(now))
        {
            transport.look_again();
        }
    }

    /// Gives back the memory of an idle link; called at the pace of keepalives.
    fn idle(&mut self, now: Instant) {
        if !std::mem::take(&mut self.side.busy) {
            self.side.shrink();
            if let Some(transport) = &mut self.transport {
                transport.shrink();
            }
        }
        if now.since(self.side.invalid_since) >= self.endpoint.timing().timeout {
            self.side.invalid_events = 0;
        }
    }

    /// Returns true when the application has no line that it has not accepted, and nothing is left
    /// to send, or nobody is there to send it to.
    pub(crate) fn is_drained(&self) -> bool {
        if self.side.inbox.is_out() {
            return false;
        }
        // The owner has the lines to the client in its store, and need not wait for them.
        let sent = self.record.commits || self.endpoint.unacked() == 0;
        self.transport.is_none() || (sent && self.blocked_since().is_none())
    }

    /// Takes what is known of the client from a store, before anything has happened.
    pub(crate) fn set_state(&mut self, state: SessionState, now: Instant) {
        self.record.restored = true;
        let (window, next, owed) = state.into_classic();
        self.endpoint.set_window(window);
        // Nothing was written yet.
        let _ = self.endpoint.set_first_number(next);
        for Owed { text, delivery, .. } in owed {
            // There is room for as many as a state has.
            let _ = self.push(now, &text, delivery);
        }
    }

    /// Lines were accepted. True if their acknowledgements are to be sent from here, since the application
    /// has nothing more to take. Otherwise it is likely to take another line at once, and the
    /// connection's task sends the acknowledgements of all together.
    pub(crate) fn has_caught_up(&mut self) -> bool {
        let Some(transport) = &self.transport else { return false };
        if !self.side.inbox.is_waiting() {
            return true;
        }
        if !std::mem::replace(&mut self.told_acks, true) {
            transport.look_again();
        }
        false
    }

    /// Acknowledges what was accepted, after [`has_caught_up`](Self::has_caught_up).
    pub(crate) fn acknowledge(&mut self, now: Instant, out: &mut [u8]) {
        self.flush(now, out);
        self.call_for_attention(now);
    }

    /// Returns what follows from a look at the session.
    pub(super) fn effects(&mut self, shared: &Shared, wakes: &mut Vec<Waker>) -> Effects {
        self.settle(shared);
        self.wake_best_effort(wakes);
        let due = !self.record.queued && self.is_due();
        self.record.queued |= due;
        Effects {
            freed: self.take_freed(),
            delivered: self.take_delivered(),
            changed: self.record.draining && self.is_drained(),
            due: Due::new(due, &self.side.inbox),
            newcomer: false,
        }
    }

    /// Settles what the inbox counts for in the sum of all, and gives memory back that nobody needs.
    pub(crate) fn settle(&mut self, shared: &Shared) {
        self.side.settle(shared, self.transport.is_none());
    }
}

impl<E> Core<E> {
    /// Returns the session of a client that nothing is known of.
    fn with(endpoint: E, limits: &Limits, now: Instant) -> Self {
        Self {
            endpoint,
            side: Side::default(),
            transport: None,
            held: 0,
            told_acks: false,
            rivals: false,
            settled: 0,
            record: Record::new(limits, now),
        }
    }
}

impl<E: Numbers> Core<E> {
    /// Returns since when the client is away, if it is and all its lines were taken.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        let away = self.record.is_absent() && self.side.inbox.len() == 0;
        // The owner's store has lines for it.
        let owed = self.record.commits && self.endpoint.unacked() > 0;
        (away && !owed).then_some(self.record.since)
    }

    pub(crate) fn status(&self, id: &str, now: Instant) -> LinkStatus {
        let stats = self.endpoint.stats();
        LinkStatus {
            lines_in: stats.lines_in.into(),
            lines_out: stats.lines_out.into(),
            retransmissions: stats.retransmissions.into(),
            duplicates: stats.duplicates.into(),
            invalid_lines: stats.invalid.into(),
            unread: self.side.inbox.len() as u64,
            unacked: self.endpoint.unacked() as u64,
            write_ack_us: self.side.write_ack_us,
            ..self.record.status(id, now, self.side.report)
        }
    }
}
