//! The store of a server with keys, and the process that works with it: what is not committed dies with the process.

use std::collections::{HashMap, VecDeque};

use fastrand::Rng;
use pblink_protocol::app::happening::{Happening, RestartCause};
use pblink_protocol::secure::frame::{Epoch, Resume};
use pblink_protocol::secure::server::{
    Book, Desk, Known, Received, Resolution, SENT_AHEAD, Server, ServerEvent, resolve,
};
use pblink_protocol::secure::{Lines, Outgoing};
use pblink_protocol::time::{Duration, Instant};

use crate::program::line_of_server;
use crate::secure::{OfServer, ServerSide};

/// The part of a session that survives its process.
#[derive(Debug, Clone, Default)]
pub(super) struct Store {
    rows: VecDeque<Row>,
    /// The highest number that was ever given to a row.
    highest: u64,
    epochs: HashMap<Epoch, Known>,
    board: Option<Epoch>,
    last_received: u64,
}

/// A line to the board.
#[derive(Debug, Clone)]
struct Row {
    number: u64,
    text: String,
    written: Instant,
}

impl Store {
    fn mark(&self) -> u64 {
        match (self.board, self.rows.iter().take(SENT_AHEAD).next_back()) {
            (Some(_), Some(row)) => row.number,
            _ => 0,
        }
    }

    fn drop_rows(&mut self, up_to: u64) -> usize {
        let before = self.rows.len();
        self.rows.retain(|row| row.number > up_to);
        before - self.rows.len()
    }
}

impl Lines for Store {
    fn after(&self, after: u64) -> Option<Outgoing<'_>> {
        let rows = self.rows.iter().take(SENT_AHEAD);
        let at = rows.clone().position(|row| row.number > after)?;
        let prev = at.checked_sub(1).map_or(0, |at| self.rows[at].number);
        let Row { number, text, written } = &self.rows[at];
        Some(Outgoing { seq: *number, prev, text: text.as_bytes(), written: *written })
    }
}

/// Things that a process wants to be committed, in their order.
#[derive(Debug)]
enum Wish {
    Line(Epoch, u64, String),
    Resolve(Resume),
    Done(u64),
    Row,
}

/// The desk of a process.
#[derive(Debug, Default)]
pub(super) struct Wishes {
    wishes: Vec<Wish>,
    /// The application takes no lines.
    pub(super) deaf: bool,
    /// Two boards with the keys of one were seen.
    pub(super) rivals: u64,
    /// Causes of the board's starts.
    pub(super) restarts: Vec<RestartCause>,
}

impl Desk for Wishes {
    fn deliver(&mut self, line: Received<'_>) -> bool {
        if !self.deaf {
            self.wishes.push(Wish::Line(line.epoch, line.seq, line.text.to_owned()));
        }
        !self.deaf
    }

    fn resolve(&mut self, resume: Resume) {
        self.wishes.push(Wish::Resolve(resume));
    }

    fn done(&mut self, number: u64) {
        self.wishes.push(Wish::Done(number));
    }

    fn datagram(&mut self, _: &str) {}

    fn board_event(&mut self, kind: u8, bytes: &[u8]) {
        if let Some(Happening::Restart(cause)) = Happening::decode(kind, bytes) {
            self.restarts.push(cause);
        }
    }

    fn event(&mut self, event: ServerEvent) {
        self.rivals += u64::from(event == ServerEvent::TwoBoards);
    }
}

/// A commit that is under way.
struct Commit {
    ends: Instant,
    store: Store,
    resolutions: Vec<Resolution>,
    last: Option<(Epoch, u64)>,
    durable: Durable,
}

/// Contents of a commit that is durable.
#[derive(Debug, Default)]
pub(super) struct Durable {
    /// Lines from the board.
    pub(super) lines: Vec<String>,
    /// Lines to the board that are written now: the first, and the one behind the last.
    pub(super) rows: std::ops::Range<u64>,
    /// Lines to the board of which nobody knows whether they have arrived.
    pub(super) undetermined: usize,
    /// Lines from the board that the store has lost.
    pub(super) lost: bool,
}

/// The store of one session, and the present process.
pub(super) struct Keeper {
    pub(super) store: Store,
    pub(super) server: Server<OfServer>,
    pub(super) wishes: Wishes,
    keys: ServerSide,
    own: Epoch,
    highest_at_start: u64,
    commit: Option<Commit>,
    longest: Duration,
    /// A planted fault: lines that wait when a process starts get new numbers.
    pub(super) numbers_anew: bool,
    rng: Rng,
}

impl Keeper {
    pub(super) fn new(keys: ServerSide, longest: Duration, mut rng: Rng) -> Self {
        let server = Server::new(keys.suite(rng.fork()), 0);
        let mut keeper = Self {
            store: Store::default(),
            server,
            wishes: Wishes::default(),
            keys,
            own: Epoch::MIN,
            highest_at_start: 0,
            commit: None,
            longest,
            numbers_anew: false,
            rng,
        };
        keeper.start();
        keeper
    }

    /// Starts a process on the store. Its epoch is committed before anything else.
    fn start(&mut self) {
        let store = &mut self.store;
        for known in store.epochs.values_mut().filter(|known| **known == Known::Open) {
            *known = Known::Closed(store.highest);
        }
        self.own = Epoch::new(self.rng.u64(1..)).unwrap_or(Epoch::MIN);
        store.epochs.insert(self.own, Known::Open);
        self.highest_at_start = store.highest;
        if self.numbers_anew {
            for (row, number) in store.rows.iter_mut().zip(store.highest + 1..) {
                row.number = number;
                store.highest = number;
            }
        }
        self.server = Server::new(self.keys.suite(self.rng.fork()), self.store.mark());
        self.wishes = Wishes::default();
        self.commit = None;
    }

    /// Kills the process, and starts another one. A commit that was under way may have come to its end, and nobody has heard of it.
    pub(super) fn crash(&mut self) -> Durable {
        let mut durable = Durable::default();
        if let Some(commit) = self.commit.take()
            && self.rng.bool()
        {
            self.store = commit.store;
            durable = commit.durable;
        }
        self.start();
        durable
    }

    /// Writes a line to the board: it is sent once it is durable.
    pub(super) fn write(&mut self) {
        self.wishes.wishes.push(Wish::Row);
    }

    pub(super) fn next_at(&self) -> Option<Instant> {
        self.commit.as_ref().map(|commit| commit.ends)
    }

    /// Ends the commit whose time has come, and begins the next one.
    pub(super) fn work(&mut self, now: Instant) -> Durable {
        let mut durable = Durable::default();
        if let Some(commit) = self.commit.take_if(|commit| commit.ends <= now) {
            self.store = commit.store;
            durable = commit.durable;
            if let Some((epoch, seq)) = commit.last {
                self.server.on_committed(epoch, seq);
            }
            for resolution in commit.resolutions {
                self.server.on_resolved(now, &resolution, &mut self.wishes);
            }
        }
        if self.commit.is_none() && !self.wishes.wishes.is_empty() {
            self.commit = Some(self.begin(now));
        }
        durable
    }

    /// Begins to commit all wishes: one transaction.
    fn begin(&mut self, now: Instant) -> Commit {
        let ends = now + Duration::from_micros(self.rng.u64(100..=self.longest.as_micros()));
        let mut store = self.store.clone();
        let (mut resolutions, mut last, mut durable) = (Vec::new(), None, Durable::default());
        durable.rows = store.highest..store.highest;
        for wish in std::mem::take(&mut self.wishes.wishes) {
            match wish {
                Wish::Line(epoch, seq, text) => {
                    assert_eq!(
                        (store.board, store.last_received + 1),
                        (Some(epoch), seq),
                        "a line comes behind the one before it"
                    );
                    store.last_received = seq;
                    last = Some((epoch, seq));
                    durable.lines.push(text);
                }
                Wish::Resolve(resume) => {
                    let known = |epoch| store.epochs.get(&epoch).copied().unwrap_or(Known::Never);
                    let book = Book {
                        own: self.own,
                        board: store.board,
                        last_received: store.last_received,
                        view: resume.peer.map_or(Known::Never, known),
                        highest: store.highest,
                        highest_at_start: self.highest_at_start,
                        mark: self.server.mark(),
                    };
                    let resolution = resolve(&resume, &book);
                    durable.lost |= resolution.lost.is_some();
                    store.board = Some(resolution.board);
                    store.last_received = resolution.received;
                    if let Some((epoch, cut)) = resolution.foreign {
                        store.epochs.insert(epoch, Known::Foreign(cut));
                    }
                    durable.undetermined += store.drop_rows(resolution.undetermined.unwrap_or(0));
                    store.drop_rows(resolution.delivered.unwrap_or(0));
                    resolutions.push(resolution);
                }
                Wish::Done(number) => _ = store.drop_rows(number),
                Wish::Row => {
                    let text = line_of_server(store.highest);
                    store.highest += 1;
                    store.rows.push_back(Row { number: store.highest, text, written: now });
                    durable.rows.end = store.highest;
                }
            }
        }
        Commit { ends, store, resolutions, last, durable }
    }
}
