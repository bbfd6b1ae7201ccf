//! A network in memory: bytes take their time and keep their order, buffers are bounded, and connections are cut, silenced and
//! slowed down. Everything follows from a seed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::Waker;

use fastrand::Rng;
use pblink_protocol::time::{Duration, Instant, earliest};
use tokio::sync::Notify;

use super::pipe::{End, Pipe, Segment};
use super::stream::Stream;

/// Something that a client's end of a connection has for it.
#[derive(Debug, PartialEq, Eq)]
pub enum Input {
    Opened,
    Refused,
    Bytes(Vec<u8>),
    /// Closed by the other end, or by the network.
    Closed,
}

/// Properties of a network.
#[derive(Debug, Clone, Copy)]
pub struct NetOptions {
    /// The shortest and the longest time that a segment travels, in microseconds.
    pub latency: (u64, u64),
    /// Bytes that a sender's buffer has room for, and a receiver's.
    pub buffers: (usize, usize),
    /// The server's socket takes only parts of what is written, now and then.
    pub stingy: bool,
}

#[derive(Debug)]
pub(super) struct Connection {
    pub(super) up: Pipe,
    pub(super) down: Pipe,
    /// The time at which the server's system learns of it.
    syn: Option<Instant>,
    /// The client's end is closed, and the server's.
    pub(super) closed: (bool, bool),
    /// The server's system has shown it to the process.
    shown: bool,
    /// The time at which someone answers for a client that has gone without a word.
    reset_at: Option<Instant>,
    /// The server's socket takes nothing until then, although it has room.
    pub(super) busy_until: Option<Instant>,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) options: NetOptions,
    pub(super) rng: Rng,
    now: Instant,
    origin: tokio::time::Instant,
    pub(super) connections: BTreeMap<usize, Connection>,
    count: usize,
    /// The server's process stands still: whom the network wakes is woken later.
    held: Option<Vec<Waker>>,
    /// A digest of all that has arrived, and when.
    pub(super) trace: u64,
}

/// See the module's text. Clones are the same.
#[derive(Debug, Clone)]
pub struct Net {
    pub(super) inner: Arc<Mutex<Inner>>,
    /// The server has done something.
    pub changed: Arc<Notify>,
}

impl Inner {
    /// Returns the time: the world's, or the server's if that is ahead.
    pub(super) fn time(&self) -> Instant {
        let server = tokio::time::Instant::now().duration_since(self.origin).as_micros();
        self.now.max(Instant::from_micros(server as u64))
    }

    pub(super) fn travels(&mut self) -> Duration {
        let (least, most) = self.options.latency;
        Duration::from_micros(self.rng.u64(least..=most))
    }

    pub(super) fn wake(&mut self, waker: Option<Waker>) {
        match (waker, &mut self.held) {
            (Some(waker), Some(held)) => held.push(waker),
            (Some(waker), None) => waker.wake(),
            (None, _) => {}
        }
    }

    pub(super) fn note(&mut self, now: Instant, what: &[u8]) {
        let time = now.as_micros().to_be_bytes();
        for byte in time.iter().chain(what) {
            self.trace = (self.trace ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    /// Lets leave what can leave.
    pub(super) fn pump(&mut self, number: usize, now: Instant) {
        let Self { connections, rng, options, .. } = self;
        let Some(connection) = connections.get_mut(&number) else { return };
        connection.up.pump(now, options.latency, rng);
        let free = connection.down.pump(now, options.latency, rng);
        let writer = connection.down.writer.take_if(|_| free);
        self.wake(writer);
    }

    /// Lets one connection get what is due, and returns true if the server's process is to see it.
    fn arrive(&mut self, number: usize, now: Instant) -> bool {
        let Some(mut connection) = self.connections.remove(&number) else { return false };
        let (mut up, mut down) = (Vec::new(), Vec::new());
        let came_up = connection.up.arrive(now, |bytes| up.extend_from_slice(bytes));
        connection.down.arrive(now, |bytes| down.extend_from_slice(bytes));
        for (way, bytes) in [(0, up), (1, down)] {
            if !bytes.is_empty() {
                self.note(now, &[number as u8, way]);
                self.note(now, &bytes);
            }
        }
        // Whoever sends to an end that is closed is told so.
        if connection.closed.1 && connection.shown && !connection.up.arrived.is_empty() {
            connection.up.arrived.clear();
            let at = now + self.travels();
            connection.down.send(at, Segment::Reset);
        }
        if connection.closed.0 && !connection.down.arrived.is_empty() {
            connection.down.arrived.clear();
            let at = now + self.travels();
            connection.up.send(at, Segment::Reset);
        }
        if connection.reset_at.take_if(|at| *at <= now).is_some() {
            connection.up.silent = false;
            connection.up.send(now, Segment::Reset);
            connection.up.arrive(now, |_| {});
            self.note(now, b"<answered>");
            let reader = connection.up.reader.take();
            self.wake(reader);
        }
        if came_up {
            let reader = connection.up.reader.take();
            self.wake(reader);
        }
        let rested = connection.busy_until.take_if(|at| *at <= now).is_some();
        if rested || connection.up.end == Some(End::Reset) {
            let writer = connection.down.writer.take();
            self.wake(writer);
        }
        let shows = connection.syn.take_if(|at| *at <= now).is_some();
        connection.shown |= shows;
        let over = connection.closed == (true, true) || connection.closed.0 && !connection.shown;
        let idle = connection.up.next_at().is_none() && connection.down.next_at().is_none();
        if !(over && idle) {
            self.connections.insert(number, connection);
        }
        shows
    }
}

impl Net {
    /// Makes a network whose time begins now.
    pub fn new(options: NetOptions, rng: Rng) -> Self {
        let inner = Inner {
            options,
            rng,
            now: Instant::ZERO,
            origin: tokio::time::Instant::now(),
            connections: BTreeMap::new(),
            count: 0,
            held: None,
            trace: 0xcbf2_9ce4_8422_2325,
        };
        Self { inner: Arc::new(Mutex::new(inner)), changed: Arc::default() }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("no panic")
    }

    /// Returns the time of the server's process, which stands still while that does.
    pub fn server_time(&self) -> Instant {
        let origin = self.lock().origin;
        Instant::from_micros(tokio::time::Instant::now().duration_since(origin).as_micros() as u64)
    }

    /// Returns an instant as the runtime counts it.
    pub fn at(&self, instant: Instant) -> tokio::time::Instant {
        self.lock().origin + std::time::Duration::from_micros(instant.as_micros())
    }

    /// Returns the digest of all that has arrived so far.
    pub fn trace(&self) -> u64 {
        self.lock().trace
    }

    /// Adds something to the digest.
    pub fn note(&self, now: Instant, what: &[u8]) {
        self.lock().note(now, what);
    }

    /// Lets time pass. Returns the connections that have reached the server.
    pub fn advance(&self, now: Instant) -> Vec<usize> {
        let mut inner = self.lock();
        inner.now = inner.now.max(now);
        let numbers: Vec<usize> = inner.connections.keys().copied().collect();
        numbers
            .into_iter()
            .filter(|&number| {
                inner.pump(number, now);
                inner.arrive(number, now)
            })
            .collect()
    }

    /// Returns the time at which something happens next.
    pub fn next_at(&self) -> Option<Instant> {
        let inner = self.lock();
        let each = inner.connections.values().flat_map(|it| {
            [it.up.next_at(), it.down.next_at(), it.syn, it.reset_at, it.busy_until]
        });
        each.fold(None, earliest)
    }

    /// Wakes nobody until the server's process [goes on](Self::release).
    pub fn hold(&self) {
        self.lock().held.get_or_insert_default();
    }

    /// Wakes all who should have been.
    pub fn release(&self) {
        let held = self.lock().held.take();
        held.into_iter().flatten().for_each(Waker::wake);
    }

    /// Opens a connection, as a client.
    pub fn connect(&self, now: Instant) -> usize {
        let mut inner = self.lock();
        let syn = now + inner.travels();
        let (send, receive) = inner.options.buffers;
        let number = inner.count;
        inner.count += 1;
        inner.connections.insert(
            number,
            Connection {
                // A client's buffers are those of an ESP8266.
                up: Pipe::new((2 * SMALL, receive)),
                down: Pipe::new((send, 4 * SMALL)),
                syn: Some(syn),
                closed: (false, false),
                shown: false,
                reset_at: None,
                busy_until: None,
            },
        );
        number
    }

    /// Takes a connection that has reached the server, as its system.
    pub fn accept(&self, number: usize, now: Instant) -> Stream {
        self.answer(number, now, true);
        Stream::new(self.clone(), number)
    }

    /// Refuses a connection, since nobody listens.
    pub fn refuse(&self, number: usize, now: Instant) {
        self.answer(number, now, false);
        if let Some(connection) = self.lock().connections.get_mut(&number) {
            connection.closed.1 = true;
        }
    }

    fn answer(&self, number: usize, now: Instant, opened: bool) {
        let mut inner = self.lock();
        let at = now + inner.travels();
        if let Some(connection) = inner.connections.get_mut(&number) {
            connection.down.send(at, Segment::Opened(opened));
        }
    }

    /// Returns true if a client's end has something for it.
    pub fn has_news(&self, number: usize) -> bool {
        self.lock().connections.get(&number).is_none_or(|connection| {
            let down = &connection.down;
            down.opened.is_some() || down.end.is_some() || !down.arrived.is_empty()
        })
    }

    /// Returns what a client's end has for it.
    pub fn take(&self, number: usize, now: Instant) -> Vec<Input> {
        let mut inner = self.lock();
        let Some(connection) = inner.connections.get_mut(&number) else {
            return vec![Input::Closed];
        };
        let mut inputs = Vec::new();
        match connection.down.opened.take() {
            Some(true) => inputs.push(Input::Opened),
            Some(false) => inputs.push(Input::Refused),
            None => {}
        }
        if !connection.down.arrived.is_empty() {
            inputs.push(Input::Bytes(connection.down.arrived.drain(..).collect()));
        }
        if connection.down.end.is_some() && !connection.closed.0 {
            inputs.push(Input::Closed);
        }
        // There is room for more.
        inner.pump(number, now);
        inputs
    }

    /// Writes what a client's buffer takes.
    pub fn write(&self, number: usize, bytes: &[u8], now: Instant) -> usize {
        let mut inner = self.lock();
        let Some(connection) = inner.connections.get_mut(&number) else { return bytes.len() };
        let n = connection.up.write(bytes);
        inner.pump(number, now);
        n
    }

    /// Closes a client's end. `heard`: the server learns of it.
    pub fn close(&self, number: usize, heard: bool, now: Instant) {
        let mut inner = self.lock();
        // A chip that is back may answer for a connection that it does not know any more.
        let answers = inner.rng.bool();
        let later = now + Duration::from_millis(inner.rng.u64(100..20_000));
        let Some(connection) = inner.connections.get_mut(&number) else { return };
        connection.closed.0 = true;
        connection.down.arrived.clear();
        if heard {
            connection.up.close();
        } else {
            connection.up.silence();
            connection.down.silence();
            connection.reset_at = answers.then_some(later);
        }
        inner.pump(number, now);
    }

    /// Breaks a connection: both ends learn of it at once, and what is on its way is lost.
    pub fn reset(&self, number: usize, now: Instant) {
        self.with(number, |connection| {
            connection.up.send(now, Segment::Reset);
            connection.down.send(now, Segment::Reset);
        });
    }

    /// Ends a connection between its ends, as a proxy does that is stopped: what is in the air still arrives.
    pub fn finish(&self, number: usize, now: Instant) {
        self.with(number, |connection| {
            connection.up.send(now, Segment::Fin);
            connection.down.send(now, Segment::Fin);
        });
    }

    /// Silences a connection: it carries nothing any more, and neither end learns of it.
    pub fn silence(&self, number: usize) {
        self.with(number, |connection| {
            connection.up.silence();
            connection.down.silence();
        });
    }

    /// Slows a connection down: what is sent from now on takes `more` time.
    pub fn slow_down(&self, number: usize, more: Duration) {
        self.with(number, |connection| {
            connection.up.slow = more;
            connection.down.slow = more;
        });
    }

    /// Ends all slowness.
    pub fn speed_up(&self) {
        for connection in self.lock().connections.values_mut() {
            connection.up.slow = Duration::ZERO;
            connection.down.slow = Duration::ZERO;
        }
    }

    /// Breaks all connections, as a system does whose process was killed.
    pub fn reset_all(&self, now: Instant) {
        let numbers: Vec<usize> = self.lock().connections.keys().copied().collect();
        for number in numbers {
            self.with(number, |connection| {
                if connection.shown {
                    connection.closed.1 = true;
                    connection.down.send(now, Segment::Reset);
                }
            });
        }
    }

    fn with(&self, number: usize, f: impl FnOnce(&mut Connection)) {
        if let Some(connection) = self.lock().connections.get_mut(&number) {
            f(connection);
        }
    }
}

/// Half of the bytes that an ESP8266 keeps for what it sends, and a quarter of those for what comes.
const SMALL: usize = 1072;
