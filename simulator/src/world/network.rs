//! TCP connections in memory: bytes take their time, keep their order, and may be cut or swallowed.

use std::collections::VecDeque;

use fastrand::Rng;
use pblink_protocol::time::{Duration, Instant, earliest};

/// An arrival at one end of a connection.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    SynAtServer,
    AtServer(Vec<u8>),
    ClosedAtServer,
    Open,
    Refused,
    AtBoard(Vec<u8>),
    ClosedAtBoard,
}

#[derive(Debug, Default)]
struct Pipe {
    queue: VecDeque<(Instant, Arrival)>,
    last: Instant,
}

impl Pipe {
    fn push(&mut self, at: Instant, arrival: Arrival) {
        self.last = self.last.max(at);
        self.queue.push_back((self.last, arrival));
    }
}

#[derive(Debug)]
struct Connection {
    board: usize,
    to_server: Pipe,
    to_board: Pipe,
    open: bool,
    /// Swallows everything.
    silent: bool,
    /// Everything takes this much longer.
    slow: Duration,
}

/// The time after which TCP repeats a segment that was lost, for the first time. It doubles with each loss.
const REPEATS: Duration = Duration::from_millis(300);
/// The most times that one segment is lost.
const LOSSES: u32 = 6;

#[derive(Debug)]
pub(super) struct Network {
    latency: Duration,
    /// Segments of a hundred that are lost, each time that they are sent.
    loss_percent: u8,
    /// All connections that there ever were; closed ones are empty.
    connections: Vec<Connection>,
    /// Before this one, all are closed and empty.
    first: usize,
}

impl Network {
    pub(super) fn new(latency: Duration, loss_percent: u8) -> Self {
        Self { latency, loss_percent, connections: Vec::new(), first: 0 }
    }

    fn arrives(&self, now: Instant, rng: &mut Rng) -> Instant {
        let mut at = now + Duration::from_micros(rng.u64(500..=self.latency.as_micros().max(501)));
        if self.loss_percent > 0 {
            let mut lost = 0;
            while lost < LOSSES && rng.u8(0..100) < self.loss_percent {
                at += REPEATS.times(1 << lost);
                lost += 1;
            }
        }
        at
    }

    pub(super) fn board(&self, connection: usize) -> usize {
        self.connections[connection].board
    }

    pub(super) fn is_open(&self, connection: usize) -> bool {
        self.connections[connection].open
    }

    pub(super) fn open(&self) -> Vec<usize> {
        (self.first..self.connections.len()).filter(|&n| self.connections[n].open).collect()
    }

    pub(super) fn connect(&mut self, board: usize, now: Instant, rng: &mut Rng) -> usize {
        let at = self.arrives(now, rng);
        let mut to_server = Pipe::default();
        to_server.push(at, Arrival::SynAtServer);
        self.connections.push(Connection {
            board,
            to_server,
            to_board: Pipe::default(),
            open: true,
            silent: false,
            slow: Duration::ZERO,
        });
        self.connections.len() - 1
    }

    /// Accepts or refuses, as the server.
    pub(super) fn answer(
        &mut self,
        connection: usize,
        accepted: bool,
        now: Instant,
        rng: &mut Rng,
    ) {
        let at = self.arrives(now, rng);
        let arrival = if accepted { Arrival::Open } else { Arrival::Refused };
        let c = &mut self.connections[connection];
        c.to_board.push(at, arrival);
        c.open &= accepted;
    }

    pub(super) fn send_to_server(
        &mut self,
        connection: usize,
        bytes: Vec<u8>,
        now: Instant,
        rng: &mut Rng,
    ) {
        self.send(connection, bytes, now, rng, |c| &mut c.to_server, Arrival::AtServer);
    }

    pub(super) fn send_to_board(
        &mut self,
        connection: usize,
        bytes: Vec<u8>,
        now: Instant,
        rng: &mut Rng,
    ) {
        self.send(connection, bytes, now, rng, |c| &mut c.to_board, Arrival::AtBoard);
    }

    fn send(
        &mut self,
        connection: usize,
        bytes: Vec<u8>,
        now: Instant,
        rng: &mut Rng,
        pipe: impl FnOnce(&mut Connection) -> &mut Pipe,
        arrival: impl Fn(Vec<u8>) -> Arrival,
    ) {
        let at = self.arrives(now, rng);
        let c = &mut self.connections[connection];
        if !bytes.is_empty() && c.open && !c.silent {
            let at = at + c.slow;
            let pipe = pipe(c);
            split(bytes, rng).for_each(|part| pipe.push(at, arrival(part)));
        }
    }

    pub(super) fn close_from_board(
        &mut self,
        connection: usize,
        heard: bool,
        now: Instant,
        rng: &mut Rng,
    ) {
        let at = self.arrives(now, rng);
        let c = &mut self.connections[connection];
        c.to_board.queue.clear();
        if heard && !c.silent {
            c.to_server.push(at, Arrival::ClosedAtServer);
            c.open = false;
        } else {
            // The server keeps sending to a peer that is gone.
            c.silent = true;
        }
    }

    pub(super) fn close_from_server(&mut self, connection: usize, now: Instant, rng: &mut Rng) {
        let at = self.arrives(now, rng);
        let c = &mut self.connections[connection];
        c.to_server.queue.clear();
        if c.open && !c.silent {
            c.to_board.push(at, Arrival::ClosedAtBoard);
        }
        c.open = false;
    }

    /// Both ends lose the connection at once, with what is on its way.
    pub(super) fn cut(&mut self, connection: usize, now: Instant) {
        let c = &mut self.connections[connection];
        if c.open && !c.silent {
            c.to_server = Pipe::default();
            c.to_board = Pipe::default();
            c.to_server.push(now, Arrival::ClosedAtServer);
            c.to_board.push(now, Arrival::ClosedAtBoard);
            c.open = false;
        }
    }

    /// Everything that is sent from now on takes `more` time.
    pub(super) fn slow_down(&mut self, connection: usize, more: Duration) {
        self.connections[connection].slow = more;
    }

    pub(super) fn silence(&mut self, connection: usize) {
        let c = &mut self.connections[connection];
        c.silent = true;
        c.to_server.queue.clear();
        c.to_board.queue.clear();
    }

    /// Returns the next thing that arrives by `now`. What is for a board without a network waits.
    pub(super) fn arrived(
        &mut self,
        now: Instant,
        on_air: impl Fn(usize) -> bool,
    ) -> Option<(usize, Arrival)> {
        while self.first < self.connections.len() {
            let c = &self.connections[self.first];
            if c.open || !c.to_server.queue.is_empty() || !c.to_board.queue.is_empty() {
                break;
            }
            self.first += 1;
        }
        for (n, c) in self.connections.iter_mut().enumerate().skip(self.first) {
            let heard = on_air(c.board);
            for pipe in [&mut c.to_server, &mut c.to_board] {
                // Nothing gets through the air either way while there is no network.
                if !heard {
                    for (at, _) in &mut pipe.queue {
                        *at = (*at).max(now + Duration::from_millis(50));
                    }
                    pipe.last = pipe.last.max(now + Duration::from_millis(50));
                }
                if pipe.queue.front().is_some_and(|(at, _)| *at <= now)
                    && let Some((_, arrival)) = pipe.queue.pop_front()
                {
                    return Some((n, arrival));
                }
            }
        }
        None
    }

    pub(super) fn next_at(&self) -> Option<Instant> {
        self.connections[self.first..]
            .iter()
            .flat_map(|c| [&c.to_server, &c.to_board])
            .map(|pipe| pipe.queue.front().map(|(at, _)| *at))
            .fold(None, earliest)
    }
}

/// TCP keeps no boundaries: bytes arrive in one or two segments.
fn split(bytes: Vec<u8>, rng: &mut Rng) -> impl Iterator<Item = Vec<u8>> {
    let at = rng.usize(0..=bytes.len());
    let (a, b) = bytes.split_at(at);
    [a.to_vec(), b.to_vec()].into_iter().filter(|part| !part.is_empty())
}
