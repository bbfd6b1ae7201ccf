//! What a session remembers: the endpoint, the unread lines, and the connection of the moment.
//!
//! Everything here runs under the session's lock and never waits.

use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Waker;

use pblink_protocol::tcp::endpoint::{Endpoint, Qos, Role, Ticket, Timing};
use pblink_protocol::time::{Instant, earliest};
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::Notify;

use super::Shared;
use super::side::{Receiver, Side, Waiter};
use crate::buffers::{LineBytes, Partial};
use crate::event::{Cause, EventKind, Layer};
use crate::status::{LinkState, LinkStatus};

/// Lines of one link that are waiting or unacknowledged; the next writer waits for room.
pub(crate) const IN_FLIGHT: usize = 64;

/// One TCP connection of a session.
#[derive(Debug)]
pub(crate) struct Wire {
    /// Written to by whoever has something to send, under the session's lock.
    pub(crate) half: OwnedWriteHalf,
    /// Tells the connection's task to look again.
    pub(crate) work: Notify,
}

/// See the module's text.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) endpoint: Endpoint<Partial, LineBytes, IN_FLIGHT>,
    pub(crate) side: Side,
    pub(crate) wire: Option<Arc<Wire>>,
    /// Taken from the endpoint, but not yet by the socket.
    unsent: Vec<u8>,
    unsent_from: usize,
    /// The socket has taken nothing since then.
    blocked_since: Option<Instant>,
    /// The connection's task knows that it has to wait until the socket takes bytes.
    told_blocked: bool,
    broken: bool,
    /// When the connection's task looks again by itself.
    armed: Instant,
    /// Places in the queue of written lines that are taken, as far as the semaphore knows.
    held: usize,
    /// Someone wants to know when this connection speaks.
    pub(crate) rivals: bool,
    /// Someone wants to know when nothing is left to send.
    pub(crate) draining: bool,
    link: LinkState,
    since: Instant,
    peer: Option<SocketAddr>,
    pub(crate) connects: u64,
    outages: u64,
}

impl Core {
    pub(crate) fn new(timing: Timing, max_line: usize, now: Instant) -> Self {
        Self {
            endpoint: Endpoint::new(Role::Server, timing, Partial::new(max_line)),
            side: Side::default(),
            wire: None,
            unsent: Vec::new(),
            unsent_from: 0,
            blocked_since: None,
            told_blocked: false,
            broken: false,
            armed: now,
            held: 0,
            rivals: false,
            draining: false,
            link: LinkState::Waiting,
            since: now,
            peer: None,
            connects: 0,
            outages: 0,
        }
    }

    pub(crate) fn is_up(&self) -> bool {
        self.link == LinkState::Up
    }

    pub(crate) fn down_cause(&self) -> Option<Cause> {
        match self.link {
            LinkState::Down { cause, .. } => Some(cause),
            LinkState::Waiting | LinkState::Up => None,
        }
    }

    pub(crate) fn is_current(&self, wire: &Arc<Wire>) -> bool {
        self.wire.as_ref().is_some_and(|w| Arc::ptr_eq(w, wire))
    }

    /// A connection has given this session's id.
    pub(crate) fn attach(
        &mut self,
        wire: Arc<Wire>,
        peer: SocketAddr,
        now: Instant,
        id: &str,
        shared: &Shared,
    ) {
        self.endpoint.connected(now);
        self.wire = Some(wire);
        self.armed = now;
        self.told_blocked = false;
        self.connects += 1;
        let (id, address) = (id.to_owned(), peer.to_string());
        shared.bus.publish(match self.link {
            LinkState::Down { .. } => EventKind::OutageEnded {
                id,
                peer: address,
                lasted_ms: now.since(self.since).as_millis(),
                connects: self.connects,
            },
            LinkState::Waiting | LinkState::Up => EventKind::Connected { id, peer: address },
        });
        self.peer = Some(peer);
        self.link = LinkState::Up;
        self.since = now;
    }

    /// The connection is over. Lines wait for the next one.
    pub(crate) fn detach(&mut self, cause: Cause, now: Instant, id: &str, shared: &Shared) {
        let Some(wire) = self.wire.take() else { return };
        wire.work.notify_one();
        self.endpoint.disconnected();
        self.unsent = Vec::new();
        self.unsent_from = 0;
        self.blocked_since = None;
        self.broken = false;
        self.side.shrink();
        self.outages += 1;
        let layer = layer_of(cause);
        self.link = LinkState::Down { layer, cause };
        self.since = now;
        shared.bus.publish(EventKind::OutageBegan { id: id.to_owned(), cause, layer });
    }

    /// The session moves to another server: it is down until its client comes back.
    pub(crate) fn park(&mut self) {
        self.side.waiters.clear();
        self.side.best_effort_waiters = 0;
        self.side.queue_full = false;
        self.draining = false;
        self.rivals = false;
        self.held = 0;
    }

    pub(crate) fn is_worth_keeping(&self) -> bool {
        self.connects > 0 || self.endpoint.unacked() > 0
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
        self.endpoint.receive(now, bytes, &mut receiver);
    }

    /// Whether lines were delivered since the last call.
    pub(crate) fn take_delivered(&mut self) -> bool {
        std::mem::take(&mut self.side.delivered)
    }

    /// Sends all that is to be sent now and that the socket takes.
    pub(crate) fn flush(&mut self, now: Instant, out: &mut [u8]) {
        let Some(wire) = &self.wire else { return };
        while !self.broken {
            if self.unsent_from < self.unsent.len() {
                match wire.half.try_write(&self.unsent[self.unsent_from..]) {
                    Ok(n) => {
                        self.unsent_from += n;
                        self.blocked_since = Some(now);
                    }
                    Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {
                        self.blocked_since.get_or_insert(now);
                        return;
                    }
                    Err(_) => self.broken = true,
                }
                continue;
            }
            if !self.unsent.is_empty() {
                self.unsent.clear();
                self.unsent_from = 0;
            }
            self.blocked_since = None;
            let n = self.endpoint.transmit(now, out);
            if n == 0 {
                return;
            }
            let sent = match wire.half.try_write(&out[..n]) {
                Ok(sent) => sent,
                Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => 0,
                Err(_) => {
                    self.broken = true;
                    return;
                }
            };
            // What is left goes through the branch above, which notices when the socket is full.
            self.unsent.extend_from_slice(&out[sent..n]);
        }
    }

    /// Why the connection has to be closed, if it has to.
    pub(crate) fn failure(&self, now: Instant) -> Option<Cause> {
        let timeout = self.endpoint.timing().timeout;
        if self.side.too_long {
            Some(Cause::LineTooLong)
        } else if self.broken {
            Some(Cause::Reset)
        } else if self.endpoint.outage(now) {
            Some(Cause::Silent)
        } else if (self.blocked_since).is_some_and(|since| now.since(since) >= timeout) {
            Some(Cause::SlowReader)
        } else {
            None
        }
    }

    pub(crate) fn clear_failure(&mut self) {
        self.side.too_long = false;
    }

    /// When the connection's task has to look again.
    fn deadline(&self, now: Instant) -> Option<Instant> {
        let timeout = self.endpoint.timing().timeout;
        match self.blocked_since {
            // The endpoint has more to send, but that must wait for the socket.
            Some(since) => earliest(self.endpoint.outage_at(), Some(since + timeout)),
            None => self.endpoint.poll_at(now),
        }
    }

    /// For the connection's task: when to look again, if that has changed, and whether it has to
    /// wait until the socket takes bytes.
    pub(crate) fn rearm(&mut self, now: Instant, fired: bool) -> (Option<Instant>, bool) {
        if fired {
            self.idle(now);
        }
        self.told_blocked = self.blocked_since.is_some();
        // A later deadline is looked at when the earlier one fires: re-arming a timer for every
        // line costs more than one wake-up in a quarter of the time-out.
        let deadline = (self.deadline(now)).filter(|&at| fired || at < self.armed);
        if let Some(at) = deadline {
            self.armed = at;
        }
        (deadline, self.told_blocked)
    }

    /// After a writer has flushed: whether the connection's task has to know.
    pub(crate) fn wants_attention(&self, now: Instant) -> bool {
        self.broken
            || self.blocked_since.is_some() && !self.told_blocked
            || self.deadline(now).is_some_and(|at| at < self.armed)
    }

    /// Called at the pace of keepalives: an idle link gives memory back.
    fn idle(&mut self, now: Instant) {
        if !std::mem::take(&mut self.side.busy) {
            self.side.shrink();
            if self.unsent.is_empty() {
                self.unsent = Vec::new();
            }
        }
        if now.since(self.side.invalid_since) >= self.endpoint.timing().timeout {
            self.side.invalid_events = 0;
        }
    }

    /// Nothing is left to send, or nobody is there to send it to.
    pub(crate) fn is_drained(&self) -> bool {
        self.wire.is_none() || (self.endpoint.unacked() == 0 && self.blocked_since.is_none())
    }

    /// Adds a line to those to send.
    pub(crate) fn push(&mut self, text: &str, qos: Qos, now: Instant) -> Option<Ticket> {
        let ticket = (self.endpoint.write(LineBytes::copy_of(text), qos, now)).ok()?;
        self.held += 1;
        Some(ticket)
    }

    /// How many places in the queue of written lines have become free since the last call.
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

    /// The tickets that someone waits for; all are woken.
    pub(crate) fn pending(&mut self, wakes: &mut Vec<Waker>) -> Vec<Ticket> {
        self.side.best_effort_waiters = 0;
        let waiters = std::mem::take(&mut self.side.waiters);
        let pending = |w: &Waiter| self.endpoint.is_pending(w.ticket).then_some(w.ticket);
        let tickets = waiters.iter().filter_map(pending).collect();
        wakes.extend(waiters.into_iter().map(|w| w.waker));
        tickets
    }

    pub(crate) fn pop_into(&mut self, line: &mut String, queue_lines: usize) -> bool {
        let popped = self.side.inbox.pop_into(line);
        // One episode ends when there is room again for more than a line or two.
        if self.side.queue_full && self.side.inbox.len() <= queue_lines / 2 {
            self.side.queue_full = false;
        }
        popped
    }

    pub(crate) fn status(&self, id: &str, now: Instant) -> LinkStatus {
        let stats = self.endpoint.stats();
        let report = self.side.report;
        LinkStatus {
            id: id.to_owned(),
            state: self.link,
            since_ms: now.since(self.since).as_millis(),
            peer: self.peer.map(|peer| peer.to_string()),
            connects: self.connects,
            outages: self.outages,
            lines_in: stats.lines_in.into(),
            lines_out: stats.lines_out.into(),
            retransmissions: stats.retransmissions.into(),
            duplicates: stats.duplicates.into(),
            invalid_lines: stats.invalid.into(),
            unread: self.side.inbox.len() as u64,
            unacked: self.endpoint.unacked() as u64,
            write_ack_us: self.side.write_ack_us,
            mem_free: report.map(|(_, _, mem_free)| mem_free),
            report_number: report.map(|(_, number, _)| number),
            board_connects: report.map(|(connects, _, _)| connects),
        }
    }
}

/// The layer that is most likely down.
fn layer_of(cause: Cause) -> Layer {
    match cause {
        Cause::Silent | Cause::TakenOver => Layer::Wifi,
        Cause::ClosedByPeer | Cause::Reset | Cause::SlowReader | Cause::LineTooLong => {
            Layer::Coprocessor
        }
        Cause::ClosedByApplication | Cause::Shutdown => Layer::Server,
    }
}
