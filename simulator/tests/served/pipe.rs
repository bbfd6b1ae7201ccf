//! One way of a connection: what its sender has written, what is in the air, and what waits for its receiver.

use std::collections::VecDeque;
use std::task::Waker;

use fastrand::Rng;
use pblink_protocol::time::{Duration, Instant};

/// Bytes in one segment at most.
const SEGMENT: usize = 536;

/// Something in the air.
#[derive(Debug)]
pub enum Segment {
    Bytes(Vec<u8>),
    /// The sender writes no more.
    Fin,
    /// The connection is gone.
    Reset,
    /// The server's system has taken the connection, or not.
    Opened(bool),
}

/// The end of what a receiver gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Eof,
    Reset,
}

/// See the module's text.
#[derive(Debug)]
pub struct Pipe {
    /// Bytes that the sender's buffer has room for, and the receiver's.
    room: (usize, usize),
    unsent: VecDeque<u8>,
    flying: VecDeque<(Instant, Segment)>,
    /// Bytes of `flying`.
    in_flight: usize,
    pub arrived: VecDeque<u8>,
    /// Set when all that came before it has arrived.
    pub end: Option<End>,
    pub opened: Option<bool>,
    /// The sender has closed it: what is unsent still leaves.
    closed: bool,
    /// Its end is in the air.
    ending: bool,
    last: Instant,
    /// Everything takes this much longer.
    pub slow: Duration,
    /// It carries nothing any more.
    pub silent: bool,
    /// Waits for bytes.
    pub reader: Option<Waker>,
    /// Waits for room.
    pub writer: Option<Waker>,
}

impl Pipe {
    pub fn new(room: (usize, usize)) -> Self {
        Self {
            room,
            unsent: VecDeque::new(),
            flying: VecDeque::new(),
            in_flight: 0,
            arrived: VecDeque::new(),
            end: None,
            opened: None,
            closed: false,
            ending: false,
            last: Instant::ZERO,
            slow: Duration::ZERO,
            silent: false,
            reader: None,
            writer: None,
        }
    }

    /// Returns the bytes that the sender's buffer has room for.
    pub fn room(&self) -> usize {
        self.room.0 - self.unsent.len()
    }

    /// Puts bytes into the sender's buffer, as many as it has room for.
    pub fn write(&mut self, bytes: &[u8]) -> usize {
        if self.closed || self.ending {
            return bytes.len();
        }
        let n = bytes.len().min(self.room());
        self.unsent.extend(&bytes[..n]);
        n
    }

    /// Writes no more.
    pub fn close(&mut self) {
        self.closed = true;
    }

    /// Sends something that needs no room.
    pub fn send(&mut self, at: Instant, segment: Segment) {
        if self.silent {
            return;
        }
        if matches!(segment, Segment::Reset) {
            self.flying.clear();
            self.in_flight = 0;
        }
        if matches!(segment, Segment::Reset | Segment::Fin) {
            self.unsent.clear();
            self.ending = true;
        }
        self.last = self.last.max(at + self.slow);
        self.flying.push_back((self.last, segment));
    }

    /// Lets leave what the receiver has room for. Returns true if the sender's buffer has room that it had not.
    pub fn pump(&mut self, now: Instant, latency: (u64, u64), rng: &mut Rng) -> bool {
        if self.silent || self.ending {
            return false;
        }
        let was_full = self.room() == 0;
        loop {
            let window = self.room.1.saturating_sub(self.in_flight + self.arrived.len());
            let most = window.min(self.unsent.len()).min(SEGMENT);
            if most == 0 {
                break;
            }
            let bytes: Vec<u8> = self.unsent.drain(..rng.usize(1..=most)).collect();
            self.in_flight += bytes.len();
            let at = now + Duration::from_micros(rng.u64(latency.0..=latency.1));
            self.send(at, Segment::Bytes(bytes));
        }
        if self.closed && self.unsent.is_empty() {
            let at = now + Duration::from_micros(rng.u64(latency.0..=latency.1));
            self.send(at, Segment::Fin);
        }
        was_full && self.room() > 0
    }

    /// Lets arrive what is due. Returns false if nothing is.
    pub fn arrive(&mut self, now: Instant, mut see: impl FnMut(&[u8])) -> bool {
        let mut any = false;
        while self.next_at().is_some_and(|at| at <= now)
            && let Some((_, segment)) = self.flying.pop_front()
        {
            any = true;
            match segment {
                Segment::Bytes(bytes) => {
                    self.in_flight -= bytes.len();
                    see(&bytes);
                    self.arrived.extend(bytes);
                }
                Segment::Fin => {
                    see(b"<fin>");
                    self.end.get_or_insert(End::Eof);
                }
                Segment::Reset => {
                    see(b"<reset>");
                    // What was not read is gone, as with a real one.
                    self.arrived.clear();
                    self.end = Some(End::Reset);
                }
                Segment::Opened(opened) => self.opened = Some(opened),
            }
        }
        any
    }

    /// Nothing more gets through, and nobody learns of it.
    pub fn silence(&mut self) {
        self.silent = true;
        self.flying.clear();
        self.in_flight = 0;
    }

    /// Returns the time of the next arrival.
    pub fn next_at(&self) -> Option<Instant> {
        self.flying.front().map(|(at, _)| *at)
    }
}
