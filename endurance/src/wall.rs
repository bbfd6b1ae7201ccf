//! Wall clocks of processes that are set while these run, by libfaketime. Clocks that only pass go on as they do: no Linux sets
//! those.

use std::io;
use std::path::{Path, PathBuf};

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
    folder: PathBuf,
}

impl Walls {
    /// Returns clocks that are right for now, in files of this folder. `None`: the library is not there.
    ///
    /// # Errors
    /// If the files cannot be written.
    pub fn find(folder: &Path, names: &[&str]) -> io::Result<Option<Self>> {
        let library = LIBRARIES.into_iter().find(|path| Path::new(path).exists());
        let walls = library.map(|library| Self { library, folder: folder.to_owned() });
        if let Some(walls) = &walls {
            names.iter().try_for_each(|name| walls.set(name, "+0"))?;
        }
        Ok(walls)
    }

    /// Returns the variables with which a process has one of these clocks: the one with the name that is put in place of
    /// [`NAME`].
    pub fn variables(&self) -> [(&'static str, String); 5] {
        [
            ("LD_PRELOAD", self.library.to_owned()),
            ("FAKETIME_TIMESTAMP_FILE", self.folder.join(NAME).display().to_string()),
            // It is read each time, and the times of files are those of the system.
            ("FAKETIME_NO_CACHE", "1".to_owned()),
            ("NO_FAKE_STAT", "1".to_owned()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ]
    }

    /// Sets a clock: `+1h`, `-1h`, `+10y` from the right time.
    ///
    /// # Errors
    /// If the system cannot write.
    pub fn set(&self, name: &str, difference: &str) -> io::Result<()> {
        let (new, path) = (self.folder.join("new"), self.folder.join(name));
        std::fs::write(&new, difference)?;
        // Nobody reads half of it.
        std::fs::rename(new, path)
    }
}
