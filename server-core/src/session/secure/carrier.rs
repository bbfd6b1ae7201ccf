//! A connection that claims an id with keys: a classic link of its own, which carries what the machine says.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use pblink_protocol::delivery::Delivery;
use pblink_protocol::secure::packet::MAX_DOWN;
use pblink_protocol::secure::server::Visitor;
use pblink_protocol::tcp::endpoint::{Disposition, Endpoint, Host, Receipt, Role};
use pblink_protocol::time::{Instant, earliest};

use super::super::Limits;
use super::super::transport::{Socket, Transport};
use super::Machine;
use super::rows::Rows;
use crate::buffers::{LineBytes, Partial};
use crate::event::Cause;
use crate::sources::{Place, source};

/// The first character of each packet.
const MARK: char = '~';

/// Lines of the classic link that are under way in it: packets, which are sent once.
const LINES: usize = 8;

/// The longest line that is looked at. Packets are far shorter; a board that speaks the classic link should be known for one.
const MAX_LINE: usize = 2048;

/// The traits of a connection that its task wants to know when it is over.
#[derive(Debug, Default)]
pub(crate) struct Visit {
    proven: AtomicBool,
    plain: AtomicBool,
}

impl Visit {
    /// Returns true if the client has proven who it is.
    pub(crate) fn is_proven(&self) -> bool {
        self.proven.load(Ordering::Relaxed)
    }

    /// Returns true if it has sent lines, and none of the secure link.
    pub(crate) fn is_plain(&self) -> bool {
        self.plain.load(Ordering::Relaxed)
    }
}

/// See the module's text.
pub(super) struct Carrier {
    pub(super) visitor: Visitor,
    pub(super) peer: SocketAddr,
    visit: Arc<Visit>,
    /// Its place among those that have not proven themselves.
    pending: Option<Place>,
    endpoint: Endpoint<Partial, LineBytes, LINES>,
    transport: Transport,
    too_long: bool,
}

/// Hands the lines of a classic link on. Best effort or not, they are acknowledged at once: what counts is in them.
struct Opener<'a, F> {
    line: F,
    too_long: &'a mut bool,
}

impl<F: FnMut(&str)> Host<LineBytes> for Opener<'_, F> {
    fn deliver(&mut self, text: &str, _receipt: Receipt) -> Disposition {
        (self.line)(text);
        // A client that speaks without keys is to keep its lines: nobody has them here.
        match text.starts_with(MARK) {
            true => Disposition::Taken,
            false => Disposition::Refused,
        }
    }

    fn too_long(&mut self) {
        *self.too_long = true;
    }
}

impl Carrier {
    pub(super) fn new(
        number: u64,
        (socket, peer): (Arc<Socket>, SocketAddr),
        (visit, pending): (Arc<Visit>, Place),
        limits: &Limits,
        now: Instant,
    ) -> Self {
        let partial = Partial::new(limits.max_line.min(MAX_LINE));
        let mut endpoint = Endpoint::new(Role::Server, limits.timing, partial);
        endpoint.on_connected(now);
        Self {
            visitor: Visitor::new(number, now),
            peer,
            visit,
            pending: Some(pending),
            endpoint,
            transport: Transport::new(socket),
            too_long: false,
        }
    }

    pub(super) fn is(&self, socket: &Arc<Socket>) -> bool {
        self.transport.is(socket)
    }

    pub(super) fn socket(&self) -> Arc<Socket> {
        self.transport.socket()
    }

    pub(super) fn address(&self) -> IpAddr {
        source(self.peer.ip())
    }

    /// Notes that it has proven who it is.
    pub(super) fn prove(&mut self) {
        self.pending = None;
        self.visit.proven.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_proven(&self) -> bool {
        self.visit.is_proven()
    }

    /// Takes bytes that have come, and hands the lines in them to `each`.
    pub(super) fn receive(
        &mut self,
        now: Instant,
        bytes: &[u8],
        mut each: impl FnMut(&mut Visitor, &str),
    ) {
        let Self { visitor, endpoint, too_long, visit, .. } = self;
        let line = |text: &str| {
            each(visitor, text);
            visit.plain.store(!visitor.has_asked(), Ordering::Relaxed);
        };
        endpoint.on_bytes(now, bytes, &mut Opener { line, too_long });
    }

    /// Sends all that is to be said and that the socket takes. Packets are made when they can leave: one that waits says what
    /// is no longer so.
    pub(super) fn flush(
        &mut self,
        now: Instant,
        machine: &mut Machine,
        rows: &Rows,
        out: &mut [u8],
    ) {
        let Self { visitor, endpoint, transport, .. } = self;
        let was_blocked = transport.blocked_since().is_some();
        transport.flush(now, out, |out| {
            // One of them may be the first of the connection, which the classic link repeats.
            while endpoint.is_up() && endpoint.unacked() < 2 {
                let mut packet = [0; MAX_DOWN];
                let Some(line) = machine.transmit(now, visitor, rows, &mut packet) else { break };
                // There is room.
                let _ = endpoint.write(now, LineBytes::copy_of(line), Delivery::BestEffort);
            }
            endpoint.transmit(now, out)
        });
        if transport.blocked_since().is_some() {
            endpoint.on_blocked(now);
        } else if was_blocked {
            endpoint.on_written(now);
        }
    }

    /// Returns true if it is silent for its time-out, as far as is known without another look at its socket.
    pub(super) fn is_silent(&self, now: Instant) -> bool {
        self.endpoint.outage(now)
    }

    /// Tries once more to send before a client counts as one that takes nothing.
    pub(super) fn retry(&mut self, now: Instant) {
        let timeout = self.endpoint.timing().timeout;
        if self.transport.blocked_since().is_some_and(|since| now.since(since) >= timeout) {
            self.transport.retry(now);
        }
    }

    /// Returns why it has to be closed, if it has to.
    pub(super) fn failure(&self, now: Instant, machine: &Machine) -> Option<Cause> {
        let timeout = self.endpoint.timing().timeout;
        let blocked = self.transport.blocked_since();
        if self.too_long {
            Some(Cause::LineTooLong)
        } else if self.transport.is_broken() {
            Some(Cause::Reset)
        } else if self.endpoint.outage(now) || machine.is_overdue(now, &self.visitor) {
            Some(Cause::Silent)
        } else if blocked.is_some_and(|since| now.since(since) >= timeout) {
            Some(Cause::SlowReader)
        } else {
            None
        }
    }

    fn deadline(&self, now: Instant, machine: &Machine) -> Option<Instant> {
        let timeout = self.endpoint.timing().timeout;
        let of_link = match self.transport.blocked_since() {
            Some(since) => earliest(self.endpoint.outage_at(), Some(since + timeout)),
            None => self.endpoint.poll_at(now),
        };
        let of_machine = earliest(machine.poll_at(now), Some(machine.overdue_at(&self.visitor)));
        earliest(of_link, of_machine)
    }

    /// Returns for its task when to look again, and whether it has to wait until the socket takes bytes.
    pub(super) fn rearm(
        &mut self,
        now: Instant,
        machine: &Machine,
        fired: bool,
    ) -> (Option<Instant>, bool) {
        let deadline = self.deadline(now, machine);
        self.transport.rearm(deadline, fired)
    }

    /// Wakes its task, if it has to know of what was sent in its place.
    pub(super) fn call_for_attention(&self, now: Instant, machine: &Machine) {
        if self.transport.wants_attention(self.deadline(now, machine)) {
            self.transport.look_again();
        }
    }

    pub(super) fn look_again(&self) {
        self.transport.look_again();
    }

    pub(super) fn is_blocked(&self) -> bool {
        self.transport.blocked_since().is_some()
    }
}
