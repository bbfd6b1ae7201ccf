//! The owner of a server's end: a store, and a process that works with it. What is not committed dies with the process.

use pblink_protocol::secure::frame::{Epoch, Resume};
use pblink_protocol::secure::server::{
    Book, Desk, Known, Received, Resolution, Server, ServerEvent, resolve,
};
use pblink_protocol::secure::{Lines, Outgoing};
use pblink_protocol::time::Instant;

use super::keys::{File, OfServer, Shared};
use super::rules::Rules;
use crate::rng::Rng;

/// Lines of the outbox among which a process sends: fewer than in real life, so that it matters.
const AHEAD: usize = 2;

/// A line to the board.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Row {
    /// Its number.
    pub number: u64,
    /// Its text: the board's application knows it by that.
    pub text: String,
}

/// The part of a server that survives its process.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Store {
    /// The outbox.
    pub rows: Vec<Row>,
    /// The highest number that was ever given.
    pub highest: u64,
    epochs: Vec<(Epoch, Known)>,
    /// The epoch of the board, and its last line that is here.
    board: Option<(Epoch, u64)>,
    /// Lines of boards.
    pub log: Vec<String>,
    /// Lines to the board of which the application was told that nobody knows.
    pub undetermined: Vec<String>,
    /// Lines of a board, from and to, of which it was told that they are gone.
    pub lost: Vec<(Epoch, u64, u64)>,
    /// A line was committed behind another than the one before it.
    pub gap: bool,
}

impl Store {
    /// Puts a line into the outbox.
    pub fn write(&mut self, text: String) {
        self.highest += 1;
        self.rows.push(Row { number: self.highest, text });
    }

    /// Takes lines out of the outbox of which nobody knows whether they have arrived.
    pub fn undetermine(&mut self, up_to: u64) {
        let gone = self.rows.extract_if(.., |row| row.number <= up_to);
        self.undetermined.extend(gone.map(|row| row.text));
    }

    fn deliver_up_to(&mut self, number: u64) {
        self.rows.retain(|row| row.number > number);
    }

    fn know(&mut self, epoch: Epoch, known: Known) {
        self.epochs.retain(|(other, _)| *other != epoch);
        self.epochs.push((epoch, known));
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
        self.board = Some((resolution.board, resolution.received));
        if let Some((epoch, cut)) = resolution.foreign {
            self.know(epoch, Known::Foreign(cut));
        }
        self.undetermine(resolution.undetermined.unwrap_or(0));
        self.deliver_up_to(resolution.delivered.unwrap_or(0));
    }
}

impl Lines for Store {
    fn after(&self, after: u64) -> Option<Outgoing<'_>> {
        let rows = &self.rows[..self.rows.len().min(AHEAD)];
        let at = rows.iter().position(|row| row.number > after)?;
        let prev = at.checked_sub(1).map_or(0, |at| rows[at].number);
        let Row { number, text } = &rows[at];
        Some(Outgoing { seq: *number, prev, text: text.as_bytes(), written: Instant::ZERO })
    }
}

/// A change that a process wants to be committed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Wish {
    Line(Epoch, u64, String),
    Resolve(Resume),
    Done(u64),
}

/// The desk of a process.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Wishes {
    commits: Vec<Wish>,
    /// The generation of the keys that the board has proven.
    proven: Option<u32>,
}

impl Desk for Wishes {
    fn deliver(&mut self, line: Received<'_>) -> bool {
        self.commits.push(Wish::Line(line.epoch, line.seq, line.text.to_owned()));
        true
    }

    fn resolve(&mut self, resume: Resume) {
        self.commits.push(Wish::Resolve(resume));
    }

    fn done(&mut self, number: u64) {
        if !self.commits.contains(&Wish::Done(number)) {
            self.commits.push(Wish::Done(number));
        }
    }

    fn datagram(&mut self, _: &str) {}

    fn board_event(&mut self, _: u8, _: &[u8]) {}

    fn event(&mut self, event: ServerEvent) {
        if let ServerEvent::Proven(generation) = event {
            self.proven = Some(generation);
        }
    }
}

/// A server's process.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Process {
    /// The machine.
    pub server: Server<OfServer>,
    /// The changes that it wants to be committed.
    pub wishes: Wishes,
    own: Epoch,
    highest_at_start: u64,
}

impl Process {
    /// Starts one. `life` tells it from all others.
    pub fn start(store: &mut Store, file: &File, life: u64, rules: Rules) -> Self {
        let mut random = Rng(life);
        let own = Epoch::new(random.next() | 1).unwrap_or(Epoch::MIN);
        let highest = store.highest;
        for (_, known) in store.epochs.iter_mut().filter(|(_, known)| *known == Known::Open) {
            *known = Known::Closed(highest);
        }
        store.know(own, Known::Open);
        let mark = if rules.forgets_mark { 0 } else { store.mark() };
        Self {
            server: Server::new(OfServer::new(random, file.clone(), rules), mark),
            wishes: Wishes::default(),
            own,
            highest_at_start: highest,
        }
    }

    /// Returns the file of keys as it was read.
    pub fn file(&self) -> &File {
        self.server.suite().file()
    }

    /// Returns the key that the board has proven.
    pub fn proven(&self) -> Option<Shared> {
        self.file().of(self.wishes.proven?)
    }

    /// Reads the file of keys again.
    pub fn read(&mut self, file: &File) {
        let new = self.server.suite().with(file.clone());
        let old = self.file().clone();
        let stays = |generation| old.of(generation) == file.of(generation);
        self.wishes.proven = self.wishes.proven.filter(|&generation| stays(generation));
        self.server.set_suite(new, stays, &mut self.wishes);
    }

    /// Returns true if there is something to be committed.
    pub fn wishes(&self) -> bool {
        !self.wishes.commits.is_empty()
    }

    fn resolve(&self, store: &Store, resume: &Resume, rules: Rules) -> Resolution {
        let known = |epoch| match store.epochs.iter().find(|(other, _)| *other == epoch) {
            Some((_, Known::Closed(_))) if rules.knows_all_epochs => Known::Closed(u64::MAX),
            Some((_, known)) => *known,
            None if rules.knows_all_epochs => Known::Closed(u64::MAX),
            None => Known::Never,
        };
        let board = store.board.map(|(epoch, _)| epoch);
        resolve(
            resume,
            &Book {
                own: self.own,
                board: if rules.checks_no_board && board.is_some() {
                    Some(resume.epoch)
                } else {
                    board
                },
                last_received: store.board.map_or(0, |(_, last)| last),
                view: resume.peer.map_or(Known::Never, known),
                highest: store.highest,
                highest_at_start: self.highest_at_start,
                mark: self.server.mark(),
            },
        )
    }

    /// Breaks the rules that are to be broken when a line has come.
    pub fn break_rules(&mut self, now: Instant, store: &Store, rules: Rules) {
        for wish in self.wishes.commits.clone() {
            match wish {
                Wish::Line(epoch, seq, _) if rules.acknowledges_early => {
                    self.server.on_committed(epoch, seq);
                }
                Wish::Resolve(resume) if rules.answers_early => {
                    let resolution = self.resolve(store, &resume, rules);
                    self.server.on_resolved(now, &resolution, &mut self.wishes);
                }
                _ => {}
            }
        }
    }

    /// Commits the next change.
    pub fn commit(&mut self, now: Instant, store: &mut Store, rules: Rules) {
        if !self.wishes() {
            return;
        }
        match self.wishes.commits.remove(0) {
            Wish::Line(epoch, seq, text) => {
                let follows = store.board == Some((epoch, seq - 1));
                store.gap |= !follows;
                store.board = Some((epoch, seq));
                store.log.push(text);
                self.server.on_committed(epoch, seq);
            }
            Wish::Resolve(resume) => {
                let resolution = self.resolve(store, &resume, rules);
                store.apply(&resolution);
                self.server.on_resolved(now, &resolution, &mut self.wishes);
            }
            Wish::Done(number) => store.deliver_up_to(number),
        }
    }
}
