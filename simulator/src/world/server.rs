//! The server's end, in memory: sessions by id, as in `pblink-server`, on the same endpoint.

use std::collections::BTreeMap;

use pblink_protocol::MAX_TEXT;
use pblink_protocol::delivery::Delivery;
use pblink_protocol::tcp::endpoint::{Disposition, Endpoint, Host, Receipt, Role, Timing};
use pblink_protocol::tcp::line::parse_hello;
use pblink_protocol::time::{Duration, Instant, earliest};

/// Something for the world to do.
#[derive(Debug)]
pub(super) enum Action {
    Send(usize, Vec<u8>),
    Close(usize),
    /// Line `.1` was written to board `.0`.
    Wrote(usize, u64),
    /// A line came in the same segment as the hello.
    Received(Received),
}

/// A line from a board.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) board: usize,
    pub(super) text: String,
}

type SessionEndpoint = Endpoint<heapless::Vec<u8, { MAX_TEXT + 2 }>, Vec<u8>, 16>;

struct Session {
    board: usize,
    endpoint: SessionEndpoint,
    connection: Option<usize>,
    write_at: Option<Instant>,
    number: u64,
}

/// A connection without a session so far.
struct Guest {
    hello: Vec<u8>,
    deadline: Instant,
    /// It gave the id of a client that is connected: decided at the instant, unless that client was
    /// heard of since the other one.
    waits: Option<(String, Instant, Instant)>,
}

pub(super) struct Server {
    timing: Timing,
    writes: Option<Duration>,
    delivery: Delivery,
    down_until: Option<Instant>,
    deaf_until: Option<Instant>,
    guests: BTreeMap<usize, Guest>,
    sessions: BTreeMap<String, Session>,
}

struct Inbox<'a> {
    board: usize,
    lines: &'a mut Vec<Received>,
    takes: bool,
}

impl Host<Vec<u8>> for Inbox<'_> {
    fn deliver(&mut self, text: &str, _: Receipt) -> Disposition {
        if !self.takes {
            return Disposition::Refused;
        }
        self.lines.push(Received { board: self.board, text: text.to_owned() });
        Disposition::Taken
    }
}

impl Server {
    pub(super) fn new(timing: Timing, writes: Option<Duration>, delivery: Delivery) -> Self {
        Self {
            timing,
            writes,
            delivery,
            down_until: None,
            deaf_until: None,
            guests: BTreeMap::new(),
            sessions: BTreeMap::new(),
        }
    }

    pub(super) fn stop(&mut self, until: Instant) {
        self.down_until = self.down_until.max(Some(until));
    }

    pub(super) fn do_not_read(&mut self, until: Instant) {
        self.deaf_until = self.deaf_until.max(Some(until));
    }

    pub(super) fn stop_writing(&mut self) {
        self.writes = None;
        self.sessions.values_mut().for_each(|s| s.write_at = None);
    }

    pub(super) fn disconnect_all(&mut self) {
        self.guests.clear();
        for session in self.sessions.values_mut() {
            session.connection = None;
            session.endpoint.on_disconnected();
        }
    }

    pub(super) fn accept(&mut self, connection: usize, now: Instant) -> bool {
        if self.down_until.is_some_and(|until| now < until) {
            return false;
        }
        let deadline = now + self.timing.timeout;
        self.guests.insert(connection, Guest { hello: Vec::new(), deadline, waits: None });
        true
    }

    pub(super) fn closed(&mut self, connection: usize) {
        self.guests.remove(&connection);
        if let Some(session) = self.session_of(connection) {
            session.connection = None;
            session.endpoint.on_disconnected();
        }
    }

    fn session_of(&mut self, connection: usize) -> Option<&mut Session> {
        self.sessions.values_mut().find(|s| s.connection == Some(connection))
    }

    pub(super) fn receive(
        &mut self,
        connection: usize,
        bytes: &[u8],
        now: Instant,
    ) -> Vec<Received> {
        let mut lines = Vec::new();
        if let Some(guest) = self.guests.get_mut(&connection) {
            guest.hello.extend_from_slice(bytes);
            self.greet(connection, now, &mut lines);
        } else {
            let takes = self.deaf_until.is_none_or(|until| now >= until);
            if let Some(s) = self.session_of(connection) {
                let mut inbox = Inbox { board: s.board, lines: &mut lines, takes };
                s.endpoint.on_bytes(now, bytes, &mut inbox);
            }
        }
        lines
    }

    /// Looks whether a guest has said its name.
    fn greet(&mut self, connection: usize, now: Instant, lines: &mut Vec<Received>) {
        let Some(guest) = self.guests.get_mut(&connection) else { return };
        let Some(end) = guest.hello.iter().position(|&b| b == b'\n') else { return };
        let id = parse_hello(&guest.hello[..end]).unwrap_or_default().to_owned();
        let old = self.sessions.get(&id).and_then(|s| s.endpoint.last_heard());
        if let Some(heard) = old
            && now < heard + self.timing.timeout.part(2)
        {
            let decision = heard + self.timing.timeout.part(2);
            guest.waits = Some((id, heard, decision));
            return;
        }
        let rest = guest.hello.split_off(end + 1);
        self.guests.remove(&connection);
        let board = id.parse::<usize>().map_or(0, |n| n - 1);
        let (timing, writes) = (self.timing, self.writes);
        let session = self.sessions.entry(id).or_insert_with(|| Session {
            board,
            endpoint: Endpoint::new(Role::Server, timing, heapless::Vec::new()),
            connection: None,
            write_at: writes.map(|every| now + every),
            number: 0,
        });
        session.connection = Some(connection);
        session.endpoint.on_connected(now);
        let takes = self.deaf_until.is_none_or(|until| now >= until);
        let mut inbox = Inbox { board, lines, takes };
        session.endpoint.on_bytes(now, &rest, &mut inbox);
    }

    pub(super) fn poll(&mut self, now: Instant) -> Vec<Action> {
        let mut actions = Vec::new();
        if self.down_until.is_some_and(|until| now < until) {
            return actions;
        }
        self.down_until = None;
        self.poll_guests(now, &mut actions);
        let mut out = [0; 1500];
        for session in self.sessions.values_mut() {
            if session.write_at.is_some_and(|at| now >= at) && session.endpoint.has_room() {
                let text = format!("[{}, 0, 0]", session.number);
                if session.endpoint.write(now, text.into_bytes(), self.delivery).is_ok() {
                    actions.push(Action::Wrote(session.board, session.number));
                    session.number += 1;
                }
                session.write_at = self.writes.map(|every| now + every);
            }
            let Some(connection) = session.connection else { continue };
            loop {
                let n = session.endpoint.transmit(now, &mut out);
                if n == 0 {
                    break;
                }
                actions.push(Action::Send(connection, out[..n].to_vec()));
            }
            if session.endpoint.outage(now) {
                session.connection = None;
                session.endpoint.on_disconnected();
                actions.push(Action::Close(connection));
            }
        }
        actions
    }

    /// Guests that never say their name, or whose name is taken.
    fn poll_guests(&mut self, now: Instant, actions: &mut Vec<Action>) {
        let due: Vec<usize> =
            self.guests.iter().filter(|(_, g)| now >= due(g)).map(|(n, _)| *n).collect();
        for connection in due {
            let Some(guest) = self.guests.get_mut(&connection) else { continue };
            let Some((id, heard, _)) = guest.waits.take() else {
                self.guests.remove(&connection);
                actions.push(Action::Close(connection));
                continue;
            };
            let spoke = self
                .sessions
                .get(&id)
                .and_then(|s| s.endpoint.last_heard())
                .is_some_and(|at| at > heard);
            if spoke {
                self.guests.remove(&connection);
                actions.push(Action::Close(connection));
                continue;
            }
            if let Some(session) = self.sessions.get_mut(&id)
                && let Some(old) = session.connection.take()
            {
                session.endpoint.on_disconnected();
                actions.push(Action::Close(old));
            }
            let mut lines = Vec::new();
            self.greet(connection, now, &mut lines);
            actions.extend(lines.into_iter().map(Action::Received));
        }
    }

    pub(super) fn next_at(&self, now: Instant) -> Option<Instant> {
        if let Some(until) = self.down_until
            && now < until
        {
            return Some(until);
        }
        let guests = self.guests.values().map(due).min();
        self.sessions.values().fold(guests, |at, session| {
            let write = session.write_at.filter(|_| session.endpoint.has_room());
            earliest(at, earliest(write, session.endpoint.poll_at(now)))
        })
    }
}

fn due(guest: &Guest) -> Instant {
    guest.waits.as_ref().map_or(guest.deadline, |(_, _, at)| *at)
}
