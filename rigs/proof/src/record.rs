//! The output of a proof, and where and when it was run.

use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::proofs::Proof;

/// A run of a proof. Its file is written by this program and not by hand.
#[derive(Debug, Serialize, Deserialize)]
pub struct Record {
    /// The day on which it ended, in UTC.
    pub date: String,
    /// The commit, and `+` if the tree had changes beside it.
    pub commit: String,
    /// Name of its processor, as the system has it.
    pub processor: String,
    /// The number of processors.
    pub processors: usize,
    /// Load of the machine in the minute before, from other work.
    pub load_before: f64,
    /// Its time.
    pub seconds: f64,
    /// The command has said that all is well.
    pub success: bool,
    /// Lines of its output that are kept.
    pub output: String,
}

/// Returns the file of a proof's record.
pub fn path(root: &Path, name: &str) -> PathBuf {
    root.join("docs/proof").join(name).with_extension("toml")
}

impl Record {
    /// Runs a proof, and shows what it says.
    ///
    /// # Errors
    /// If it cannot be started or read.
    pub fn run(root: &Path, proof: &Proof) -> io::Result<Self> {
        let load_before = load();
        let began = Instant::now();
        let mut child = Command::new("bash")
            .args(["-euo", "pipefail", "-c", proof.command])
            .current_dir(root)
            // Figures go to stdout, and progress to stderr, for whoever looks on; but tests and `time` say theirs there, too.
            .env("NO_COLOR", "1")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut output = String::new();
        let errors = child.stderr.take().map(BufReader::new);
        let said = std::thread::spawn(move || -> io::Result<Vec<String>> {
            let mut lines = Vec::new();
            for line in errors.into_iter().flat_map(BufRead::lines) {
                let line = line?;
                eprintln!("{line}");
                lines.push(line);
            }
            Ok(lines)
        });
        for line in child.stdout.take().map(BufReader::new).into_iter().flat_map(BufRead::lines) {
            let line = line?;
            println!("{line}");
            if is_kept(proof, &line) {
                let _ = writeln!(output, "{}", line.trim_end());
            }
        }
        let said = said.join().map_err(|_| io::Error::other("its errors could not be read"))??;
        // Those that are asked for only, since a compiler says much; and none of whoever prints tables, which has its progress there.
        let asked = !proof.keep.is_empty() && !proof.markdown;
        for line in said.iter().filter(|line| asked && is_kept(proof, line)) {
            let _ = writeln!(output, "{}", line.trim_end());
        }
        let success = child.wait()?.success();
        Ok(Self {
            date: said_by("date", &["-u", "+%F"])?,
            commit: commit(root)?,
            processor: processor(),
            processors: std::thread::available_parallelism().map_or(0, usize::from),
            load_before,
            seconds: began.elapsed().as_secs_f64().round(),
            success,
            output,
        })
    }

    /// Reads the record of a proof; `None`: it was not run yet.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn read(root: &Path, name: &str) -> io::Result<Option<Self>> {
        match std::fs::read_to_string(path(root, name)) {
            Ok(text) => toml::from_str(&text).map(Some).map_err(io::Error::other),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes it.
    ///
    /// # Errors
    /// If its file cannot be written.
    pub fn write(&self, root: &Path, name: &str) -> io::Result<()> {
        let path = path(root, name);
        path.parent().map_or(Ok(()), std::fs::create_dir_all)?;
        std::fs::write(path, toml::to_string_pretty(self).map_err(io::Error::other)?)
    }
}

fn is_kept(proof: &Proof, line: &str) -> bool {
    proof.keep.is_empty() || proof.keep.iter().any(|part| line.contains(part))
}

/// Returns what a program says, without the end of its line.
fn said_by(program: &str, args: &[&str]) -> io::Result<String> {
    let output = Command::new(program).args(args).output()?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn commit(root: &Path) -> io::Result<String> {
    let root = root.display().to_string();
    let commit = said_by("git", &["-C", &root, "rev-parse", "--short", "HEAD"])?;
    let changes = said_by("git", &["-C", &root, "status", "--porcelain", "--", ":!docs"])?;
    Ok(if changes.is_empty() { commit } else { commit + "+" })
}

/// Returns the name that the system has for its processor.
fn processor() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    name.map_or_else(|| std::env::consts::ARCH.to_owned(), |(_, name)| name.trim().to_owned())
}

/// Returns the load of the last minute; zero where it is not known.
fn load() -> f64 {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|first| first.parse().ok()).unwrap_or_default()
}
