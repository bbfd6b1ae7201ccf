//! Wall clocks of processes that are set while these run, by libfaketime. Clocks that only pass go on as they do: no Linux sets
//! those.

use std::path::PathBuf;

/// Folders in which Debian has the library for programs with threads.
const LIBRARIES: [&str; 2] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
];

/// Stands for the name of a process in the variables that all of them are started with.
pub const NAME: &str = "{name}";

/// The clocks of some processes.
#[derive(Debug)]
pub struct Walls {
    library: &'static str,
    folder: tempfile::TempDir,
}

impl Walls {
    /// Returns clocks that are right for now. `None`: the library is not there, which is said.
    ///
    /// # Panics
    /// If it is not there in CI.
    pub fn new(names: &[&str]) -> Option<Self> {
        let library = LIBRARIES.into_iter().find(|path| PathBuf::from(path).exists());
        let Some(library) = library else {
            let ci = std::env::var_os("CI").is_some_and(|ci| !ci.is_empty());
            assert!(!ci, "missing: libfaketime; rigs/install.sh installs it");
            eprintln!("SKIPPED, this test needs libfaketime: rigs/install.sh installs it");
            return None;
        };
        let walls = Self { library, folder: tempfile::tempdir().expect("a folder") };
        names.iter().for_each(|name| walls.set(name, "+0"));
        Some(walls)
    }

    /// Returns the variables with which a process has one of these clocks: the one with the name that is put in place of
    /// [`NAME`].
    pub fn variables(&self) -> [(&'static str, String); 5] {
        [
            ("LD_PRELOAD", self.library.to_owned()),
            ("FAKETIME_TIMESTAMP_FILE", self.folder.path().join(NAME).display().to_string()),
            // It is read each time, and the times of files are those of the system.
            ("FAKETIME_NO_CACHE", "1".to_owned()),
            ("NO_FAKE_STAT", "1".to_owned()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ]
    }

    /// Sets a clock: `+1h`, `-1h`, `+10y` from the right time.
    ///
    /// # Panics
    /// If the system cannot write.
    pub fn set(&self, name: &str, difference: &str) {
        let (new, path) = (self.folder.path().join("new"), self.folder.path().join(name));
        std::fs::write(&new, difference).expect("a file");
        // Nobody reads half of it.
        std::fs::rename(new, path).expect("a file");
    }
}
