//! The state tables of both ends of the secure link, row by row.

mod attacks;
mod board;
mod hand;
mod keys;
#[path = "../common/rng.rs"]
mod rng;
mod server;
#[path = "../secure_seeds/suite.rs"]
mod suite;
mod visitors;
mod watchdog;
mod worn;

use std::collections::HashSet;
use std::hash::Hash;

use pblink_protocol::app::WriteError;
use pblink_protocol::secure::board::{Board, Memory, View};
use pblink_protocol::secure::frame::{Epoch, Resume};
use pblink_protocol::secure::packet::{MAX_DOWN, MAX_UP};
use pblink_protocol::secure::server::{
    Book, Desk, Known, Received, Server, ServerEvent, Visitor, resolve,
};
use pblink_protocol::secure::suite::{BoardSuite, ServerSuite};
use pblink_protocol::secure::{Lines, Outgoing};
use pblink_protocol::time::{Duration, Instant};
use rng::Rng;
use suite::{OfBoard, OfServer};

const fn s(seconds: u64) -> Instant {
    Instant::from_millis(1000 * seconds)
}

const fn ms(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

fn epoch(number: u64) -> Epoch {
    Epoch::new(number).expect("not 0")
}

/// Memory of a board, with lines of one text.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Ram {
    epoch: Epoch,
    first: u64,
    next: u64,
    view: Option<View>,
}

impl Ram {
    fn new(number: u64) -> Self {
        Self { epoch: epoch(number), first: 1, next: 1, view: None }
    }
}

const TEXT: &[u8] = b"a line";

/// The server's clock, in ms since the Unix epoch.
const TIME: u64 = 1_800_000_000_000;

impl Memory for Ram {
    fn epoch(&self) -> Epoch {
        self.epoch
    }
    fn first(&self) -> u64 {
        self.first
    }
    fn next(&self) -> u64 {
        self.next
    }
    fn line(&self, seq: u64) -> Option<(&[u8], Instant)> {
        (self.first..self.next).contains(&seq).then_some((TEXT, s(0)))
    }
    fn push(&mut self, _now: Instant, _text: &str) -> Result<(), WriteError> {
        self.next += 1;
        Ok(())
    }
    fn free(&mut self, done: u64) {
        self.first = self.first.max((done + 1).min(self.next));
    }
    fn view(&self) -> Option<View> {
        self.view
    }
    fn set_view(&mut self, view: View) {
        self.view = Some(view);
    }
}

/// Lines 1 to this one, for the board.
struct Rows(u64);

impl Lines for Rows {
    fn after(&self, after: u64) -> Option<Outgoing<'_>> {
        (after < self.0).then_some(Outgoing {
            seq: after + 1,
            prev: after,
            text: TEXT,
            written: s(0),
        })
    }
}

/// A desk that remembers.
#[derive(Debug, Default)]
struct Notes {
    lines: Vec<u64>,
    resumes: Vec<Resume>,
    done: Vec<u64>,
    events: Vec<ServerEvent>,
    /// Generations of keys that the board has proven.
    proven: Vec<u32>,
    datagrams: Vec<String>,
    told: Vec<(u8, Vec<u8>)>,
    full: bool,
}

impl Desk for Notes {
    fn deliver(&mut self, line: Received<'_>) -> bool {
        if !self.full {
            self.lines.push(line.seq);
        }
        !self.full
    }
    fn resolve(&mut self, resume: Resume) {
        self.resumes.push(resume);
    }
    fn done(&mut self, number: u64) {
        self.done.push(number);
    }
    fn datagram(&mut self, text: &str) {
        self.datagrams.push(text.to_owned());
    }
    fn board_event(&mut self, kind: u8, bytes: &[u8]) {
        self.told.push((kind, bytes.to_vec()));
    }
    fn event(&mut self, event: ServerEvent) {
        match event {
            ServerEvent::Proven(generation) => self.proven.push(generation),
            event => self.events.push(event),
        }
    }
}

/// Both ends, and nothing between them: the tests carry each line.
struct Both<B: BoardSuite = OfBoard, S: ServerSuite = OfServer> {
    board: Board<B, Ram>,
    server: Server<S>,
    visitor: Visitor,
    notes: Notes,
    rows: Rows,
    /// The epoch of the board in the store, and its last line there.
    store: (Option<Epoch>, u64),
}

impl Both {
    fn new() -> Self {
        Self::of(OfBoard(Rng(1)), OfServer(Rng(2)))
    }

    /// Two ends that are up at `now`.
    fn up(now: Instant) -> Self {
        let mut both = Self::new();
        both.raise(now);
        both
    }

    /// Two ends of which the board has made its hello, which is on its way.
    fn greeting(now: Instant) -> (Self, String) {
        let mut both = Self::new();
        both.visitor = Visitor::new(1, now);
        both.board.on_server(now, true);
        let hello = both.hello(now);
        (both, hello)
    }

    /// Two ends, at 1 s, of which the board has said twice where it stands: the second word, and the answer to the first, are on
    /// their way.
    fn asking_twice() -> (Self, String, String) {
        let (mut both, hello) = Self::greeting(s(0));
        let first = both.resume(s(0), &hello);
        both.board.poll(s(1));
        let second = both.said(s(1)).expect("where it stands again");
        both.give(s(1), &first);
        both.commit(s(1));
        let answer = both.answered(s(1)).expect("an answer");
        (both, second, answer)
    }
}

impl<B: BoardSuite, S: ServerSuite> Both<B, S> {
    fn of(board: B, server: S) -> Self {
        Self {
            board: Board::new(board, Ram::new(7)),
            server: Server::new(server, 0),
            visitor: Visitor::new(1, s(0)),
            notes: Notes::default(),
            rows: Rows(0),
            store: (None, 0),
        }
    }

    /// Brings the link up.
    fn raise(&mut self, now: Instant) {
        self.visitor = Visitor::new(1, now);
        self.board.on_server(now, true);
        self.settle(now);
        assert!(self.board.is_up());
    }

    /// Has the board ask for a challenge, and returns its hello.
    fn hello(&mut self, now: Instant) -> String {
        let ask = self.said(now).expect("a question");
        self.give(now, &ask);
        let challenge = self.answered(now).expect("a challenge");
        self.board.on_line(now, &challenge);
        self.board.compute(now);
        self.said(now).expect("a hello")
    }

    /// Gives the server the hello, and returns its reply.
    fn reply(&mut self, now: Instant, hello: &str) -> String {
        self.give(now, hello);
        self.server.compute(now, TIME);
        self.answered(now).expect("a reply")
    }

    /// Finishes the handshake of this hello, and returns the board's RESUME.
    fn resume(&mut self, now: Instant, hello: &str) -> String {
        let reply = self.reply(now, hello);
        self.board.on_line(now, &reply);
        self.board.compute(now);
        self.said(now).expect("where it stands")
    }

    /// Returns the next line of the board.
    fn said(&mut self, now: Instant) -> Option<String> {
        self.board.transmit(now, &mut [0; MAX_UP]).map(str::to_owned)
    }

    /// Returns the next line of the server.
    fn answered(&mut self, now: Instant) -> Option<String> {
        let buffer = &mut [0; MAX_DOWN];
        self.server.transmit(now, &mut self.visitor, &self.rows, buffer).map(str::to_owned)
    }

    fn give(&mut self, now: Instant, line: &str) {
        self.server.on_line(now, &mut self.visitor, line, &mut self.notes);
    }

    /// Commits what the server has asked for.
    fn commit(&mut self, now: Instant) {
        for resume in std::mem::take(&mut self.notes.resumes) {
            let book = Book {
                own: epoch(99),
                board: self.store.0,
                last_received: self.store.1,
                view: resume.peer.map_or(Known::Never, |_| Known::Open),
                highest: self.rows.0,
                highest_at_start: 0,
                mark: self.server.mark(),
            };
            let resolution = resolve(&resume, &book);
            self.store = (Some(resolution.board), resolution.received);
            self.server.on_resolved(now, &resolution, &mut self.notes);
        }
        if let (Some(board), Some(&last)) = (self.store.0, self.notes.lines.last()) {
            self.store.1 = last;
            self.server.on_committed(board, last);
        }
    }

    /// Carries lines until nobody has one.
    fn settle(&mut self, now: Instant) {
        loop {
            self.board.compute(now);
            let up = self.said(now);
            if let Some(line) = &up {
                self.give(now, line);
            }
            self.server.compute(now, TIME);
            self.commit(now);
            let down = self.answered(now);
            if let Some(line) = &down {
                self.board.on_line(now, line);
            }
            if up.is_none() && down.is_none() {
                return;
            }
        }
    }
}

/// Returns the kind of a line: its letter.
fn kind(line: &Option<String>) -> Option<&str> {
    line.as_deref().map(|line| &line[1..2])
}

/// Counts the states that are different.
fn different<T: Eq + Hash>(states: impl IntoIterator<Item = T>) -> usize {
    states.into_iter().collect::<HashSet<T>>().len()
}

/// A model checker copies, compares and hashes both ends.
#[test]
fn copies_of_both_ends_that_hear_the_same_stay_the_same() {
    let (mut both, hello) = Both::greeting(s(1));
    let (mut board, mut server) = (both.board.clone(), both.server.clone());
    let mut visitor = both.visitor.clone();
    assert_eq!(different([board.clone(), both.board.clone()]), 1);
    assert_eq!(different([server.clone(), both.server.clone()]), 1);
    let reply = both.reply(s(1), &hello);
    both.board.on_line(s(1), &reply);
    both.board.compute(s(1));
    assert_eq!(different([board.clone(), both.board.clone()]), 2);
    assert_eq!(different([server.clone(), both.server.clone()]), 2);
    server.on_line(s(1), &mut visitor, &hello, &mut Notes::default());
    server.compute(s(1), TIME);
    let buffer = &mut [0; MAX_DOWN];
    assert_eq!(server.transmit(s(1), &mut visitor, &both.rows, buffer), Some(&*reply));
    board.on_line(s(1), &reply);
    board.compute(s(1));
    assert_eq!(different([board, both.board]), 1);
    assert_eq!(different([server, both.server]), 1);
}
