//! Two endpoints and a connection between them that delays, splits, cuts and swallows, in virtual
//! time, as a seed says.

use std::collections::VecDeque;

use pblink_protocol::delivery::Delivery;
use pblink_protocol::tcp::endpoint::{Disposition, Host, Receipt, Role, Stats, Ticket, Timing};
use pblink_protocol::time::{Duration, Instant};

use super::{End, Rng, drain_sized, ms, span};

/// A line that was written, and what became of it.
#[derive(Debug)]
pub struct Written {
    pub text: String,
    pub delivery: Delivery,
    /// It has number 0, and so is guaranteed whatever was asked for.
    first: bool,
    pub acked: bool,
    /// Its sender restarted before it was acknowledged: it may be lost.
    abandoned: bool,
    /// Number of restarts of its receiver before it was acknowledged: it may come again each time.
    again: usize,
}

/// The application of one end.
#[derive(Debug, Default)]
pub struct App {
    pub got: Vec<String>,
    pub written: Vec<Written>,
    /// Tickets of the present run, and how many lines were written before it.
    tickets: Vec<Ticket>,
    before: usize,
    /// Lines taken for later, and when they are released.
    later: Vec<(Instant, Receipt)>,
    mood: Rng,
    now: Instant,
    /// Lines that may still be taken before the inbox is full.
    room: u32,
}

impl Host<Vec<u8>> for App {
    fn deliver(&mut self, text: &str, receipt: Receipt) -> Disposition {
        if self.room == 0 {
            return Disposition::Refused;
        }
        self.room -= 1;
        self.got.push(text.into());
        if self.mood.one_in(3) {
            let at = self.now + Duration::from_millis(self.mood.below(2500));
            self.later.push((at, receipt));
            Disposition::Later
        } else {
            Disposition::Taken
        }
    }

    fn acked(&mut self, ticket: Ticket, line: Option<Vec<u8>>, took: Duration) {
        let at = self.tickets.iter().position(|&t| t == ticket).expect("a ticket of ours");
        let written = &mut self.written[self.before + at];
        assert!(!written.acked, "{} acknowledged twice", written.text);
        written.acked = true;
        if let Some(line) = line {
            assert_eq!(line, written.text.as_bytes());
        }
        assert!(self.now >= Instant::ZERO + took);
    }

    fn invalid(&mut self, line: &[u8]) {
        panic!("garbled: {:?}", String::from_utf8_lossy(line));
    }
}

pub struct Side {
    pub end: End,
    pub app: App,
    /// Bytes on their way to this side: when they arrive, and what. `None` is the end of the
    /// connection.
    incoming: VecDeque<(Instant, Option<Vec<u8>>)>,
    /// Nothing reaches this side any more, and it does not learn of that.
    swallowed: bool,
    polls: u64,
}

impl Side {
    fn new(role: Role, seed: u64) -> Self {
        Self {
            end: End::new(role, Timing::default(), heapless::Vec::new()),
            app: App { mood: Rng(seed), room: 3, ..App::default() },
            incoming: VecDeque::new(),
            swallowed: false,
            polls: 0,
        }
    }

    fn close(&mut self) {
        self.end.on_disconnected();
        self.incoming.clear();
        self.swallowed = false;
    }
}

pub struct Net {
    pub sides: [Side; 2],
    pub now: Instant,
    rng: Rng,
    faults: bool,
    /// Time at which the client connects again.
    connect_at: Option<Instant>,
    fault_at: Instant,
    write_at: [Instant; 2],
    room_at: Instant,
    left: [u32; 2],
    number: u32,
    /// The programs restart, too.
    restarts: bool,
    pub restarted: u32,
}

pub const SERVER: usize = 0;
pub const CLIENT: usize = 1;

impl Net {
    pub fn new(seed: u64, lines: u32, restarts: bool) -> Self {
        let mut rng = Rng(seed);
        Self {
            sides: [Side::new(Role::Server, rng.next()), Side::new(Role::Client, rng.next())],
            now: ms(0),
            faults: true,
            connect_at: Some(ms(0)),
            fault_at: ms(rng.below(3000)),
            write_at: [ms(rng.below(1000)), ms(rng.below(1000))],
            room_at: ms(0),
            left: [lines, lines],
            number: 0,
            restarts,
            restarted: 0,
            rng,
        }
    }

    /// Runs with faults until `calm`, then without until all is delivered.
    pub fn run(&mut self, calm: Instant) {
        let limit = calm + Duration::from_secs(120);
        while !self.finished() {
            assert!(self.now < limit, "not everything was delivered: livelock");
            if self.now >= calm {
                self.faults = false;
            }
            self.step();
        }
        for side in &self.sides {
            // Several reasons to look at once make several polls; a spin makes thousands.
            let per_second = side.polls / (self.now.as_millis() / 1000 + 1);
            assert!(per_second < 200, "{per_second} polls a second");
        }
    }

    fn finished(&self) -> bool {
        self.left == [0, 0] && self.sides.iter().all(|s| s.end.unacked() == 0)
    }

    fn step(&mut self) {
        let mut next = self.fault_at.min(self.room_at);
        for at in self.connect_at.into_iter().chain(
            self.write_at.iter().zip(self.left).filter_map(|(&at, left)| (left > 0).then_some(at)),
        ) {
            next = next.min(at);
        }
        for side in &self.sides {
            let arrival = side.incoming.front().map(|i| i.0);
            let release = side.app.later.iter().map(|l| l.0).min();
            let poll = side.end.poll_at(self.now);
            for at in [arrival, release, poll].into_iter().flatten() {
                next = next.min(at);
            }
        }
        // Between two reasons to look there is nothing to do: `poll_at` does not lie.
        let now = self.now;
        if next > now {
            let between = now + Duration::from_micros(self.rng.below(next.since(now).as_micros()));
            for side in &mut self.sides {
                let early = side.end.transmit(between, &mut [0; 64]);
                assert_eq!(early, 0, "{between:?} is before {next:?}");
                assert!(!side.end.outage(between));
            }
            self.now = next;
        }
        self.connect();
        self.fault();
        self.write();
        if self.now >= self.room_at {
            for side in &mut self.sides {
                side.app.room = self.rng.below(6) as u32;
            }
            self.room_at = self.now + span(if self.faults { 300 } else { 50 });
        }
        for at in [SERVER, CLIENT] {
            self.arrivals(at);
            self.releases(at);
            self.poll(at);
        }
    }

    fn connect(&mut self) {
        if self.connect_at.is_some_and(|at| self.now >= at) {
            self.connect_at = None;
            for side in &mut self.sides {
                // The server may still hold the old connection: the new one takes over.
                side.close();
                side.end.on_connected(self.now);
            }
        }
    }

    fn lost(&mut self, at: usize) {
        self.sides[at].close();
        if at == CLIENT && self.connect_at.is_none() {
            let pause = if self.faults { self.rng.below(1500) } else { 100 };
            self.connect_at = Some(self.now + span(pause));
        }
        // The other side learns of it, unless the network is silent.
        let other = &mut self.sides[1 - at];
        if other.end.is_connected() && !other.swallowed && !self.rng.one_in(4) {
            other.incoming.push_back((self.now + span(20), None));
        }
    }

    fn fault(&mut self) {
        if self.now < self.fault_at {
            return;
        }
        self.fault_at = self.now + span(50 + self.rng.below(6000));
        if !self.faults {
            return;
        }
        match self.rng.below(if self.restarts { 6 } else { 4 }) {
            4 | 5 => {
                let at = self.rng.below(2) as usize;
                self.restart(at);
            }
            // Cut, at any byte: what is on its way arrives in part.
            0 | 1 => {
                for at in [SERVER, CLIENT] {
                    let side = &mut self.sides[at];
                    if !side.end.is_connected() || side.swallowed {
                        continue;
                    }
                    let flying: usize =
                        side.incoming.iter().map(|(_, b)| b.as_ref().map_or(0, Vec::len)).sum();
                    let mut keep = self.rng.below(flying as u64 + 1) as usize;
                    for (_, bytes) in &mut side.incoming {
                        let Some(bytes) = bytes else { continue };
                        bytes.truncate(keep);
                        keep -= bytes.len();
                    }
                    let end = side.incoming.back().map_or(self.now, |i| i.0);
                    side.incoming.push_back((end, None));
                    // What is sent from here on goes nowhere; the end is reported.
                    side.swallowed = true;
                }
            }
            // Half open: both directions, or one.
            2 => {
                for side in &mut self.sides {
                    side.incoming.clear();
                    side.swallowed = true;
                }
            }
            _ => {
                let side = &mut self.sides[self.rng.below(2) as usize];
                side.incoming.clear();
                side.swallowed = true;
            }
        }
    }

    /// Restarts the program of one end: it knows nothing of what was.
    fn restart(&mut self, at: usize) {
        self.restarted += 1;
        let role = [Role::Server, Role::Client][at];
        let side = &mut self.sides[at];
        for line in side.app.written.iter_mut().filter(|w| !w.acked) {
            line.abandoned = true;
        }
        side.app.before = side.app.written.len();
        side.app.tickets.clear();
        side.app.later.clear();
        side.end = End::new(role, Timing::default(), heapless::Vec::new());
        for line in self.sides[1 - at].app.written.iter_mut() {
            line.again += usize::from(!line.acked);
        }
        self.lost(at);
    }

    fn write(&mut self) {
        for at in [SERVER, CLIENT] {
            if self.left[at] == 0 || self.now < self.write_at[at] {
                continue;
            }
            let rng = &mut self.rng;
            self.write_at[at] = self.now + span(if rng.one_in(3) { 0 } else { rng.below(900) });
            let side = &mut self.sides[at];
            let delivery = match rng.below(4) {
                0 => Delivery::UNORDERED,
                1 => Delivery::BestEffort,
                _ => Delivery::ORDERED,
            };
            let text = format!("{at}:{} {}", self.number, "é".repeat(rng.below(80) as usize));
            if let Ok(ticket) = side.end.write(self.now, text.clone().into(), delivery) {
                self.number += 1;
                self.left[at] -= 1;
                let first = side.app.tickets.is_empty();
                side.app.tickets.push(ticket);
                side.app.written.push(Written {
                    text,
                    delivery,
                    first,
                    acked: false,
                    abandoned: false,
                    again: 0,
                });
            }
        }
    }

    fn arrivals(&mut self, at: usize) {
        while let Some((when, _)) = self.sides[at].incoming.front() {
            if *when > self.now {
                return;
            }
            let side = &mut self.sides[at];
            match side.incoming.pop_front() {
                Some((_, Some(bytes))) => {
                    side.app.now = self.now;
                    side.end.on_bytes(self.now, &bytes, &mut side.app);
                }
                _ => return self.lost(at),
            }
        }
    }

    fn releases(&mut self, at: usize) {
        let side = &mut self.sides[at];
        let now = self.now;
        for (_, receipt) in side.app.later.extract_if(.., |l| l.0 <= now) {
            side.end.release(receipt);
        }
    }

    fn poll(&mut self, at: usize) {
        let size = [3, 7, 64, 1500][self.rng.below(4) as usize];
        let side = &mut self.sides[at];
        side.polls += 1;
        let bytes = drain_sized(&mut side.end, self.now, size);
        if side.end.outage(self.now) {
            return self.lost(at);
        }
        if let Some(next) = side.end.poll_at(self.now) {
            assert!(next > self.now, "poll_at spins at {:?}", self.now);
        }
        let other = &mut self.sides[1 - at];
        if bytes.is_empty() || !other.end.is_connected() || other.swallowed {
            return;
        }
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let n = if self.rng.one_in(2) {
                rest.len()
            } else {
                1 + self.rng.below(rest.len() as u64) as usize
            };
            let delay = match self.rng.below(20) {
                0 if self.faults => self.rng.below(1500),
                1..4 => self.rng.below(200),
                _ => self.rng.below(20),
            };
            let earliest = other.incoming.back().map_or(self.now, |i| i.0);
            let when = (self.now + span(delay)).max(earliest);
            other.incoming.push_back((when, Some(rest[..n].to_vec())));
            rest = &rest[n..];
        }
    }

    /// Checks what was promised for each kind of line, both ways.
    pub fn check(&self) {
        for from in [SERVER, CLIENT] {
            let written = &self.sides[from].app.written;
            let got = &self.sides[1 - from].app.got;
            for line in written {
                let times = got.iter().filter(|g| **g == line.text).count();
                let guaranteed = line.delivery.is_guaranteed() || line.first;
                let most = 1 + line.again * usize::from(guaranteed);
                let least = usize::from(guaranteed && !line.abandoned);
                assert!((least..=most).contains(&times), "{times} times: {line:?}");
                assert!(line.acked || least == 0, "{line:?}");
            }
            assert!(got.iter().all(|g| written.iter().any(|w| w.text == *g)));
            let ordered: Vec<&str> = written
                .iter()
                .filter(|w| w.delivery == Delivery::ORDERED)
                .map(|w| w.text.as_str())
                .collect();
            let places: Vec<usize> =
                got.iter().filter_map(|g| ordered.iter().position(|o| o == g)).collect();
            // A line that comes twice comes twice in a row, or nothing would have followed it.
            assert!(places.is_sorted(), "{places:?}");
        }
    }

    pub fn stats(&self) -> [Stats; 2] {
        [*self.sides[0].end.stats(), *self.sides[1].end.stats()]
    }
}
