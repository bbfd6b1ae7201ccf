//! A server with keys, in memory: the machine that `pblink-server` runs for each id, behind a fresh classic endpoint for each
//! connection.

mod store;

use std::collections::{BTreeMap, VecDeque};

use fastrand::Rng;
use pblink_protocol::MAX_TEXT;
use pblink_protocol::app::happening::RestartCause;
use pblink_protocol::delivery::Delivery;
use pblink_protocol::secure::packet::MAX_DOWN;
use pblink_protocol::secure::server::Visitor;
use pblink_protocol::tcp::endpoint::{Disposition, Endpoint, Host, Receipt, Role, Timing};
use pblink_protocol::tcp::lobby::{Guest, Standing, Verdict};
use pblink_protocol::time::{Duration, Instant, earliest};

use super::remote::{Action, Input, Received, Remote};
use crate::flaw::Flaw;
use crate::secure::ServerSide;
use store::{Durable, Keeper};

/// The server's wall clock at the beginning, in ms since the Unix epoch.
const EPOCH_MS: u64 = 1_800_000_000_000;

type Carrier = Endpoint<heapless::Vec<u8, { MAX_TEXT + 2 }>, Vec<u8>, 16>;

/// A connection: before its hello is complete, and from then on.
enum Connection {
    Guest(Guest),
    Visitor { board: usize, carrier: Box<Carrier>, visitor: Visitor },
}

struct Session {
    keeper: Keeper,
    write_at: Option<Instant>,
    connects: u32,
}

pub(super) struct KeyedServer {
    timing: Timing,
    writes: Option<Duration>,
    down_until: Option<Instant>,
    deaf_until: Option<Instant>,
    /// The process is frozen until then; the system still accepts and receives.
    stalled_until: Option<Instant>,
    /// Inputs that came during a stall and were not looked at yet.
    waiting: VecDeque<(usize, Input)>,
    connections: BTreeMap<usize, Connection>,
    /// Tells visitors apart: of all processes, so that nothing of an old one can be meant.
    visits: u64,
    /// By number of the board, whose id is this number plus one.
    sessions: Vec<Session>,
    undetermined: u64,
    actions: Vec<Action>,
}

/// Lines that have come over a connection.
#[derive(Default)]
struct Lines(Vec<String>);

impl Host<Vec<u8>> for Lines {
    fn deliver(&mut self, text: &str, _: Receipt) -> Disposition {
        self.0.push(text.to_owned());
        Disposition::Taken
    }
}

impl KeyedServer {
    pub(super) fn new(
        keys: Vec<ServerSide>,
        timing: Timing,
        writes: Option<Duration>,
        commits: Duration,
        rng: &mut Rng,
    ) -> Self {
        let session = |keys| Session {
            keeper: Keeper::new(keys, commits, rng.fork()),
            write_at: None,
            connects: 0,
        };
        Self {
            timing,
            writes,
            down_until: None,
            deaf_until: None,
            stalled_until: None,
            waiting: VecDeque::new(),
            connections: BTreeMap::new(),
            visits: 0,
            sessions: keys.into_iter().map(session).collect(),
            undetermined: 0,
            actions: Vec::new(),
        }
    }

    fn is_away(&self, now: Instant) -> Option<Instant> {
        earliest(self.down_until, self.stalled_until).filter(|until| now < *until)
    }

    fn input(&mut self, now: Instant, connection: usize, input: Input) {
        if self.stalled_until.is_some() {
            self.waiting.push_back((connection, input));
        } else {
            self.look_at(now, connection, input);
        }
    }

    fn look_at(&mut self, now: Instant, connection: usize, input: Input) {
        match input {
            Input::Accepted => {
                let guest = Connection::Guest(Guest::new(now, self.timing));
                self.connections.insert(connection, guest);
            }
            Input::Bytes(bytes) => self.receive(now, connection, &bytes),
            Input::Closed => self.forget(connection),
        }
    }

    fn receive(&mut self, now: Instant, connection: usize, bytes: &[u8]) {
        let takes = self.deaf_until.is_none_or(|until| now >= until);
        match self.connections.get_mut(&connection) {
            None => {}
            Some(Connection::Guest(guest)) => match guest.on_bytes(now, bytes) {
                Ok(None) => {}
                Ok(Some(hello)) => self.admit(now, connection, &bytes[hello..]),
                Err(_) => self.close(connection),
            },
            Some(Connection::Visitor { board, carrier, visitor }) => {
                let mut lines = Lines::default();
                carrier.on_bytes(now, bytes, &mut lines);
                let keeper = &mut self.sessions[*board].keeper;
                keeper.wishes.deaf = !takes;
                for line in lines.0 {
                    keeper.server.on_line(now, visitor, &line, &mut keeper.wishes);
                }
            }
        }
    }

    /// Lets a guest in that has said its id. Whoever claims one gets nothing for it but the right to prove that it has its keys.
    fn admit(&mut self, now: Instant, connection: usize, behind: &[u8]) {
        let Some(Connection::Guest(guest)) = self.connections.get_mut(&connection) else { return };
        let board = guest.id().and_then(|id| id.parse::<usize>().ok()?.checked_sub(1));
        let board = board.filter(|board| *board < self.sessions.len());
        let standing = if board.is_some() { Standing::Free } else { Standing::Unknown };
        let (Verdict::Admit, Some(board)) = (guest.on_standing(now, standing), board) else {
            return self.close(connection);
        };
        let mut carrier = Box::new(Carrier::new(Role::Server, self.timing, heapless::Vec::new()));
        carrier.on_connected(now);
        self.visits += 1;
        let visitor = Visitor::new(self.visits, now);
        self.connections.insert(connection, Connection::Visitor { board, carrier, visitor });
        let session = &mut self.sessions[board];
        session.connects += 1;
        if session.connects == 1 {
            session.write_at = self.writes.map(|every| now + every);
        }
        self.receive(now, connection, behind);
    }

    fn close(&mut self, connection: usize) {
        self.forget(connection);
        self.actions.push(Action::Close(connection));
    }

    fn forget(&mut self, connection: usize) {
        if let Some(Connection::Visitor { board, visitor, .. }) =
            self.connections.remove(&connection)
        {
            let keeper = &mut self.sessions[board].keeper;
            keeper.server.on_closed(&visitor, &mut keeper.wishes);
        }
    }

    fn forget_all(&mut self) {
        let all: Vec<usize> = self.connections.keys().copied().collect();
        all.into_iter().for_each(|connection| self.forget(connection));
    }

    /// Reads what waits in one socket. Returns true if it held anything.
    fn read_socket(&mut self, now: Instant, connection: usize) -> bool {
        let waiting = std::mem::take(&mut self.waiting);
        let (mine, others) = waiting.into_iter().partition(|(from, _)| *from == connection);
        self.waiting = others;
        let inputs: VecDeque<_> = mine;
        let any = !inputs.is_empty();
        inputs.into_iter().for_each(|(_, input)| self.look_at(now, connection, input));
        any
    }

    /// Returns true if a connection has been silent for too long.
    fn is_over(&self, now: Instant, connection: usize) -> bool {
        match self.connections.get(&connection) {
            None => false,
            Some(Connection::Guest(guest)) => guest.clone().on_timer(now).is_err(),
            Some(Connection::Visitor { board, carrier, visitor }) => {
                carrier.outage(now) || self.sessions[*board].keeper.server.is_overdue(now, visitor)
            }
        }
    }

    fn durable(&mut self, board: usize, durable: Durable) {
        assert!(!durable.lost, "no store was restored");
        self.undetermined += durable.undetermined as u64;
        let lines = durable.lines.into_iter();
        self.actions.extend(lines.map(|text| Action::Received(Received { board, text })));
        self.actions.extend(durable.rows.map(|number| Action::Wrote(board, number)));
    }

    /// Sends what is to be said over a connection.
    fn transmit(&mut self, now: Instant, connection: usize) {
        let Some(Connection::Visitor { board, carrier, visitor }) =
            self.connections.get_mut(&connection)
        else {
            return;
        };
        let Keeper { server, store, .. } = &mut self.sessions[*board].keeper;
        let mut line = [0; MAX_DOWN];
        let mut out = [0; 1500];
        loop {
            // A packet is made when the connection takes it.
            if carrier.is_up()
                && carrier.unacked() == 0
                && let Some(line) = server.transmit(now, visitor, store, &mut line)
            {
                // There is room.
                let _ = carrier.write(now, line.as_bytes().to_vec(), Delivery::BestEffort);
            }
            match carrier.transmit(now, &mut out) {
                0 => return,
                n => self.actions.push(Action::Send(connection, out[..n].to_vec())),
            }
        }
    }
}

impl Remote for KeyedServer {
    fn plant(&mut self, flaw: Flaw) {
        let keepers = self.sessions.iter_mut().map(|session| &mut session.keeper);
        keepers.for_each(|keeper| keeper.numbers_anew = flaw == Flaw::NumbersAnew);
    }

    fn stop(&mut self, until: Instant) {
        self.down_until = self.down_until.max(Some(until));
        self.stalled_until = None;
        self.waiting.clear();
        self.forget_all();
    }

    fn crash(&mut self, until: Instant) {
        self.stop(until);
        for board in 0..self.sessions.len() {
            let durable = self.sessions[board].keeper.crash();
            self.durable(board, durable);
        }
    }

    fn do_not_read(&mut self, until: Instant) {
        self.deaf_until = self.deaf_until.max(Some(until));
    }

    fn stall(&mut self, until: Instant) {
        if self.down_until.is_none() {
            self.stalled_until = self.stalled_until.max(Some(until));
        }
    }

    fn stop_writing(&mut self) {
        self.writes = None;
        self.sessions.iter_mut().for_each(|session| session.write_at = None);
    }

    fn connects(&self, board: usize) -> u32 {
        self.sessions[board].connects
    }

    fn undetermined(&self) -> u64 {
        self.undetermined
    }

    fn restarts(&self, board: usize) -> &[RestartCause] {
        &self.sessions[board].keeper.wishes.restarts
    }

    fn on_accept(&mut self, now: Instant, connection: usize) -> bool {
        if self.down_until.is_some_and(|until| now < until) {
            return false;
        }
        self.input(now, connection, Input::Accepted);
        true
    }

    fn on_closed(&mut self, now: Instant, connection: usize) {
        self.input(now, connection, Input::Closed);
    }

    fn on_bytes(&mut self, now: Instant, connection: usize, bytes: Vec<u8>) {
        self.input(now, connection, Input::Bytes(bytes));
    }

    /// Does what is due. After a stall the timers come first, and the sockets then: the worst order.
    fn poll(&mut self, now: Instant) -> Vec<Action> {
        if self.is_away(now).is_some() {
            // What a crash has left in the store.
            return std::mem::take(&mut self.actions);
        }
        (self.down_until, self.stalled_until) = (None, None);
        let connections: Vec<usize> = self.connections.keys().copied().collect();
        for connection in connections {
            if self.is_over(now, connection) && !self.read_socket(now, connection) {
                self.close(connection);
            }
        }
        while let Some((connection, input)) = self.waiting.pop_front() {
            self.look_at(now, connection, input);
        }
        for board in 0..self.sessions.len() {
            let session = &mut self.sessions[board];
            if session.write_at.is_some_and(|at| now >= at) {
                session.keeper.write();
                session.write_at = self.writes.map(|every| now + every);
            }
            let keeper = &mut session.keeper;
            keeper.server.compute(now, EPOCH_MS + now.as_millis());
            keeper.server.poll(now, &mut keeper.wishes);
            let durable = keeper.work(now);
            self.durable(board, durable);
        }
        let connections: Vec<usize> = self.connections.keys().copied().collect();
        connections.into_iter().for_each(|connection| self.transmit(now, connection));
        std::mem::take(&mut self.actions)
    }

    fn next_at(&self, now: Instant) -> Option<Instant> {
        if let Some(until) = self.is_away(now) {
            return Some(until);
        }
        let connections = self.connections.values().map(|connection| match connection {
            Connection::Guest(guest) => guest.poll_at(now),
            // A visitor that has to wait for a challenge, or has outstayed its time, is looked at with the next keepalive.
            Connection::Visitor { carrier, .. } => carrier.poll_at(now),
        });
        let sessions = self.sessions.iter().map(|session| {
            let keeper = &session.keeper;
            earliest(earliest(keeper.next_at(), session.write_at), keeper.server.poll_at(now))
        });
        connections.chain(sessions).fold(None, earliest)
    }
}
