//! The part of a run that the tasks of its application share with the world.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard};

use fastrand::Rng;
use pblink_protocol::time::{Duration, Instant};
use pblink_simulator::sequence_of;

use super::board::Shared;
use super::net::Net;

/// A fault that is planted in the application, or in the use that it makes of the server. A run has to find it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// Lines are acknowledged before they are committed.
    AcknowledgesFirst,
    /// Sessions go on without what they have received.
    ForgetsWindows,
    /// Lines to a board stay in the store although they are done.
    KeepsDone,
    /// A stop in order gives the sessions away.
    DropsSessions,
}

/// Lines to a board that are not there yet, at most: a link may be slower than its writer.
const BACKLOG: u64 = 30;

/// See the module's text.
pub struct Stage {
    pub net: Net,
    pub accounts: BTreeMap<String, Shared>,
    /// Time between two lines to each board.
    pub every: Duration,
    /// Bytes of text in each of them.
    pub padding: usize,
    pub flaw: Option<Flaw>,
    inner: Mutex<Inner>,
}

/// The part of it that changes.
pub struct Inner {
    pub rng: Rng,
    /// The application writes lines.
    pub writes: bool,
    /// It takes none until then.
    pub deaf_until: Instant,
    /// No commit ends before that.
    pub stalled_until: Instant,
    /// The longest time of a commit, in microseconds.
    pub commit: u64,
    /// Lines whose writing has failed, by board: the next server gets them.
    pub again: BTreeMap<String, VecDeque<u64>>,
    pub numbers: BTreeMap<String, u64>,
    /// Faults so far.
    pub faults: Vec<String>,
    /// Things that must not be.
    pub failures: Vec<String>,
    /// Events of servers, and those of them that their reader has missed.
    pub events: (u64, u64),
}

impl Stage {
    pub fn new(
        net: Net,
        accounts: BTreeMap<String, Shared>,
        (every, padding): (Duration, usize),
        flaw: Option<Flaw>,
        commit: u64,
        rng: Rng,
    ) -> Self {
        let inner = Inner {
            rng,
            writes: true,
            deaf_until: Instant::ZERO,
            stalled_until: Instant::ZERO,
            commit,
            again: BTreeMap::new(),
            numbers: BTreeMap::new(),
            faults: Vec::new(),
            failures: Vec::new(),
            events: (0, 0),
        };
        Self { net, accounts, every, padding, flaw, inner: Mutex::new(inner) }
    }

    pub fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("no panic")
    }

    pub fn fail(&self, what: impl Into<String>) {
        self.lock().failures.push(what.into());
    }

    /// Returns the text of a line to a board.
    pub fn text(&self, number: u64) -> String {
        format!("[{number}, 0, \"{}\"]", "y".repeat(self.padding))
    }

    /// Takes the number of the next line to this board, if one is to be written.
    pub fn next_number(&self, id: &str) -> Option<u64> {
        let mut inner = self.lock();
        if let Some(number) = inner.again.get_mut(id).and_then(VecDeque::pop_front) {
            return Some(number);
        }
        let mut accounts = self.accounts[id].lock().expect("no panic");
        if !inner.writes || accounts.inward.totals().missing >= BACKLOG {
            return None;
        }
        let next = inner.numbers.entry(id.to_owned()).or_default();
        let number = *next;
        *next += 1;
        accounts.inward.wrote(number);
        Some(number)
    }

    /// Notes a line of a board that is where it cannot be lost.
    pub fn got(&self, id: &str, text: &str) {
        let Some(accounts) = self.accounts.get(id) else { return };
        let mut accounts = accounts.lock().expect("no panic");
        match sequence_of(text) {
            Some(number) => accounts.outward.got(number),
            None => accounts.outward.got_unknown(),
        }
    }

    /// Waits until `until` says that the time has come, which may move meanwhile.
    pub async fn wait(&self, until: impl Fn(&Inner) -> Instant) {
        loop {
            let at = until(&self.lock());
            if self.net.server_time() >= at {
                return;
            }
            tokio::time::sleep_until(self.net.at(at)).await;
        }
    }

    /// Lets simulated time pass.
    pub async fn pass(&self, time: Duration) {
        let at = self.net.server_time() + time;
        tokio::time::sleep_until(self.net.at(at)).await;
    }

    /// Lets up to `most` microseconds of simulated time pass.
    pub async fn linger(&self, most: u64) {
        let pause = self.lock().rng.u64(0..=most);
        self.pass(Duration::from_micros(pause)).await;
    }
}
