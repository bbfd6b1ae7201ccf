//! The programs of tests.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{fs, io, thread};

/// A program with tests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// Its file.
    pub path: PathBuf,
    /// The folder of its package, in which its tests run.
    pub folder: PathBuf,
}

/// A test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Test {
    /// Its program.
    pub program: Program,
    /// Its name there.
    pub name: String,
}

/// The end of a test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// All that it asserts holds.
    Good,
    /// It has failed.
    Failed,
    /// It has not ended in its time.
    Late,
}

/// The longest pause between two looks at a test.
const PAUSE: Duration = Duration::from_millis(20);

impl Program {
    /// Returns its tests.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn tests(&self) -> io::Result<Vec<Test>> {
        let output = Command::new(&self.path)
            .args(["--list", "--format", "terse"])
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .output()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let names = text.lines().filter_map(|line| line.strip_suffix(": test"));
        Ok(names.map(|name| Test { program: self.clone(), name: name.to_owned() }).collect())
    }
}

impl Test {
    /// Runs it with a mutant.
    ///
    /// # Errors
    /// If its program cannot be started.
    pub fn run(&self, mutant: Option<u32>, limit: Duration) -> io::Result<End> {
        let number = mutant.map(|number| ("PBLINK_MUTANT", number.to_string()));
        self.start(number, limit)
    }

    /// Runs it without a mutant, and returns those that it asks for; `None`: it fails. `file` is there meanwhile.
    ///
    /// # Errors
    /// If its program cannot be started.
    pub fn reach(&self, file: &Path, limit: Duration) -> io::Result<Option<Vec<u32>>> {
        let end = self.start(Some(("PBLINK_REACHED", file.display().to_string())), limit)?;
        let bytes = match fs::read(file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            bytes => bytes?,
        };
        let numbers = bytes.as_chunks().0.iter().map(|number| u32::from_le_bytes(*number));
        Ok((end == End::Good).then(|| numbers.collect()))
    }

    fn start(&self, order: Option<(&str, String)>, limit: Duration) -> io::Result<End> {
        let mut child = Command::new(&self.program.path)
            .args(["--exact", &self.name])
            .current_dir(&self.program.folder)
            .env("CARGO_MANIFEST_DIR", &self.program.folder)
            // A mutant's failure is nothing to be kept.
            .env("PROPTEST_FAILURE_PERSISTENCE", "off")
            .env("INSTA_UPDATE", "no")
            .env("RUST_BACKTRACE", "0")
            .envs(order)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let (began, mut pause) = (Instant::now(), Duration::from_millis(1));
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(if status.success() { End::Good } else { End::Failed });
            }
            if began.elapsed() > limit {
                child.kill()?;
                child.wait()?;
                return Ok(End::Late);
            }
            thread::sleep(pause);
            pause = (pause * 2).min(PAUSE);
        }
    }
}
