//! An owner that commits: a store of lines, sessions and lines to boards, which outlives the server's process.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use pblink_server::{Batch, Delivery, Server, SessionState, WriteError};
use tokio::task::{JoinError, JoinSet};

use super::stage::{Flaw, Stage};

/// The part of a board's link that is in the store.
#[derive(Debug, Default)]
struct Kept {
    state: Option<Vec<u8>>,
    /// Lines to the board that are not done: the number of the row, and that of the line.
    rows: VecDeque<(u64, u64)>,
    last_row: u64,
}

/// See the module's text.
#[derive(Debug, Default)]
pub struct Store(Mutex<BTreeMap<String, Kept>>);

/// What a commit brings.
struct Commit {
    client: String,
    lines: Vec<String>,
    done: usize,
    undetermined: Option<u64>,
    state: Vec<u8>,
}

impl Commit {
    fn of(batch: &Batch) -> Self {
        let lines = batch.lines().filter(|line| !line.report);
        Self {
            client: batch.client().to_owned(),
            lines: lines.map(|line| line.text.to_owned()).collect(),
            done: batch.done(),
            undetermined: batch.undetermined(),
            state: batch.state().encode(),
        }
    }
}

impl Store {
    fn kept(&self) -> MutexGuard<'_, BTreeMap<String, Kept>> {
        self.0.lock().expect("no panic")
    }

    fn apply(&self, commit: Commit, stage: &Stage) {
        let mut kept = self.kept();
        let kept = kept.entry(commit.client.clone()).or_default();
        if stage.flaw != Some(Flaw::KeepsDone) {
            kept.rows.drain(..commit.done.min(kept.rows.len()));
        }
        if let Some(up_to) = commit.undetermined
            && kept.rows.front().is_some_and(|(row, _)| *row <= up_to)
        {
            stage.fail(format!(
                "lines to {} up to row {up_to} are undetermined; {kept:?}",
                commit.client
            ));
        }
        kept.state = Some(commit.state);
        for line in commit.lines {
            stage.got(&commit.client, &line);
        }
    }

    /// Returns the sessions of a process that begins, and the last row that each of them has.
    pub fn states(&self, stage: &Stage) -> (Vec<(String, SessionState)>, BTreeMap<String, u64>) {
        let mut fed = BTreeMap::new();
        let kept = self.kept();
        let states = kept.iter().map(|(id, kept)| {
            let bytes = kept.state.as_ref().filter(|_| stage.flaw != Some(Flaw::ForgetsWindows));
            let decode = |bytes: &Vec<u8>| SessionState::decode(bytes).expect("as it was written");
            let mut state = bytes.map_or_else(SessionState::default, decode);
            state.set_last_row(kept.last_row);
            for (row, number) in &kept.rows {
                if !state.owe_row(*row, 0, stage.text(*number).into(), Delivery::ORDERED) {
                    break;
                }
                fed.insert(id.clone(), *row);
            }
            (id.clone(), state)
        });
        let states = states.collect();
        (states, fed)
    }

    /// Adds a line to a board.
    fn write(&self, id: &str, number: u64) {
        let mut kept = self.kept();
        let kept = kept.entry(id.to_owned()).or_default();
        kept.last_row += 1;
        kept.rows.push_back((kept.last_row, number));
    }

    /// Returns the oldest row behind this one.
    fn row_after(&self, id: &str, row: u64) -> Option<(u64, u64)> {
        let kept = self.kept();
        kept.get(id)?.rows.iter().find(|(other, _)| *other > row).copied()
    }
}

/// The owner in one process.
pub struct Owner {
    pub server: Server,
    pub store: Arc<Store>,
    pub stage: Arc<Stage>,
    /// The last row that each session has.
    pub fed: Mutex<BTreeMap<String, u64>>,
    /// The process lives.
    pub alive: Arc<AtomicBool>,
}

impl Owner {
    fn is_alive(&self) -> bool {
        self.alive.load(Ordering::Relaxed)
    }

    /// Hands the server what it has room for.
    fn feed(&self, id: &str) {
        let Some(link) = self.server.link(id) else { return };
        let mut fed = self.fed.lock().expect("no panic");
        let last = fed.entry(id.to_owned()).or_default();
        while let Some((row, number)) = self.store.row_after(id, *last) {
            match link.post_row(row, &self.stage.text(number), Delivery::ORDERED) {
                Ok(()) => *last = row,
                Err(WriteError::Full | WriteError::Closed) => return,
                Err(error) => return self.stage.fail(format!("row {row}: {error}")),
            }
        }
    }

    /// Commits what comes until the server is over: one commit of a board at a time, in any order between boards.
    pub async fn commit(self: Arc<Self>) {
        // They die with this task.
        let mut commits = JoinSet::new();
        while let Ok(batch) = self.server.next_batch().await {
            commits.spawn(Arc::clone(&self).commit_one(batch));
            while let Some(ended) = commits.try_join_next() {
                self.check(ended);
            }
        }
        while let Some(ended) = commits.join_next().await {
            self.check(ended);
        }
    }

    fn check(&self, ended: Result<(), JoinError>) {
        if ended.is_err() {
            self.stage.fail("a commit has panicked");
        }
    }

    async fn commit_one(self: Arc<Self>, batch: Batch) {
        let commit = Commit::of(&batch);
        let client = commit.client.clone();
        let mut batch = Some(batch);
        if self.stage.flaw == Some(Flaw::AcknowledgesFirst) {
            let _ = batch.take().map(Batch::accept);
        }
        let longest = self.stage.lock().commit;
        self.stage.linger(longest).await;
        self.stage.wait(|stage| stage.stalled_until).await;
        if !self.is_alive() {
            return;
        }
        self.store.apply(commit, &self.stage);
        if self.stage.lock().rng.bool() {
            self.stage.linger(5_000).await;
        }
        // It may die between the commit and the acknowledgement.
        if self.is_alive() {
            let _ = batch.map(Batch::accept);
            self.feed(&client);
        }
    }

    /// Writes lines to all boards.
    pub async fn write(self: Arc<Self>) {
        while self.is_alive() {
            let ids: Vec<String> = self.stage.accounts.keys().cloned().collect();
            for id in ids {
                if let Some(number) = self.stage.next_number(&id) {
                    self.store.write(&id, number);
                }
                self.feed(&id);
            }
            self.stage.pass(self.stage.every).await;
        }
    }
}
