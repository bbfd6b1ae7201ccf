//! The wires between the two boards, and the slave's end of the bus.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use pblink_protocol::time::{Duration, Instant};

use crate::fault::Wire;

/// An edge of a wire that arrives at a board.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Edge {
    /// At the ESP8266.
    Syn(bool),
    /// At the STM32.
    Ack(bool),
    /// At the ESP8266; true is active.
    Reset(bool),
}

/// One wire: what its driver says, and what is seen at the other end.
#[derive(Debug, Clone, Copy)]
struct Line {
    driven: bool,
    stuck: Option<(bool, Instant)>,
}

impl Line {
    fn level(&self) -> bool {
        self.stuck.map_or(self.driven, |(level, _)| level)
    }
}

/// The three wires. Edges arrive after a latency, in order.
#[derive(Debug)]
pub(crate) struct Wires {
    syn: Line,
    ack: Line,
    reset: Line,
    edges: BinaryHeap<Reverse<(Instant, u64, Edge)>>,
    sent: u64,
    last: Instant,
}

impl Wires {
    pub(crate) fn new() -> Self {
        // syn and ack are not driven yet: pull-ups.
        let high = Line { driven: true, stuck: None };
        Self {
            syn: high,
            ack: high,
            reset: Line { driven: false, stuck: None },
            edges: BinaryHeap::new(),
            sent: 0,
            last: Instant::ZERO,
        }
    }

    fn line(&mut self, wire: Wire) -> &mut Line {
        match wire {
            Wire::Syn => &mut self.syn,
            Wire::Ack => &mut self.ack,
            Wire::Reset => &mut self.reset,
        }
    }

    pub(crate) fn level(&self, wire: Wire) -> bool {
        match wire {
            Wire::Syn => self.syn.level(),
            Wire::Ack => self.ack.level(),
            Wire::Reset => self.reset.level(),
        }
    }

    /// Sets a wire, as its driver. The edge arrives after `latency`, but never before an earlier one.
    pub(crate) fn drive(&mut self, wire: Wire, level: bool, now: Instant, latency: Duration) {
        self.change(wire, now, latency, |line| line.driven = level);
    }

    pub(crate) fn stick(&mut self, wire: Wire, level: bool, until: Instant, now: Instant) {
        self.change(wire, now, Duration::ZERO, |line| line.stuck = Some((level, until)));
    }

    /// Frees wires whose time as stuck ones is over.
    pub(crate) fn free(&mut self, now: Instant) {
        for wire in [Wire::Syn, Wire::Ack, Wire::Reset] {
            if self.line(wire).stuck.is_some_and(|(_, until)| now >= until) {
                self.change(wire, now, Duration::ZERO, |line| line.stuck = None);
            }
        }
    }

    fn change(
        &mut self,
        wire: Wire,
        now: Instant,
        latency: Duration,
        change: impl FnOnce(&mut Line),
    ) {
        let line = self.line(wire);
        let before = line.level();
        change(line);
        let after = line.level();
        if before != after {
            let edge = match wire {
                Wire::Syn => Edge::Syn(after),
                Wire::Ack => Edge::Ack(after),
                Wire::Reset => Edge::Reset(after),
            };
            self.last = self.last.max(now + latency);
            self.edges.push(Reverse((self.last, self.sent, edge)));
            self.sent += 1;
        }
    }

    /// Returns the next edge that has arrived.
    pub(crate) fn arrived(&mut self, now: Instant) -> Option<Edge> {
        if self.edges.peek().is_some_and(|Reverse((at, ..))| *at <= now) {
            return self.edges.pop().map(|Reverse((_, _, edge))| edge);
        }
        None
    }

    pub(crate) fn next_at(&self) -> Option<Instant> {
        let edge = self.edges.peek().map(|Reverse((at, ..))| *at);
        let stuck = [self.syn, self.ack, self.reset].into_iter().filter_map(|l| l.stuck);
        edge.into_iter().chain(stuck.map(|(_, until)| until)).min()
    }
}

/// The transfer that the slave's peripheral is prepared for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Armed {
    Nothing,
    /// To be read: these bytes.
    Tx(Vec<u8>),
    /// To be written to: this many bytes.
    Rx(usize),
}

/// A transfer under way, started by the master.
#[derive(Debug)]
pub(crate) struct Transfer {
    pub(crate) done_at: Instant,
    pub(crate) kind: TransferKind,
}

#[derive(Debug)]
pub(crate) enum TransferKind {
    /// The slave does not answer to its address.
    Unanswered,
    /// It breaks in its middle.
    Broken,
    /// The master reads these bytes.
    Read(Vec<u8>),
    /// The master writes these bytes.
    Write(Vec<u8>),
}

/// Returns the duration of a transfer of `bytes`: nine clocks for each, and for the address.
pub(crate) fn bus_time(bytes: usize, clock_hz: u64) -> Duration {
    Duration::from_micros((bytes as u64 + 1) * 9 * 1_000_000 / clock_hz.max(1000))
}
