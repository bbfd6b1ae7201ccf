//! The server's end, in memory: the lobby and the endpoints that `pblink-server` runs, on sockets that
//! are queues.

use std::collections::{BTreeMap, VecDeque};

use pblink_protocol::MAX_TEXT;
use pblink_protocol::app::happening::RestartCause;
use pblink_protocol::delivery::Delivery;
use pblink_protocol::tcp::endpoint::{Disposition, Endpoint, Host, Receipt, Role, Timing};
use pblink_protocol::tcp::lobby::{Guest, Standing, Verdict};
use pblink_protocol::tcp::window::Window;
use pblink_protocol::time::{Duration, Instant, earliest};

use super::remote::{Action, Input, Received, Remote};
use super::store::Keeper;
use crate::flaw::Flaw;
use crate::program::line_of_server;

type SessionEndpoint = Endpoint<heapless::Vec<u8, { MAX_TEXT + 2 }>, Vec<u8>, 16>;

struct Session {
    endpoint: SessionEndpoint,
    connection: Option<usize>,
    write_at: Option<Instant>,
    number: u64,
    /// It keeps what it acknowledges.
    keeper: Option<Keeper>,
}

pub(super) struct Server {
    timing: Timing,
    writes: Option<Duration>,
    delivery: Delivery,
    down_until: Option<Instant>,
    deaf_until: Option<Instant>,
    /// The process is frozen until then; the system still accepts and receives.
    stalled_until: Option<Instant>,
    /// Inputs that came during a stall and were not looked at yet.
    waiting: VecDeque<(usize, Input)>,
    /// Connections without a session so far, with what came behind their hello.
    guests: BTreeMap<usize, (Guest, Vec<u8>)>,
    /// By number of the board, whose id is this number plus one. Others are strangers.
    sessions: Vec<Session>,
    actions: Vec<Action>,
    /// A planted fault: numbers are forgotten when a connection ends.
    forgets: bool,
    /// A planted fault: sockets are not read before their connections are called silent.
    timers_first: bool,
}

struct Inbox<'a> {
    board: usize,
    actions: &'a mut Vec<Action>,
    takes: bool,
}

impl Host<Vec<u8>> for Inbox<'_> {
    fn deliver(&mut self, text: &str, _: Receipt) -> Disposition {
        if !self.takes {
            return Disposition::Refused;
        }
        self.actions.push(Action::Received(Received { board: self.board, text: text.to_owned() }));
        Disposition::Taken
    }
}

impl Session {
    fn disconnect(&mut self, actions: &mut Vec<Action>) {
        if let Some(connection) = self.connection.take() {
            self.endpoint.on_disconnected();
            actions.push(Action::Close(connection));
        }
    }
}

impl Server {
    pub(super) fn new(
        boards: usize,
        timing: Timing,
        writes: Option<Duration>,
        delivery: Delivery,
        mut keeper: impl FnMut() -> Option<Keeper>,
    ) -> Self {
        let session = || {
            let keeper = keeper();
            let mut endpoint = Endpoint::new(Role::Server, timing, heapless::Vec::new());
            endpoint.set_commits(keeper.is_some());
            Session { endpoint, connection: None, write_at: None, number: 0, keeper }
        };
        Self {
            timing,
            writes,
            delivery,
            down_until: None,
            deaf_until: None,
            stalled_until: None,
            waiting: VecDeque::new(),
            guests: BTreeMap::new(),
            sessions: std::iter::repeat_with(session).take(boards).collect(),
            actions: Vec::new(),
            forgets: false,
            timers_first: false,
        }
    }

    fn input(&mut self, now: Instant, connection: usize, input: Input) {
        if self.stalled_until.is_some() {
            self.waiting.push_back((connection, input));
        } else {
            self.look_at(now, connection, input);
        }
    }

    fn look_at(&mut self, now: Instant, connection: usize, input: Input) {
        let at = |s: &Session| s.connection == Some(connection);
        match input {
            Input::Accepted => {
                self.guests.insert(connection, (Guest::new(now, self.timing), Vec::new()));
            }
            Input::Bytes(bytes) if self.guests.contains_key(&connection) => {
                self.greet(now, connection, &bytes);
            }
            Input::Bytes(bytes) => {
                if let Some(board) = self.sessions.iter().position(at) {
                    self.receive(now, board, &bytes);
                }
            }
            Input::Closed => {
                self.guests.remove(&connection);
                if let Some(session) = self.sessions.iter_mut().find(|s| at(s)) {
                    session.connection = None;
                    session.endpoint.on_disconnected();
                    if self.forgets {
                        session.endpoint.set_window(Window::default());
                    }
                }
            }
        }
    }

    fn receive(&mut self, now: Instant, board: usize, bytes: &[u8]) {
        let takes = self.deaf_until.is_none_or(|until| now >= until);
        let session = &mut self.sessions[board];
        if let Some(keeper) = session.keeper.as_mut().filter(|_| takes) {
            return session.endpoint.on_bytes(now, bytes, keeper);
        }
        let mut inbox = Inbox { board, actions: &mut self.actions, takes };
        self.sessions[board].endpoint.on_bytes(now, bytes, &mut inbox);
    }

    /// Reads what waits in one socket. Returns whether it held anything.
    fn read_socket(&mut self, now: Instant, connection: usize) -> bool {
        if self.timers_first {
            return false;
        }
        let waiting = std::mem::take(&mut self.waiting);
        let (mine, others) = waiting.into_iter().partition(|(from, _)| *from == connection);
        self.waiting = others;
        let inputs: VecDeque<_> = mine;
        let any = !inputs.is_empty();
        for (_, input) in inputs {
            self.look_at(now, connection, input);
        }
        any
    }

    /// Takes what a guest has sent.
    fn greet(&mut self, now: Instant, connection: usize, bytes: &[u8]) {
        let Some((guest, behind)) = self.guests.get_mut(&connection) else { return };
        match guest.on_bytes(now, bytes) {
            Ok(None) => {}
            Ok(Some(hello)) => {
                behind.extend_from_slice(&bytes[hello..]);
                self.decide(now, connection);
            }
            Err(_) => self.turn_away(connection),
        }
    }

    fn turn_away(&mut self, connection: usize) {
        self.guests.remove(&connection);
        self.actions.push(Action::Close(connection));
    }

    /// Decides about a guest that has given its id.
    fn decide(&mut self, now: Instant, connection: usize) {
        let mut silent = false;
        loop {
            let Some((guest, behind)) = self.guests.get_mut(&connection) else { return };
            let Some(id) = guest.id() else { return };
            let board = (0..self.sessions.len()).find(|n| id == format!("{}", n + 1));
            let old = board.and_then(|board| self.sessions[board].connection);
            let standing = match board.map(|board| self.sessions[board].endpoint.last_heard()) {
                None => Standing::Unknown,
                Some(None) => Standing::Free,
                Some(Some(heard)) => Standing::Taken { heard, silent },
            };
            match (guest.on_standing(now, standing), board) {
                (Verdict::Wait(_), _) => return,
                (Verdict::Look, _) => {
                    silent = old.is_none_or(|old| !self.read_socket(now, old));
                }
                (Verdict::Admit | Verdict::TakeOver, Some(board)) => {
                    let behind = std::mem::take(behind);
                    self.guests.remove(&connection);
                    let session = &mut self.sessions[board];
                    session.disconnect(&mut self.actions);
                    session.connection = Some(connection);
                    session.endpoint.on_connected(now);
                    if session.endpoint.stats().connects == 1 {
                        session.write_at = self.writes.map(|every| now + every);
                    }
                    return self.receive(now, board, &behind);
                }
                (Verdict::Admit | Verdict::TakeOver | Verdict::Refuse(_), _) => {
                    return self.turn_away(connection);
                }
            }
        }
    }

    fn poll_session(&mut self, now: Instant, board: usize) {
        let session = &mut self.sessions[board];
        if session.write_at.is_some_and(|at| now >= at) && session.endpoint.has_room() {
            let text = line_of_server(session.number);
            if let Some(keeper) = &mut session.keeper {
                keeper.write();
            } else if session.endpoint.write(now, text.into_bytes(), self.delivery).is_ok() {
                self.actions.push(Action::Wrote(board, session.number));
                session.number += 1;
            }
            session.write_at = self.writes.map(|every| now + every);
        }
        if let Some(keeper) = &mut session.keeper {
            let durable = keeper.work(now, &mut session.endpoint, self.delivery);
            let lines = durable.lines.into_iter();
            self.actions.extend(lines.map(|text| Action::Received(Received { board, text })));
            self.actions.extend(durable.rows.map(|number| Action::Wrote(board, number)));
        }
        let Some(connection) = session.connection else { return };
        if session.endpoint.outage(now) && self.read_socket(now, connection) {
            return self.poll_session(now, board);
        }
        let session = &mut self.sessions[board];
        let mut out = [0; 1500];
        loop {
            match session.endpoint.transmit(now, &mut out) {
                0 => break,
                n => self.actions.push(Action::Send(connection, out[..n].to_vec())),
            }
        }
        if session.endpoint.outage(now) {
            session.disconnect(&mut self.actions);
        }
    }

    /// Guests that never say their name, or whose name is taken.
    fn poll_guests(&mut self, now: Instant) {
        let due = |(guest, _): &(Guest, _)| guest.poll_at(now).is_some_and(|at| at <= now);
        let named = |(guest, _): &(Guest, _)| guest.id().is_some();
        let guests: Vec<usize> = (self.guests.iter())
            .filter(|(_, guest)| named(guest) || due(guest))
            .map(|(connection, _)| *connection)
            .collect();
        for connection in guests {
            self.read_socket(now, connection);
            let Some((guest, _)) = self.guests.get_mut(&connection) else { continue };
            match guest.on_timer(now) {
                Ok(()) => self.decide(now, connection),
                Err(_) => self.turn_away(connection),
            }
        }
    }
}

impl Remote for Server {
    fn plant(&mut self, flaw: Flaw) {
        self.forgets = flaw == Flaw::Forgets;
        self.timers_first = flaw == Flaw::TimersFirst;
        let keepers = self.sessions.iter_mut().filter_map(|s| s.keeper.as_mut());
        keepers.for_each(|keeper| keeper.plant(flaw));
    }

    fn stop(&mut self, until: Instant) {
        self.down_until = self.down_until.max(Some(until));
        self.stalled_until = None;
        self.waiting.clear();
        self.guests.clear();
        for session in &mut self.sessions {
            session.connection = None;
            session.endpoint.on_disconnected();
        }
    }

    /// Kills the process: what is not committed is gone.
    ///
    /// # Panics
    /// If the server does not commit.
    fn crash(&mut self, until: Instant) {
        self.stop(until);
        for session in &mut self.sessions {
            session.endpoint = Endpoint::new(Role::Server, self.timing, heapless::Vec::new());
            let keeper = session.keeper.as_mut().expect("a server that commits");
            keeper.crash(&mut session.endpoint);
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
        self.sessions.iter_mut().for_each(|s| s.write_at = None);
    }

    /// Returns the number of times that a board has connected.
    fn connects(&self, board: usize) -> u32 {
        self.sessions[board].endpoint.stats().connects
    }

    /// Connects a client. Returns whether the server listens.
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

    fn undetermined(&self) -> u64 {
        0
    }

    fn restarts(&self, _: usize) -> &[RestartCause] {
        &[]
    }

    /// Does what is due. After a stall the timers come first, and the sockets then: the worst order.
    fn poll(&mut self, now: Instant) -> Vec<Action> {
        if let Some(until) = earliest(self.down_until, self.stalled_until)
            && now < until
        {
            return Vec::new();
        }
        (self.down_until, self.stalled_until) = (None, None);
        self.poll_guests(now);
        for board in 0..self.sessions.len() {
            self.poll_session(now, board);
        }
        if !self.waiting.is_empty() {
            while let Some((connection, input)) = self.waiting.pop_front() {
                self.look_at(now, connection, input);
            }
            let mut actions = std::mem::take(&mut self.actions);
            actions.append(&mut self.poll(now));
            return actions;
        }
        std::mem::take(&mut self.actions)
    }

    fn next_at(&self, now: Instant) -> Option<Instant> {
        if let Some(until) = earliest(self.down_until, self.stalled_until)
            && now < until
        {
            return Some(until);
        }
        let guests = self.guests.values().map(|(guest, _)| guest.poll_at(now)).fold(None, earliest);
        self.sessions.iter().fold(guests, |at, session| {
            let write = session.write_at.filter(|_| session.endpoint.has_room());
            let commit = session.keeper.as_ref().and_then(Keeper::next_at);
            earliest(earliest(at, commit), earliest(write, session.endpoint.poll_at(now)))
        })
    }
}
