//! The memory of a session whose client speaks the secure link: the machine, the lines of both ways, and the connections that
//! claim the id.
//!
//! Everything here runs under the session's lock and never waits. A connection gets nothing but challenges until it has proven
//! itself; the one from which the last proof came carries. Each has a classic link of its own, so nothing classic outlives it.

mod carrier;
mod desk;
mod events;
mod lines;
mod rows;

use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Waker;

use pblink_protocol::secure::frame::{Epoch, Resume};
use pblink_protocol::secure::server::{self, Resolution, ServerEvent, resolve};
use pblink_protocol::time::Instant;

use self::carrier::Carrier;
pub(crate) use self::carrier::Visit;
use self::desk::Counter;
use self::rows::Rows;
use super::record::Record;
use super::side::Side;
use super::transport::Socket;
use super::{Due, Effects, Shared, Turn};
use crate::event::{Cause, EventKind};
use crate::keys::{Fingerprint, Keys, Suite};
use crate::sources::Place;
use crate::standing::Standing;
use crate::state::{IN_FLIGHT, Owed, SessionState};
use crate::status::LinkStatus;

/// Connections that may claim an id at a time. Of more, one that has proven nothing goes.
const MAX_CARRIERS: usize = 16;

/// The machine, with its cryptography.
pub(super) type Machine = server::Server<Suite>;

/// The parts that a call brings with it.
pub(crate) struct Call<'a> {
    pub(crate) id: &'a str,
    pub(crate) shared: &'a Shared,
    pub(crate) now: Instant,
    pub(crate) wakes: &'a mut Vec<Waker>,
}

/// Where a line came from that waits to be accepted; number 0: it was sent as best effort.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Received {
    epoch: Epoch,
    seq: u64,
    written_ms: u64,
}

/// Wishes of the machine that cannot be granted while it works.
#[derive(Debug, Default)]
struct Wishes {
    resume: Option<Resume>,
    /// The client has lines up to this number.
    done: u64,
    link: Vec<ServerEvent>,
}

/// See the module's text.
pub(crate) struct Secure {
    machine: Machine,
    fingerprint: Option<Fingerprint>,
    proven_keys: Option<u32>,
    carriers: Vec<Carrier>,
    visitors: u64,
    /// The address of the connection that was the last to prove itself.
    proven: Option<SocketAddr>,
    rows: Rows,
    standing: Standing,
    /// The epoch of this process.
    own: Epoch,
    highest_at_start: u64,
    /// The greatest number of a line that was here.
    given: u64,
    wishes: Wishes,
    /// The question whose answer is in the batch that is out.
    asked: Option<Resume>,
    /// Lines to the client up to this number are done, and the owner has not committed that yet.
    done: u64,
    /// Lines that nobody knows the fate of, and whose writers have not heard that.
    undetermined: Vec<u64>,
    pub(crate) side: Side<Received, u64>,
    pub(crate) record: Record,
    /// Places in the queue of written lines that are taken, as far as the semaphore knows.
    held: usize,
    lines_in: u64,
    lines_out: u64,
    /// The reason for which the carrier is being closed.
    cause: Option<Cause>,
    /// Another board with these keys is no news until then.
    rival_until: Instant,
    /// Someone waits for a line that may be lost to be on its way.
    wants_to_send: bool,
}

impl std::fmt::Debug for Secure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Secure")
            .field("fingerprint", &self.fingerprint)
            .field("carriers", &self.carriers.len())
            .field("standing", &self.standing)
            .finish_non_exhaustive()
    }
}

impl Secure {
    /// Makes the session of a client that nothing is known of.
    pub(crate) fn new(id: &str, keys: &Keys, shared: &Shared, now: Instant) -> Self {
        Self {
            machine: Machine::new(keys.suite(id), 0),
            fingerprint: keys.fingerprint(id),
            proven_keys: None,
            carriers: Vec::new(),
            visitors: 0,
            proven: None,
            rows: Rows::default(),
            standing: Standing::default(),
            own: shared.epoch(),
            highest_at_start: 0,
            given: 0,
            wishes: Wishes::default(),
            asked: None,
            done: 0,
            undetermined: Vec::new(),
            side: Side::default(),
            record: Record::new(&shared.limits, now),
            held: 0,
            lines_in: 0,
            lines_out: 0,
            cause: None,
            rival_until: Instant::ZERO,
            wants_to_send: false,
        }
    }

    /// Makes one from a store, before anything has happened.
    pub(crate) fn from_state(
        id: &str,
        keys: &Keys,
        shared: &Shared,
        state: SessionState,
        now: Instant,
    ) -> Self {
        let mut secure = Self::new(id, keys, shared, now);
        secure.record.restored = true;
        let (standing, last_row, owed) = state.into_secure();
        secure.standing = standing;
        secure.standing.highest = last_row;
        // Those that follow a full queue are among the lines that the store has given numbers.
        let more = owed.len() >= IN_FLIGHT;
        for Owed { row, text, written_ms, .. } in owed {
            let row = row.unwrap_or(secure.standing.highest + 1);
            secure.standing.highest = secure.standing.highest.max(row);
            secure.given = row;
            secure.rows.push(row, &text, shared.clock.instant_of(written_ms, now));
        }
        if !more {
            secure.given = secure.standing.highest;
        }
        secure.held = secure.rows.len();
        secure.highest_at_start = secure.standing.highest;
        secure.standing.close();
        let mark = secure.standing.board.map_or(0, |_| secure.rows.mark());
        secure.machine = Machine::new(keys.suite(id), mark);
        secure
    }

    /// Takes a connection that claims the id.
    pub(crate) fn visit(
        &mut self,
        connection: (Arc<Socket>, SocketAddr),
        traits: (Arc<Visit>, Place),
        call: &mut Call<'_>,
    ) {
        if self.carriers.len() >= MAX_CARRIERS {
            // Whoever relays packets of the board over connections of its own proves each of them.
            let idle = |it: &Carrier| Some(it.visitor.number()) != self.machine.carrier();
            let at = self.least_likely().or_else(|| self.carriers.iter().position(idle));
            if let Some(at) = at {
                self.leave(at, Cause::TakenOver, call);
            }
        }
        self.visitors += 1;
        let carrier =
            Carrier::new(self.visitors, connection, traits, &call.shared.limits, call.now);
        self.carriers.push(carrier);
    }

    /// Returns a connection that has proven nothing: the oldest of the address that has the most, rather not of the one that
    /// was the last to prove itself.
    fn least_likely(&self) -> Option<usize> {
        let proven = self.proven.map(|peer| crate::sources::source(peer.ip()));
        let unproven = || self.carriers.iter().enumerate().filter(|(_, it)| !it.is_proven());
        let same = |address| unproven().filter(|(_, it)| it.address() == address).count();
        unproven()
            .max_by_key(|(at, it)| {
                let address = it.address();
                (Some(address) != proven, same(address), std::cmp::Reverse(*at))
            })
            .map(|(at, _)| at)
    }

    fn position(&self, socket: &Arc<Socket>) -> Option<usize> {
        self.carriers.iter().position(|carrier| carrier.is(socket))
    }

    /// Runs `f`, and then does what the machine wants by it.
    fn with_machine<R>(
        &mut self,
        call: &mut Call<'_>,
        f: impl FnOnce(&mut Machine, &mut Counter<'_>) -> R,
    ) -> R {
        let Self { machine, side, standing, wishes, lines_in, .. } = self;
        let mut counter = Counter::new((side, standing, wishes, lines_in), call);
        let result = f(machine, &mut counter);
        self.grant(call);
        result
    }

    /// Does what the machine wants.
    fn grant(&mut self, call: &mut Call<'_>) {
        for event in std::mem::take(&mut self.wishes.link) {
            self.on_link(event, call);
        }
        self.done = self.done.max(std::mem::take(&mut self.wishes.done));
        if self.record.commits {
            return;
        }
        self.deliver_up_to(self.done, call);
        if let Some(resume) = self.wishes.resume.take() {
            let mut resolution = self.resolve(&resume);
            // Lines are kept in memory only: the board should not forget what an application has not accepted.
            if self.standing.board == Some(resume.epoch) {
                resolution.answer.done = self.accepted().min(resolution.received);
            }
            self.take_over(resume.peer, &resolution);
            self.on_settled(&resolution, call);
            self.on_answered(&resolution, call);
        }
    }

    fn resolve(&self, resume: &Resume) -> Resolution {
        let numbers = (self.highest_at_start, self.machine.mark());
        resolve(resume, &self.standing.book(resume, self.own, numbers))
    }

    /// Takes over what was resolved, as a store does with its commit.
    fn take_over(&mut self, view: Option<Epoch>, resolution: &Resolution) {
        // A board that was switched on anew: its lines are those of another life.
        let other = self.standing.board.is_some_and(|board| board != resolution.board);
        self.side.restarts = self.side.restarts.wrapping_add(other.into());
        self.standing.resolve(view, self.own, resolution);
    }

    /// Lets a resolution count that has been [taken over](Self::take_over), as far as it is about lines.
    fn on_settled(&mut self, resolution: &Resolution, call: &mut Call<'_>) {
        let id = call.id.to_owned();
        if let Some((from, to)) = resolution.lost {
            call.shared.bus.publish(EventKind::LinesMissing { id: id.clone(), from, to });
        }
        self.deliver_up_to(resolution.delivered.unwrap_or(0), call);
        if let Some(up_to) = resolution.undetermined {
            let mut lines = 0;
            let Self { rows, side, undetermined, .. } = self;
            rows.remove_up_to(up_to, |number, _| {
                lines += 1;
                if let Some(waker) = side.waiters.remove(number) {
                    undetermined.push(number);
                    call.wakes.push(waker);
                }
            });
            if lines > 0 {
                call.shared.bus.publish(EventKind::Undetermined { id, lines, up_to });
            }
        }
    }

    /// Answers the board.
    fn on_answered(&mut self, resolution: &Resolution, call: &mut Call<'_>) {
        let now = call.now;
        self.with_machine(call, |machine, counter| machine.on_resolved(now, resolution, counter));
    }

    /// Removes lines that the client has.
    fn deliver_up_to(&mut self, number: u64, call: &mut Call<'_>) {
        let Self { rows, side, lines_out, .. } = self;
        rows.remove_up_to(number, |number, written| {
            *lines_out += 1;
            side.write_ack_us = Some(call.now.since(written).as_micros());
            call.wakes.extend(side.waiters.remove(number));
        });
    }

    /// Takes bytes from a connection.
    pub(crate) fn receive(&mut self, socket: &Arc<Socket>, bytes: &[u8], call: &mut Call<'_>) {
        let Some(at) = self.position(socket) else { return };
        let now = call.now;
        let Self { machine, carriers, side, standing, wishes, lines_in, .. } = self;
        let mut counter = Counter::new((side, standing, wishes, lines_in), call);
        carriers[at].receive(now, bytes, |visitor, line| {
            machine.on_line(now, visitor, line, &mut counter);
        });
        if machine.wants_compute() {
            machine.compute(now, crate::world::wall_ms());
        }
        self.grant(call);
    }

    /// Reads what the carrier's socket holds at this moment, before another connection is listened to: after a stall of the
    /// process, a living board's word may wait there while a copy of it asks for its place.
    pub(crate) fn hear_carrier(&mut self, other: &Arc<Socket>, call: &mut Call<'_>) {
        let number = self.machine.carrier();
        let carries = |it: &&Carrier| Some(it.visitor.number()) == number && !it.is(other);
        let Some(socket) = self.carriers.iter().find(carries).map(Carrier::socket) else { return };
        socket.read_now(|read| self.took(&socket, read, call));
        // What follows is for its own task.
        socket.look_again();
    }

    /// Reads what a socket holds at this moment: silence counts after that.
    pub(crate) fn look_once_more(&mut self, socket: &Arc<Socket>, call: &mut Call<'_>) {
        let Some(at) = self.position(socket) else { return };
        if self.carriers[at].is_silent(call.now) {
            socket.read_now(|read| self.took(socket, read, call));
        }
        if let Some(carrier) = self.carriers.get_mut(at) {
            carrier.retry(call.now);
        }
    }

    /// Handles what was read.
    pub(crate) fn took(
        &mut self,
        socket: &Arc<Socket>,
        read: std::io::Result<&[u8]>,
        call: &mut Call<'_>,
    ) {
        match read {
            Ok([]) => self.closed(socket, Cause::ClosedByPeer, call),
            Ok(bytes) => self.receive(socket, bytes, call),
            Err(_) => self.closed(socket, Cause::Reset, call),
        }
    }

    fn closed(&mut self, socket: &Arc<Socket>, cause: Cause, call: &mut Call<'_>) {
        if let Some(at) = self.position(socket) {
            self.leave(at, cause, call);
        }
    }

    /// Lets a connection go. Its task sees to its socket.
    fn leave(&mut self, at: usize, cause: Cause, call: &mut Call<'_>) {
        let carrier = self.carriers.swap_remove(at);
        carrier.look_again();
        self.cause = Some(cause);
        self.with_machine(call, |machine, counter| machine.on_closed(&carrier.visitor, counter));
        self.cause = None;
    }

    /// Sends for a connection's task what is to be sent, and closes the connection if it has to. `fired`: its timer has gone off.
    pub(crate) fn go_on(
        &mut self,
        socket: &Arc<Socket>,
        fired: bool,
        out: &mut [u8],
        call: &mut Call<'_>,
    ) -> Turn {
        let now = call.now;
        self.cause = Some(Cause::Silent);
        self.with_machine(call, |machine, counter| machine.poll(now, counter));
        self.cause = None;
        let Some(at) = self.position(socket) else { return Turn::Over };
        self.carriers[at].flush(now, &mut self.machine, &self.rows, out);
        if let Some(cause) = self.carriers[at].failure(now, &self.machine) {
            self.leave(at, cause, call);
            return Turn::Over;
        }
        // What this one has brought may be for the one that carries.
        if self.machine.carrier() != Some(self.carriers[at].visitor.number()) {
            self.flush(now, out);
        }
        if fired && !std::mem::take(&mut self.side.busy) {
            self.side.shrink();
        }
        let Some(at) = self.position(socket) else { return Turn::Over };
        let (deadline, blocked) = self.carriers[at].rearm(now, &self.machine, fired);
        Turn::Go { deadline, blocked }
    }

    /// Sends what the carrier takes, in the place of its task.
    pub(crate) fn flush(&mut self, now: Instant, out: &mut [u8]) {
        let number = self.machine.carrier();
        let carrier = self.carriers.iter_mut().find(|it| Some(it.visitor.number()) == number);
        if let Some(carrier) = carrier {
            carrier.flush(now, &mut self.machine, &self.rows, out);
            carrier.call_for_attention(now, &self.machine);
        }
    }

    /// Ends all connections.
    pub(crate) fn end(&mut self, cause: Cause, call: &mut Call<'_>) {
        while let Some(last) = self.carriers.len().checked_sub(1) {
            self.leave(last, cause, call);
        }
    }

    /// Returns true if this connection is one of the session.
    pub(crate) fn has(&self, socket: &Arc<Socket>) -> bool {
        self.position(socket).is_some()
    }

    /// Returns what follows from a look at the session.
    pub(crate) fn effects(&mut self, shared: &Shared) -> Effects {
        self.side.settle(shared, self.carriers.is_empty());
        let due = !self.record.queued && self.is_due();
        self.record.queued |= due;
        let newcomer = self.record.connects > 0 && !self.record.announced;
        self.record.announced |= newcomer;
        let may_send = self.record.is_up() && !self.machine.is_sending();
        let can_send = may_send && std::mem::take(&mut self.wants_to_send);
        Effects {
            freed: self.take_freed(),
            delivered: std::mem::take(&mut self.side.delivered),
            changed: can_send || self.record.draining && self.is_drained(),
            due: Due::new(due, &self.side.inbox),
            newcomer,
        }
    }

    /// Prepares it for another server in this process.
    pub(crate) fn park(&mut self) {
        self.side.park();
        self.record.park();
        self.held = 0;
    }

    pub(crate) fn is_worth_keeping(&self) -> bool {
        self.record.connects > 0 || self.record.restored || self.rows.len() > 0
    }

    /// Returns the number of lines that are waiting or unacknowledged.
    pub(crate) fn unacked(&self) -> usize {
        self.rows.len()
    }

    /// Returns true when the application has no line that it has not accepted, and nothing is left to send, or nobody is there
    /// to send it to.
    pub(crate) fn is_drained(&self) -> bool {
        let sent = self.record.commits || self.rows.len() == 0;
        let blocked = self.carriers.iter().any(Carrier::is_blocked);
        !self.side.inbox.is_out() && (!self.record.is_up() || sent && !blocked)
    }

    pub(crate) fn status(&self, id: &str, now: Instant) -> LinkStatus {
        let stats = self.machine.stats();
        LinkStatus {
            lines_in: self.lines_in,
            lines_out: self.lines_out,
            invalid_lines: u64::from(stats.plain) + u64::from(stats.refused),
            unread: self.side.inbox.len() as u64,
            unacked: self.rows.len() as u64,
            write_ack_us: self.side.write_ack_us,
            key: self.fingerprint.map(|fingerprint| fingerprint.to_string()),
            ..self.record.status(id, now, self.side.report)
        }
    }
}

// An attacker may use up so much with one id before anything is proven.
const _: () = assert!(MAX_CARRIERS * size_of::<Carrier>() <= 64 * 1024);
