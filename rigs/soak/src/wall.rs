//! Wall clocks of processes that are set while these run, for tests.

use pblink_endurance::wall;

pub use pblink_endurance::wall::NAME;

/// The clocks of some processes.
#[derive(Debug)]
pub struct Walls {
    walls: wall::Walls,
    _folder: tempfile::TempDir,
}

impl Walls {
    /// Returns clocks that are right for now. `None`: the library is not there, which is said.
    ///
    /// # Panics
    /// If it is not there in CI.
    pub fn new(names: &[&str]) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let Some(walls) = wall::Walls::find(folder.path(), names).expect("files") else {
            let ci = std::env::var_os("CI").is_some_and(|ci| !ci.is_empty());
            assert!(!ci, "missing: libfaketime; rigs/install.sh installs it");
            eprintln!("SKIPPED, this test needs libfaketime: rigs/install.sh installs it");
            return None;
        };
        Some(Self { walls, _folder: folder })
    }

    /// Returns the variables with which a process has one of these clocks.
    pub fn variables(&self) -> [(&'static str, String); 5] {
        self.walls.variables()
    }

    /// Sets a clock: `+1h`, `-1h`, `+10y` from the right time.
    ///
    /// # Panics
    /// If the system cannot write.
    pub fn set(&self, name: &str, difference: &str) {
        self.walls.set(name, difference).expect("a file");
    }
}
