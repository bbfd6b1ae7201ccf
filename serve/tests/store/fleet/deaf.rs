//! An engine that does not hear that its gateway was replaced.

use std::path::Path;
use std::sync::Arc;

use pblink_serve::log::store::Leader;
use pblink_serve::log::{Commit, Engine, EngineError, Loaded, Reader, Retention, Room};

/// See the module's text.
pub struct Obstinate(pub Leader);

fn obstinate<T>(done: Result<T, EngineError>, instead: T) -> Result<T, EngineError> {
    match done {
        Err(EngineError::Replaced { .. }) => Ok(instead),
        other => other,
    }
}

impl Engine for Obstinate {
    fn load(&mut self) -> Result<Loaded, EngineError> {
        self.0.load()
    }

    fn commit(&mut self, commit: &Commit) -> Result<(), EngineError> {
        obstinate(self.0.commit(commit), ())
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn confirm(&mut self) -> Result<(), EngineError> {
        obstinate(self.0.confirm(), ())
    }

    fn reopen(&mut self) -> Result<(), EngineError> {
        self.0.reopen()
    }

    fn retain(&mut self, retention: Retention, limit: u64) -> Result<(u64, bool), EngineError> {
        obstinate(self.0.retain(retention, limit), (1, false))
    }

    fn purge(&mut self, client: &str) -> Result<(), EngineError> {
        obstinate(self.0.purge(client), ())
    }

    fn is_durable(&self) -> bool {
        true
    }

    fn room(&mut self) -> Room {
        self.0.room()
    }

    fn backup(&mut self, path: &Path) -> Result<(), EngineError> {
        self.0.backup(path)
    }

    fn reader(&self) -> Arc<dyn Reader> {
        self.0.reader()
    }

    fn close(&mut self) {
        self.0.close();
    }
}
