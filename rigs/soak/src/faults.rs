//! Faults of the disk, by a small library that stands before the system's calls of a process (`faults.c`).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const LIBRARY: &str = include_str!("faults.c");

/// Names the folder whose files are the faults, in the process that has them.
pub const FAULTS: &str = "PBLINK_TEST_FAULTS";

/// The faults of a process.
#[derive(Debug, Clone)]
pub struct Faults(PathBuf);

impl Faults {
    /// Returns the faults of this process, if it was started with any.
    pub fn ours() -> Option<Self> {
        std::env::var_os(FAULTS).map(|folder| Self(folder.into()))
    }

    /// Builds the library in an empty folder, and gives a process faults that are set there, later.
    ///
    /// # Panics
    /// If it cannot be built: SQLite itself was built with the same compiler a moment ago.
    pub fn give(folder: &Path, process: &mut Command) -> Self {
        let (source, library) = (folder.join("faults.c"), folder.join("faults.so"));
        if !library.exists() {
            fs::write(&source, LIBRARY).expect("a file");
            let built = Command::new("cc")
                .args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"])
                .args([&library, &source])
                .args(["-ldl"])
                .status();
            assert!(built.expect("a compiler").success(), "faults.c cannot be built");
        }
        let faults = folder.join("faults");
        fs::create_dir_all(&faults).expect("a folder");
        process.env("LD_PRELOAD", &library).env(FAULTS, &faults);
        Self(faults)
    }

    /// Begins a fault: `full`, `quota`, `too-large`, `fsync` or `fsync-once` (of a commit).
    ///
    /// # Panics
    /// If its file cannot be written.
    pub fn set(&self, name: &str) {
        fs::write(self.0.join(name), "").expect("a file");
    }

    /// Ends a fault.
    ///
    /// # Panics
    /// If it was not set.
    pub fn clear(&self, name: &str) {
        fs::remove_file(self.0.join(name)).expect("it was set");
    }

    /// Returns true as long as a fault lasts.
    pub fn is_set(&self, name: &str) -> bool {
        self.0.join(name).exists()
    }
}

/// A small disk, as long as the value lives.
#[derive(Debug)]
pub struct Disk(PathBuf);

impl Disk {
    /// Mounts an empty disk of this many megabytes on a folder.
    ///
    /// # Errors
    /// The system's words: containers, and users other than root, may not mount.
    pub fn mount(folder: &Path, megabytes: u64) -> Result<Self, String> {
        let size = format!("size={megabytes}m");
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "pblink-test"])
            .arg(folder)
            .output()
            .map_err(|error| error.to_string())?;
        match mount.status.success() {
            true => Ok(Self(folder.to_owned())),
            false => Err(String::from_utf8_lossy(&mount.stderr).trim().to_owned()),
        }
    }

    /// Returns the folder that the disk is on.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
