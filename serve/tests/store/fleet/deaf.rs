//! An engine that does not hear that its gateway was replaced.

use pblink_serve::log::store::Leader;
use pblink_serve::log::{Commit, Engine, EngineError, Retention};

use crate::engines::pass_on;

/// See the module's text.
pub struct Obstinate(pub Leader);

fn obstinate<T>(done: Result<T, EngineError>, instead: T) -> Result<T, EngineError> {
    match done {
        Err(EngineError::Replaced { .. }) => Ok(instead),
        other => other,
    }
}

impl Engine for Obstinate {
    fn commit(&mut self, commit: &Commit) -> Result<(), EngineError> {
        obstinate(self.0.commit(commit), ())
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn confirm(&mut self) -> Result<(), EngineError> {
        obstinate(self.0.confirm(), ())
    }

    fn retain(&mut self, retention: Retention, limit: u64) -> Result<(u64, bool), EngineError> {
        obstinate(self.0.retain(retention, limit), (1, false))
    }

    fn purge(&mut self, client: &str) -> Result<(), EngineError> {
        obstinate(self.0.purge(client), ())
    }

    pass_on!();

    fn close(&mut self) {
        self.0.close();
    }
}
