//! One end of the TCP side: keepalives, acknowledgements, repetition, duplicates, outages.
//!
//! An [`Endpoint`] is a *session*: it outlives connections. It owns no socket and no clock. The owner
//! reports connections to it ([`on_connected`](Endpoint::on_connected), [`on_disconnected`](Endpoint::on_disconnected)),
//! hands it what arrived ([`on_bytes`](Endpoint::on_bytes)), asks it what to send
//! ([`transmit`](Endpoint::transmit)) and when to look again ([`poll_at`](Endpoint::poll_at)), and
//! closes the connection when [`outage`](Endpoint::outage) says so. Everything that the
//! reference's `server.py` and `client.py` do between socket and application is here, for both ends.
//!
//! A line costs no allocation, and one copy into the caller's buffer.

mod rest;
mod stored;

use core::marker::PhantomData;

pub use self::rest::Rest;
use super::connection::{Connection, Pause, Sending};
use super::held::Held;
pub use super::held::Receipt;
use super::line::{Cut, Line, LineBuf, LineReader, Mid};
pub use super::outbox::Ticket;
use super::outbox::{Chosen, MAX_SPREAD, Outbox};
pub use super::store::{Put, Store};
pub use super::timing::Timing;
use super::window::{Print, Verdict, Window};
use crate::delivery::Delivery;
use crate::time::{Duration, Instant, earliest};

/// End of the link. The ends differ in when they may send, and in how long they wait at first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Accepts connections. Holds lines back until the client has shown that it listens.
    Server,
    /// Makes connections. Holds lines back until something has come from the server.
    Client,
}

/// The owner's decision on a line that was handed to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Disposition {
    /// It is in a queue that cannot lose it: acknowledge it.
    Taken,
    /// It has it, but will call [`Endpoint::release`] when it may be acknowledged.
    Later,
    /// There is no room: do not acknowledge it. The peer repeats it, so nothing is lost.
    Refused,
}

/// The owner of an endpoint, which calls it while it looks at received bytes.
pub trait Host<L> {
    /// Called for a line that arrived for the first time.
    fn deliver(&mut self, text: &str, receipt: Receipt) -> Disposition;
    /// Called once for each written line that was acknowledged, `took` after it was written. `line` is
    /// given back where possible, so that its memory can be used again. It stays in the endpoint if the
    /// owner [commits](Endpoint::set_commits).
    fn acked(&mut self, ticket: Ticket, line: Option<L>, took: Duration) {
        let _ = (ticket, line, took);
    }
    /// Called when the peer has begun anew, before its first line since is delivered.
    fn restarted(&mut self) {}
    /// Called for a line that is not a message, acknowledgement or keepalive. It is ignored.
    fn invalid(&mut self, line: &[u8]) {
        let _ = line;
    }
    /// Called for a line that is longer than the buffer. It is skipped, and not acknowledged.
    fn too_long(&mut self) {}
}

/// Counters since the endpoint was made. They wrap after 2³² lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Stats {
    /// Connections so far.
    pub connects: u32,
    /// Lines delivered.
    pub lines_in: u32,
    /// Lines sent, repetitions not counted.
    pub lines_out: u32,
    /// Lines sent again.
    pub retransmissions: u32,
    /// Lines received again, acknowledged and dropped.
    pub duplicates: u32,
    /// Lines that were refused by the owner.
    pub refused: u32,
    /// Lines that are none, or too long.
    pub invalid: u32,
    /// Times that everything received was forgotten, since the peer had shown that none of it can come
    /// again. An owner that stores the [window](Endpoint::window) stores it anew then.
    pub settled: u32,
}

impl Stats {
    const NONE: Self = Self {
        connects: 0,
        lines_in: 0,
        lines_out: 0,
        retransmissions: 0,
        duplicates: 0,
        refused: 0,
        invalid: 0,
        settled: 0,
    };
}

/// One end of a link. `B` holds a partial line, `L` a line that waits for its acknowledgement, of
/// which there are at most `N` (1 to 100: see [`Endpoint::new`]). `S` keeps them, by default each in an
/// `L` of its own.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Endpoint<B, L, const N: usize, S = heapless::Vec<L, N>> {
    role: Role,
    timing: Timing,
    reader: LineReader<B>,
    window: Window,
    /// Delivered lines whose acknowledgement the owner holds back.
    held: Held,
    outbox: Outbox<S, N>,
    connection: Option<Connection>,
    stats: Stats,
    line: PhantomData<fn() -> L>,
}

impl<B: LineBuf, L: AsRef<[u8]>, const N: usize> Endpoint<B, L, N> {
    /// Makes an endpoint that has never been connected. `partial` bounds the length of received lines,
    /// including their two digits.
    pub fn new(role: Role, timing: Timing, partial: B) -> Self {
        Self::with_store(role, timing, partial, heapless::Vec::new())
    }
}

impl<B, L, const N: usize, S: Store<Line = L>> Endpoint<B, L, N, S> {
    /// Makes the same with an empty store for the lines that wait.
    pub const fn with_store(role: Role, timing: Timing, partial: B, store: S) -> Self {
        // More lines in flight would leave the reference's window of 256 ids, of which it clears
        // the one 128 ids ahead of each message that it receives.
        const { assert!(N >= 1 && N <= MAX_SPREAD as usize) };
        Self {
            role,
            timing,
            reader: LineReader::new(partial),
            window: Window::new(),
            held: Held::new(),
            outbox: Outbox::new(store),
            connection: None,
            stats: Stats::NONE,
            line: PhantomData,
        }
    }
}

impl<B: LineBuf, L, const N: usize, S: Store<Line = L>> Endpoint<B, L, N, S> {
    /// Changes the times. They hold from now on, also for what is under way.
    pub fn set_timing(&mut self, timing: Timing) {
        self.timing = timing;
    }

    /// Returns the times of this link.
    pub fn timing(&self) -> &Timing {
        &self.timing
    }

    /// Counters.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// Returns true if there is a connection. It may be dead already: see [`outage`](Self::outage).
    pub fn is_connected(&self) -> bool {
        self.connection.is_some()
    }

    /// Returns true if the peer has shown on this connection that it speaks the protocol: lines may flow.
    pub fn is_up(&self) -> bool {
        self.connection.as_ref().is_some_and(|c| match self.role {
            Role::Server => c.pause != Pause::UntilSignOfLife,
            Role::Client => c.first_line,
        })
    }

    /// Time of the last byte that came, if there is a connection.
    pub fn last_heard(&self) -> Option<Instant> {
        self.connection.as_ref().map(|c| c.last_rx)
    }

    /// Notes a new connection. The hello is the owner's business: a server calls this when it has read
    /// one, a client after it has queued its own ([`Self::transmit`] sends what follows).
    pub fn on_connected(&mut self, now: Instant) {
        self.on_disconnected();
        self.stats.connects = self.stats.connects.wrapping_add(1);
        self.window.reconnected();
        self.connection = Some(Connection::new(now));
    }

    /// Notes that the connection is gone. Lines that are not acknowledged are sent again over the next one.
    pub fn on_disconnected(&mut self) {
        self.connection = None;
        self.reader.reset();
        self.outbox.interrupted();
    }

    /// Puts a line into the queue of those to send.
    ///
    /// # Errors
    /// Gives `line` back if `N` lines are waiting or unacknowledged already, or the store is full.
    pub fn write<T>(&mut self, now: Instant, line: T, delivery: Delivery) -> Result<Ticket, T>
    where
        S: Put<T>,
    {
        self.outbox.push(now, line, delivery)
    }

    /// Returns the number of lines that are waiting or unacknowledged.
    pub fn unacked(&self) -> usize {
        self.outbox.len()
    }

    /// Returns true if there are fewer than `N` lines, so that [`write`](Self::write) takes one if
    /// the store has room.
    pub fn has_room(&self) -> bool {
        self.outbox.len() < N
    }

    /// Returns the store.
    pub fn store(&self) -> &S {
        self.outbox.texts()
    }

    /// Returns true while a line is waiting or unacknowledged. A best-effort line leaves when it is sent,
    /// unless it has number 0, which is always repeated until it is acknowledged.
    pub fn is_pending(&self, ticket: Ticket) -> bool {
        self.outbox.contains(ticket)
    }

    /// Takes a line that has not been sent yet out of the queue. A line that was sent, even in part,
    /// stays: the peer may have it.
    pub fn cancel(&mut self, ticket: Ticket) -> Option<L> {
        self.outbox.cancel(ticket)
    }

    /// Looks at bytes that arrived over the present connection.
    pub fn on_bytes(&mut self, now: Instant, bytes: &[u8], host: &mut impl Host<L>) {
        let Some(connection) = &mut self.connection else {
            return;
        };
        if bytes.is_empty() {
            return;
        }
        connection.last_rx = now;
        if self.role == Role::Server && connection.pause == Pause::UntilSignOfLife {
            connection.pause = Pause::Until(now + self.timing.write_pause);
        }
        let Self { reader, window, held, outbox, stats, role, timing, .. } = self;
        reader.cut(bytes, |cut| {
            let line = match cut {
                Cut::Text(text) => Line::parse_text(text),
                Cut::Bytes(bytes) => Line::parse(bytes),
                Cut::TooLong => {
                    stats.invalid = stats.invalid.wrapping_add(1);
                    host.too_long();
                    return true;
                }
            };
            connection.first_line = true;
            if *role == Role::Client {
                connection.pause = Pause::Over;
            }
            match line {
                Line::Keepalive => {
                    let quiet = connection.quiet.on_keepalive(now, timing.timeout);
                    if quiet && held.is_empty() && connection.acks.is_empty() {
                        connection.quiet.restart(now);
                        // From here on equal words under an old number are those of a sender that has
                        // restarted: nothing that was received can come again.
                        stats.settled = stats.settled.wrapping_add(u32::from(!window.is_empty()));
                        *window = Window::new();
                    }
                }
                Line::Ack(mid) => {
                    let sending = connection.sending.map(|s| s.ticket);
                    if let Some((ticket, line, took)) = outbox.acked(mid, sending, now) {
                        host.acked(ticket, line, took);
                    }
                }
                Line::Message { mid, text } => {
                    connection.quiet.on_message(now);
                    let print = Print::of(text.as_bytes());
                    let verdict = window.judge(mid, print);
                    if verdict == Verdict::Duplicate {
                        window.repeated(mid);
                        stats.duplicates = stats.duplicates.wrapping_add(1);
                        if held.contains(mid) {
                            connection.held.insert(mid);
                        } else {
                            connection.acks.push(mid);
                        }
                        return true;
                    }
                    if verdict == Verdict::Restarted {
                        // Also if the line is refused: what was remembered is void from here on.
                        window.restart(mid);
                        held.restarted(window.local());
                        connection.held.retain(window.local());
                        host.restarted();
                    }
                    let receipt = held.receipt(mid);
                    let disposition = host.deliver(text, receipt);
                    if disposition == Disposition::Refused {
                        stats.refused = stats.refused.wrapping_add(1);
                        return true;
                    }
                    stats.lines_in = stats.lines_in.wrapping_add(1);
                    window.insert(mid, print);
                    let later = disposition == Disposition::Later;
                    held.delivered(receipt, later);
                    if later {
                        // One that is due belongs to an earlier message with this number.
                        connection.acks.cancel(mid);
                        connection.held.insert(mid);
                    } else {
                        connection.held.remove(mid);
                        connection.acks.push(mid);
                    }
                }
                Line::Invalid(line) => {
                    stats.invalid = stats.invalid.wrapping_add(1);
                    host.invalid(line);
                }
            }
            true
        });
    }

    /// Acknowledges a message that was taken with [`Disposition::Later`]: now, or when it comes again, if
    /// it did not come over the present connection. Nothing happens if its sender has restarted since, or
    /// has used its number for another message: that one is not released.
    pub fn release(&mut self, receipt: Receipt) {
        if self.held.release(receipt) {
            // Otherwise the peer sends the line again, and it is acknowledged then.
            if let Some(connection) = &mut self.connection
                && connection.held.remove(receipt.mid)
            {
                connection.acks.push(receipt.mid);
            }
        }
    }

    /// Fills `out` with what is to be sent now and returns how many bytes that are. The owner must
    /// send all of them, in order, over the present connection, or close it. Call it again until it
    /// returns 0. `out` must have room for at least three bytes.
    pub fn transmit(&mut self, now: Instant, out: &mut [u8]) -> usize {
        let Some(connection) = &mut self.connection else {
            return 0;
        };
        let mut used = 0;
        if let Some(sending) = connection.sending.take() {
            used += self.outbox.copy(sending.ticket, sending.sent, out);
            if !self.outbox.is_complete(sending.ticket, sending.sent + used) {
                connection.sending = Some(Sending { sent: sending.sent + used, ..sending });
                return used;
            }
            self.outbox.completed(sending.ticket, now);
        }
        let before = used;
        for place in out[used..].as_chunks_mut().0 {
            let Some(mid) = connection.acks.pop() else {
                break;
            };
            let [high, low] = mid.digits();
            *place = [high, low, b'\n'];
            used += place.len();
        }
        if used > before {
            connection.quiet.restart(now);
        }
        if let Pause::Until(end) = connection.pause
            && now >= end
        {
            connection.pause = Pause::Over;
        }
        if connection.pause == Pause::Over {
            // At least the id must fit, or a line would be chosen and nothing of it sent.
            while out.len() - used >= 3 {
                let Some(chosen) = self.outbox.choose(now, self.timing.timeout) else {
                    break;
                };
                let ticket = match chosen {
                    Chosen::First(ticket) => {
                        self.stats.lines_out = self.stats.lines_out.wrapping_add(1);
                        ticket
                    }
                    Chosen::Again(ticket) => {
                        self.stats.retransmissions = self.stats.retransmissions.wrapping_add(1);
                        ticket
                    }
                };
                let n = self.outbox.copy(ticket, 0, &mut out[used..]);
                used += n;
                if !self.outbox.is_complete(ticket, n) {
                    connection.sending = Some(Sending { ticket, sent: n });
                    break;
                }
                self.outbox.completed(ticket, now);
            }
        }
        if used == 0 && now >= connection.keepalive_at && !out.is_empty() {
            out[0] = b'\n';
            used = 1;
        }
        if used > 0 {
            connection.keepalive_at = now + self.timing.keepalive();
        }
        used
    }

    /// Notes that the socket did not take all bytes that [`transmit`](Self::transmit) gave; the owner
    /// has the rest. Only an owner that calls `transmit` before the socket is empty has to call this,
    /// and then [`on_written`](Self::on_written).
    pub fn on_blocked(&mut self, now: Instant) {
        if let Some(connection) = &mut self.connection {
            connection.quiet.set_blocked(now, true);
        }
    }

    /// Notes that the socket has taken the rest.
    pub fn on_written(&mut self, now: Instant) {
        if let Some(connection) = &mut self.connection {
            connection.quiet.set_blocked(now, false);
        }
    }

    /// Returns true if the connection is dead: nothing came for the time-out (a client that has not yet
    /// had a line waits twice as long, since the server may be busy). The owner closes it.
    pub fn outage(&self, now: Instant) -> bool {
        self.outage_at().is_some_and(|at| now >= at)
    }

    /// Time at which the connection is dead if nothing comes before.
    pub fn outage_at(&self) -> Option<Instant> {
        let connection = self.connection.as_ref()?;
        let patience = match self.role {
            Role::Client if !connection.first_line => self.timing.timeout.times(2),
            _ => self.timing.timeout,
        };
        Some(connection.last_rx + patience)
    }

    /// Returns the time to call [`transmit`](Self::transmit) and [`outage`](Self::outage) again, if nothing
    /// else happens. `None` without a connection.
    pub fn poll_at(&self, now: Instant) -> Option<Instant> {
        let connection = self.connection.as_ref()?;
        if connection.sending.is_some() || !connection.acks.is_empty() {
            return Some(now);
        }
        let lines = match connection.pause {
            Pause::UntilSignOfLife => None,
            Pause::Until(end) if end > now => {
                self.outbox.due(now, self.timing.timeout).map(|_| end)
            }
            _ => self.outbox.due(now, self.timing.timeout),
        };
        earliest(earliest(self.outage_at(), Some(connection.keepalive_at)), lines)
    }
}
