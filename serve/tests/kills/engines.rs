//! Engines with faults.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;

use pblink_serve::log::{Commit, Engine, EngineError, Loaded, Reader, Retention, Sqlite};

/// Commits that a disk with a cache is behind.
const CACHE: usize = 8;

/// An engine that says that it has stored what it will store a little later.
pub struct Eager {
    reader: Arc<dyn Reader>,
    commits: std::sync::mpsc::SyncSender<Commit>,
    loaded: Option<Loaded>,
}

impl Eager {
    pub fn new(mut engine: Sqlite) -> Self {
        let (reader, loaded) = (engine.reader(), engine.load().unwrap());
        let (commits, receiver) = std::sync::mpsc::sync_channel::<Commit>(1000);
        std::thread::spawn(move || {
            // As a disk that has a cache and does not say so: it is always some commits behind.
            let mut cache = VecDeque::new();
            while let Ok(commit) = receiver.recv() {
                cache.push_back(commit);
                if cache.len() > CACHE {
                    engine.commit(&cache.pop_front().unwrap()).unwrap();
                }
            }
        });
        Self { reader, commits, loaded: Some(loaded) }
    }
}

impl Engine for Eager {
    fn load(&mut self) -> Result<Loaded, EngineError> {
        Ok(self.loaded.take().unwrap())
    }

    fn commit(&mut self, commit: &Commit) -> Result<(), EngineError> {
        self.commits.send(commit.clone()).unwrap();
        Ok(())
    }

    fn reopen(&mut self) -> Result<(), EngineError> {
        Ok(())
    }

    fn retain(&mut self, _: Retention, _: u64) -> Result<(u64, bool), EngineError> {
        Ok((1, false))
    }

    fn purge(&mut self, _: &str) -> Result<(), EngineError> {
        Ok(())
    }

    fn is_durable(&self) -> bool {
        true
    }

    fn backup(&mut self, _: &Path) -> Result<(), EngineError> {
        Ok(())
    }

    fn reader(&self) -> Arc<dyn Reader> {
        Arc::clone(&self.reader)
    }
}
