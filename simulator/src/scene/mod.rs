//! Scenes: worlds that are written down, with their faults and with all that must hold.
//!
//! The form of the files is in the README of this crate. Those in `scenarios/` are [built in](BUILT_IN).

mod built_in;
mod demand;
mod exception;
mod fault;
mod file;
mod link;
mod minimise;
mod random;
mod run;
mod text;
mod value;

use pblink_protocol::time::Duration;

pub use built_in::BUILT_IN;
pub use demand::Demand;
pub use file::SceneError;
pub use link::Link;
pub use minimise::{Minimised, Progress};
pub use random::{Chances, LEAST, MOST};
pub use run::{Failure, MOST_CASES, Report};

use crate::flaw::Flaw;
use crate::world::WorldOptions;
use exception::Exception;
use fault::{Kind, SceneFault};

/// The usual time within which lines pass again, and all have arrived.
const PATIENCE: Duration = Duration::from_secs(120);

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
    outages: Option<(u32, u32)>,
    /// Boards that must not notice anything.
    undisturbed: Vec<usize>,
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

    /// Returns true if an exception exists on the link of the scene, and one of its faults can be the cause.
    fn may_allow(&self, exception: Exception) -> bool {
        let exists = self.options.keys.is_none() || exception.is_possible_with_keys();
        exists && self.faults.iter().any(|fault| exception.is_caused_by(fault.kind))
    }

    /// Returns the number of times at which a commit of the server may take a time-out or longer: while it is frozen, or always.
    fn stalls(&self) -> u64 {
        let WorldOptions { server_commits, timeout, .. } = self.options;
        let Some(commit) = server_commits else { return 0 };
        if commit >= timeout {
            return u64::MAX;
        }
        let stall = |fault: &&SceneFault| {
            fault.kind == Kind::ServerStall && fault.length + commit >= timeout
        };
        self.faults.iter().filter(stall).count() as u64
    }

    /// Takes out exceptions that none of its faults can cause.
    fn forbid_the_impossible(&mut self) {
        let allows = std::mem::take(&mut self.allows);
        self.allows = allows.into_iter().filter(|exception| self.may_allow(*exception)).collect();
    }

    /// Gives the scene another name, that of the file that it is to be written into.
    #[must_use]
    pub fn named(self, name: &str) -> Self {
        Self { name: name.to_owned(), ..self }
    }

    /// Returns the sentence that says what is broken if this fails.
    pub fn protects(&self) -> &str {
        &self.protects
    }

    /// Returns the number of faults.
    pub fn faults(&self) -> usize {
        self.faults.len()
    }

    /// Returns the time for which programs write.
    pub fn length(&self) -> Duration {
        self.length
    }

    /// Returns the first seed.
    pub fn seed(&self) -> u64 {
        self.options.seed
    }

    /// Runs all cases, up to the first that fails. Stops the process for as long as that takes: minutes for thousands of cases.
    pub fn run(&self) -> Report {
        self.run_telling(None, |_| {})
    }

    /// Does the same, with a planted fault or without, and shows the sums after each case that has not failed.
    pub fn run_telling(&self, flaw: Option<Flaw>, each: impl FnMut(&Report)) -> Report {
        run::run(self, flaw, each)
    }

    /// Runs all cases with a planted fault, for tests of the scene itself.
    pub fn run_with(&self, flaw: Flaw) -> Report {
        run::run(self, Some(flaw), |_| {})
    }

    /// Makes a scene whose surroundings and faults follow from a seed.
    pub fn random(name: &str, chances: &Chances) -> Self {
        random::scene(name, chances)
    }

    /// Takes out of a scene that fails all that it needs not to fail in the same way. `goes_on` is shown how far it is, after each run;
    /// false ends it with the best so far. `None`: the scene does not fail.
    pub fn minimise(
        &self,
        flaw: Option<Flaw>,
        goes_on: impl FnMut(&Progress) -> bool,
    ) -> Option<Minimised> {
        minimise::minimise(self, flaw, goes_on)
    }

    /// Writes the scene as a file, with these lines of comment at its head.
    pub fn to_toml(&self, comment: &str) -> String {
        text::write(self, comment)
    }
}
