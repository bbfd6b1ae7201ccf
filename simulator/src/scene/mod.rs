//! Scenes: worlds that are written down, with their faults and with all that must hold.
//!
//! The form of the files is in the README of this crate. Those in `scenarios/` are [built in](BUILT_IN).

mod built_in;
mod exception;
mod fault;
mod file;
mod run;
mod value;

use pblink_protocol::time::Duration;

pub use built_in::BUILT_IN;
pub use file::SceneError;
pub use run::{Failure, MOST_CASES, Report};

use crate::flaw::Flaw;
use crate::world::WorldOptions;
use exception::Exception;
use fault::SceneFault;

/// A scene.
#[derive(Debug, Clone)]
pub struct Scene {
    name: String,
    protects: String,
    options: WorldOptions,
    seeds: u64,
    /// The time for which programs write.
    length: Duration,
    faults: Vec<SceneFault>,
    allows: Vec<Exception>,
    back: Duration,
    arrive: Duration,
    resets: Option<(u32, u32)>,
    connects: Option<(u32, u32)>,
}

impl Scene {
    /// Reads a scene. `file` is its path, for messages and because it has its name.
    ///
    /// # Errors
    /// A text that is no scene: file, line, key, and what is allowed.
    pub fn parse(file: &str, text: &str) -> Result<Self, SceneError> {
        file::parse(file, text)
    }

    /// Returns the name, which is that of the file.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the sentence that says what is broken if this fails.
    pub fn protects(&self) -> &str {
        &self.protects
    }

    /// Returns the first seed.
    pub fn seed(&self) -> u64 {
        self.options.seed
    }

    /// Runs all cases, up to the first that fails. Stops the process for as long as that takes: minutes for thousands of cases.
    pub fn run(&self) -> Report {
        self.run_telling(|_| {})
    }

    /// Does the same, and shows the sums after each case that has not failed.
    pub fn run_telling(&self, each: impl FnMut(&Report)) -> Report {
        run::run(self, None, each)
    }

    /// Runs all cases with a planted fault, for tests of the scene itself.
    pub fn run_with(&self, flaw: Flaw) -> Report {
        run::run(self, Some(flaw), |_| {})
    }
}
