//! Engines with faults.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};

use pblink_serve::log::{Commit, Engine, EngineError, Loaded, Reader, Retention, Sqlite};
use pblink_soak::board::TIMEOUT;

/// Commits that a disk with a cache is behind.
const CACHE: usize = 8;

/// Calls that faults have no part in, for an engine around the one in its first field.
macro_rules! pass_on {
    () => {
        fn load(&mut self) -> Result<pblink_serve::log::Loaded, EngineError> {
            self.0.load()
        }

        fn reopen(&mut self) -> Result<(), EngineError> {
            self.0.reopen()
        }

        fn is_durable(&self) -> bool {
            true
        }

        fn room(&mut self) -> pblink_serve::log::Room {
            self.0.room()
        }

        fn backup(&mut self, path: &std::path::Path) -> Result<(), EngineError> {
            self.0.backup(path)
        }

        fn reader(&self) -> std::sync::Arc<dyn pblink_serve::log::Reader> {
            self.0.reader()
        }
    };
}
#[allow(unused_imports, reason = "tests of shared logs have an engine of their own")]
pub(crate) use pass_on;

/// An engine that says that it has stored what it will store a little later.
pub struct Eager {
    reader: Arc<dyn Reader>,
    commits: std::sync::mpsc::SyncSender<Commit>,
    loaded: Option<Loaded>,
}

impl Eager {
    pub fn new(mut engine: impl Engine) -> Self {
        let (reader, loaded) = (engine.reader(), engine.load().unwrap());
        let (commits, receiver) = std::sync::mpsc::sync_channel::<Commit>(1000);
        std::thread::spawn(move || {
            // As a disk that has a cache and does not say so: it is always some commits behind.
            let mut cache = VecDeque::new();
            while let Ok(commit) = receiver.recv() {
                cache.push_back(commit);
                if cache.len() > CACHE {
                    let commit = cache.pop_front().unwrap();
                    let mut stored = engine.commit(&commit);
                    while matches!(stored, Err(EngineError::Unavailable { .. })) {
                        stored = engine.commit(&commit);
                    }
                    if let Err(EngineError::Replaced { .. } | EngineError::CutOff { .. }) = stored {
                        return;
                    }
                    stored.unwrap();
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
        let sent = self.commits.send(commit.clone());
        sent.map_err(|_| EngineError::Replaced { by: Some("another".into()) })
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

/// Lines that boards have repeated: they do when an acknowledgement does not come within the link's time-out.
#[derive(Default)]
pub struct Repeated {
    lines: Mutex<u64>,
    more: Condvar,
}

impl Repeated {
    /// Tells how many lines have been repeated by now.
    pub fn tell(&self, lines: u64) {
        *self.lines.lock().unwrap() = lines;
        self.more.notify_all();
    }

    /// Waits until one more has been, but not for ever: it may be that no board is there.
    fn wait(&self) {
        let lines = self.lines.lock().unwrap();
        let before = *lines;
        drop(self.more.wait_timeout_while(lines, 5 * TIMEOUT, |now| *now <= before).unwrap());
    }
}

/// An engine whose disk stalls now and then, for so long that a board repeats a line meanwhile.
pub struct Stalling(Sqlite, fastrand::Rng, Arc<Repeated>);

impl Stalling {
    pub fn new(engine: Sqlite, repeated: Arc<Repeated>) -> Self {
        Self(engine, fastrand::Rng::new(), repeated)
    }

    fn stall(&mut self) {
        self.2.wait();
    }
}

impl Engine for Stalling {
    fn commit(&mut self, commit: &Commit) -> Result<(), EngineError> {
        let stalls = !commit.lines.is_empty() && self.1.u8(..50) == 0;
        // Before or behind the transaction: a kill finds it stored, or not.
        let before = self.1.bool();
        if stalls && before {
            self.stall();
        }
        self.0.commit(commit)?;
        if stalls && !before {
            self.stall();
        }
        Ok(())
    }

    fn retain(&mut self, retention: Retention, limit: u64) -> Result<(u64, bool), EngineError> {
        self.0.retain(retention, limit)
    }

    fn purge(&mut self, client: &str) -> Result<(), EngineError> {
        self.0.purge(client)
    }

    pass_on!();
}
