//! An engine that keeps what it was given beyond a server's end, and fails when it is told to.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};

use pblink_serve::log::{Commit, Engine, EngineError, Loaded, Memory, Reader, Retention, Room};

/// Fault of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The disk is full: nothing is stored.
    Full,
    /// It fails, and nothing is stored.
    Before,
    /// It fails after all is stored.
    After,
}

#[derive(Debug, Default)]
struct Control {
    /// Faults of the next commits with lines or rows, in order.
    faults: VecDeque<Fault>,
    /// Every commit with lines or rows fails so.
    always: Option<Fault>,
    /// Commits have to wait.
    stalled: bool,
    /// Commits that wait.
    waiting: usize,
    commits: usize,
    most_cursors: usize,
    reopened: usize,
    short: bool,
    /// There is no room for anything at all.
    crammed: bool,
}

/// See the module's text. Clones are the same store.
#[derive(Debug, Clone)]
pub struct Disk {
    memory: Memory,
    control: Arc<(Mutex<Control>, Condvar)>,
}

impl Disk {
    pub fn new() -> Self {
        Self { memory: Memory::new("test"), control: Arc::default() }
    }

    fn change<R>(&self, f: impl FnOnce(&mut Control) -> R) -> R {
        let result = f(&mut self.control.0.lock().unwrap());
        self.control.1.notify_all();
        result
    }

    pub fn fail(&self, faults: impl IntoIterator<Item = Fault>) {
        self.change(|control| control.faults.extend(faults));
    }

    pub fn always(&self, fault: Option<Fault>) {
        self.change(|control| control.always = fault);
    }

    /// Lets commits wait, or go on.
    pub fn stall(&self, stalled: bool) {
        self.change(|control| control.stalled = stalled);
    }

    pub fn set_short(&self, short: bool) {
        self.change(|control| control.short = short);
    }

    /// Lets every commit fail for want of room, whatever is in it; or no longer.
    pub fn cram(&self, crammed: bool) {
        self.change(|control| control.crammed = crammed);
    }

    /// Waits until a commit waits.
    pub fn wait_stalled(&self) {
        let (mutex, changed) = &*self.control;
        let control = mutex.lock().unwrap();
        drop(changed.wait_while(control, |control| control.waiting == 0).unwrap());
    }

    pub fn reopened(&self) -> usize {
        self.change(|control| control.reopened)
    }

    /// Returns the most cursors that a commit had.
    pub fn most_cursors(&self) -> usize {
        self.change(|control| control.most_cursors)
    }

    /// Returns what a process that starts now finds.
    pub fn contents(&self) -> Loaded {
        self.memory.clone().load().unwrap()
    }

    /// Returns all lines: offset, client, epoch, place, text.
    pub fn lines(&self) -> Vec<(u64, String, u64, u64, String)> {
        let (lines, _) = Reader::lines(&self.memory, 0, usize::MAX, usize::MAX, None).unwrap();
        let line = |line: pblink_serve::log::Line| {
            (line.offset, line.client.to_string(), line.epoch, line.seq, line.text.to_string())
        };
        lines.into_iter().map(line).collect()
    }

    /// Makes this store what `found` says, with the lines of `from` that it knows.
    pub fn restore(&self, found: &Loaded, from: &Self) {
        let (mut lines, _) = Reader::lines(&from.memory, 0, usize::MAX, usize::MAX, None).unwrap();
        lines.retain(|line| line.offset < found.next);
        let commit = Commit {
            lines,
            sessions: found.sessions.clone(),
            outbox: found.outbox.clone(),
            keys: found.keys.clone(),
            cursors: found.cursors.clone(),
            ..Commit::default()
        };
        self.memory.clone().commit(&commit).unwrap();
    }

    pub fn texts(&self) -> Vec<String> {
        self.lines().into_iter().map(|line| line.4).collect()
    }
}

impl Engine for Disk {
    fn load(&mut self) -> Result<Loaded, EngineError> {
        self.memory.load()
    }

    fn commit(&mut self, commit: &Commit) -> Result<(), EngineError> {
        let fault = {
            let (mutex, changed) = &*self.control;
            let mut control = mutex.lock().unwrap();
            control.waiting += 1;
            changed.notify_all();
            let mut control = changed.wait_while(control, |control| control.stalled).unwrap();
            control.waiting -= 1;
            control.commits += 1;
            control.most_cursors = control.most_cursors.max(commit.cursors.len());
            match commit.lines.is_empty() && commit.outbox.is_empty() {
                _ if control.crammed => Some(Fault::Full),
                true => None,
                false => control.faults.pop_front().or(control.always),
            }
        };
        let io = || EngineError::Io { path: "disk".into(), why: "input/output error".into() };
        match fault {
            None => self.memory.commit(commit),
            Some(Fault::Full) => Err(EngineError::Full),
            Some(Fault::Before) => Err(io()),
            Some(Fault::After) => {
                self.memory.commit(commit)?;
                Err(io())
            }
        }
    }

    fn reopen(&mut self) -> Result<(), EngineError> {
        self.change(|control| control.reopened += 1);
        Ok(())
    }

    fn retain(&mut self, retention: Retention, limit: u64) -> Result<(u64, bool), EngineError> {
        self.memory.retain(retention, limit)
    }

    fn purge(&mut self, client: &str) -> Result<(), EngineError> {
        self.memory.purge(client)
    }

    fn is_durable(&self) -> bool {
        true
    }

    fn room(&mut self) -> Room {
        match self.change(|control| control.short) {
            true => Room::Short { free: 1_000_000, wanted: 64_000_000 },
            false => Room::Enough,
        }
    }

    fn backup(&mut self, path: &Path) -> Result<(), EngineError> {
        self.memory.backup(path)
    }

    fn reader(&self) -> Arc<dyn Reader> {
        self.memory.reader()
    }
}
