//! The store of a server, and a process that works with it: what is not committed dies with it.

use std::collections::{HashMap, VecDeque};

use pblink_protocol::secure::frame::{Epoch, Resume};
use pblink_protocol::secure::server::{
    Book, Desk, Known, Received, Resolution, Server, ServerEvent, resolve,
};
use pblink_protocol::secure::{Lines, Outgoing};
use pblink_protocol::time::Instant;

use crate::Rules;
use crate::rng::Rng;
use crate::suite::OfServer;

/// Lines of the outbox among which a process sends. Fewer than in real life, so that it matters.
pub const AHEAD: usize = 16;

/// The part of a server that survives its process.
#[derive(Debug, Clone, Default)]
pub struct Store {
    pub rows: Vec<Row>,
    /// The highest number that was ever given.
    pub highest: u64,
    pub epochs: HashMap<Epoch, Known>,
    pub board: Option<Epoch>,
    pub last_received: u64,
    pub log: Vec<u64>,
    /// Lines to the board of which the application was told that nobody knows.
    pub undetermined: Vec<u64>,
    /// Lines from the board of which it was told that they are gone.
    pub lost: Vec<(Epoch, u64, u64)>,
    /// Lines that came where they should not.
    pub wrong: Vec<String>,
}

/// A line to the board.
#[derive(Debug, Clone)]
pub struct Row {
    pub number: u64,
    pub value: u64,
    pub text: String,
    pub written: Instant,
}

impl Store {
    pub fn write(&mut self, now: Instant, value: u64, text: String) {
        self.highest += 1;
        self.rows.push(Row { number: self.highest, value, text, written: now });
    }

    pub fn undetermine(&mut self, up_to: u64) {
        let gone = self.rows.extract_if(.., |row| row.number <= up_to);
        self.undetermined.extend(gone.map(|row| row.value));
    }

    fn mark(&self) -> u64 {
        match (self.board, self.rows.iter().take(AHEAD).next_back()) {
            (Some(_), Some(row)) => row.number,
            _ => 0,
        }
    }

    fn apply(&mut self, resolution: &Resolution) {
        if let Some((from, to)) = resolution.lost {
            self.lost.push((resolution.board, from, to));
        }
        self.board = Some(resolution.board);
        self.last_received = resolution.received;
        if let Some((epoch, cut)) = resolution.foreign {
            self.epochs.insert(epoch, Known::Foreign(cut));
        }
        self.undetermine(resolution.undetermined.unwrap_or(0));
        self.deliver_up_to(resolution.delivered.unwrap_or(0));
    }

    fn deliver_up_to(&mut self, number: u64) {
        self.rows.retain(|row| row.number > number);
    }
}

impl Lines for Store {
    fn after(&self, after: u64) -> Option<Outgoing<'_>> {
        let rows = &self.rows[..self.rows.len().min(AHEAD)];
        let at = rows.iter().position(|row| row.number > after)?;
        let prev = at.checked_sub(1).map_or(0, |at| rows[at].number);
        let Row { number, text, written, .. } = &rows[at];
        Some(Outgoing { seq: *number, prev, text: text.as_bytes(), written: *written })
    }
}

/// A change that a process wants to be committed.
#[derive(Debug, Clone)]
enum Wish {
    Line(Epoch, u64, u64),
    Resolve(Resume),
    Done(u64),
}

/// The desk of a process.
#[derive(Debug, Default)]
pub struct Wishes(VecDeque<Wish>);

impl Desk for Wishes {
    fn deliver(&mut self, line: Received<'_>) -> bool {
        let value = line.text.split(' ').next().and_then(|value| value.parse().ok());
        self.0.push_back(Wish::Line(
            line.epoch,
            line.seq,
            value.expect("the text that was written"),
        ));
        true
    }

    fn resolve(&mut self, resume: Resume) {
        self.0.push_back(Wish::Resolve(resume));
    }

    fn done(&mut self, number: u64) {
        self.0.push_back(Wish::Done(number));
    }

    fn datagram(&mut self, _text: &str) {}

    fn board_event(&mut self, _kind: u8, _bytes: &[u8]) {}

    fn event(&mut self, _event: ServerEvent) {}
}

/// A server's process.
pub struct Process {
    pub server: Server<OfServer>,
    pub wishes: Wishes,
    own: Epoch,
    highest_at_start: u64,
    commit_at: Instant,
    rules: Rules,
}

impl Process {
    pub fn start(store: &mut Store, mut random: Rng, now: Instant, rules: Rules) -> Self {
        let own = Epoch::new(random.next() | 1).expect("not 0");
        for known in store.epochs.values_mut().filter(|known| **known == Known::Open) {
            *known = Known::Closed(store.highest);
        }
        store.epochs.insert(own, Known::Open);
        let mark = if rules.forgets_mark { 0 } else { store.mark() };
        Self {
            server: Server::new(OfServer(random), mark),
            wishes: Wishes::default(),
            own,
            highest_at_start: store.highest,
            commit_at: now,
            rules,
        }
    }

    fn resolve(&self, store: &Store, resume: &Resume) -> Resolution {
        let known = |epoch| match store.epochs.get(&epoch) {
            Some(known) => *known,
            None if self.rules.knows_all_epochs => Known::Closed(u64::MAX),
            None => Known::Never,
        };
        resolve(
            resume,
            &Book {
                own: self.own,
                board: store.board,
                last_received: store.last_received,
                view: resume.peer.map_or(Known::Never, known),
                highest: store.highest,
                highest_at_start: self.highest_at_start,
                mark: self.server.mark(),
            },
        )
    }

    /// Breaks the rules that are to be broken.
    pub fn after_a_line(&mut self, now: Instant, store: &Store) {
        for wish in self.wishes.0.clone() {
            match wish {
                Wish::Line(epoch, seq, _) if self.rules.acknowledges_early => {
                    self.server.on_committed(epoch, seq);
                }
                Wish::Resolve(resume) if self.rules.answers_early => {
                    let resolution = self.resolve(store, &resume);
                    self.server.on_resolved(now, &resolution, &mut self.wishes);
                }
                _ => {}
            }
        }
    }

    /// Commits what is wished, all of it or nothing.
    pub fn commit(&mut self, store: &mut Store, now: Instant, random: &mut Rng) {
        if now < self.commit_at {
            return;
        }
        self.commit_at = now + crate::ticks(random.one_of(&[1, 2, 10]));
        let mut resolved = Vec::new();
        let mut committed = None;
        for wish in std::mem::take(&mut self.wishes.0) {
            match wish {
                Wish::Line(epoch, seq, value) => {
                    if (store.board, store.last_received + 1) != (Some(epoch), seq) {
                        let of = store.last_received;
                        store.wrong.push(format!("line {seq} was committed behind line {of}"));
                    }
                    store.log.push(value);
                    store.last_received = seq;
                    committed = Some((epoch, seq));
                }
                Wish::Resolve(resume) => {
                    let resolution = self.resolve(store, &resume);
                    store.apply(&resolution);
                    resolved.push(resolution);
                }
                Wish::Done(number) => store.deliver_up_to(number),
            }
        }
        if let Some((epoch, seq)) = committed {
            self.server.on_committed(epoch, seq);
        }
        for resolution in resolved {
            self.server.on_resolved(now, &resolution, &mut self.wishes);
        }
    }
}
