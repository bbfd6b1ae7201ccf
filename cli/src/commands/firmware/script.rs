//! Running a firmware's `build.sh`, and showing that it is at work.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, IsTerminal, Write, stderr};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::Context;

use crate::exit::{Exit, Failed};
use crate::hardware::tools::{self, Readers, TOOLS_MISSING};

/// End of a script that did not fail.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The firmware is built.
    Built,
    /// The script has named tools that must be installed.
    ToolsMissing,
}

/// Lines of a quiet script that are kept, to be shown if it fails.
const KEPT: usize = 200;

/// One run of a firmware's `build.sh`.
#[derive(Debug, Clone)]
pub(super) struct Script {
    /// Its folder.
    pub(super) folder: PathBuf,
    /// Its arguments.
    pub(super) arguments: Vec<&'static str>,
    /// Variables to set, or to take away: what happens to be set must not decide.
    pub(super) variables: Vec<(&'static str, Option<PathBuf>)>,
    /// True if only the owner may read what it makes.
    pub(super) private: bool,
}

impl Script {
    /// Checks for the tools; missing ones are named on stderr.
    pub(super) fn check(&self, quiet: bool) -> anyhow::Result<Outcome> {
        self.start(&[&["check"], &self.arguments[..]].concat(), quiet)
    }

    /// Runs it. Its words go to stderr, on a terminal with the time below them; if `quiet`, only the last ones,
    /// and only if it fails.
    pub(super) fn run(&self, quiet: bool) -> anyhow::Result<Outcome> {
        self.start(&self.arguments, quiet)
    }

    fn start(&self, arguments: &[&str], quiet: bool) -> anyhow::Result<Outcome> {
        let readers = if self.private { Readers::Owner } else { Readers::Usual };
        let mut command = tools::script(&self.folder, readers);
        command.args(arguments);
        for (name, value) in &self.variables {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        follow(command, &tools::path(&self.folder), quiet)
    }
}

fn follow(mut command: Command, script: &Path, quiet: bool) -> anyhow::Result<Outcome> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run {}", script.display()))?;
    let (lines, said) = channel();
    let outputs: [Option<Box<dyn std::io::Read + Send>>; 2] = [
        child.stdout.take().map(|pipe| Box::new(pipe) as _),
        child.stderr.take().map(|pipe| Box::new(pipe) as _),
    ];
    for output in outputs.into_iter().flatten() {
        let lines = lines.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if lines.send(line).is_err() {
                    return;
                }
            }
        });
    }
    // Only the two readers hold the channel open now.
    drop(lines);
    let started = Instant::now();
    let terminal = stderr().is_terminal() && !quiet;
    let mut kept = VecDeque::new();
    loop {
        match said.recv_timeout(Duration::from_secs(1)) {
            Ok(line) if quiet => {
                if kept.len() == KEPT {
                    kept.pop_front();
                }
                kept.push_back(line);
            }
            Ok(line) => {
                let clear = if terminal { "\r\x1b[K" } else { "" };
                let _ = writeln!(stderr(), "{clear}{line}");
            }
            Err(RecvTimeoutError::Timeout) if terminal => {
                let _ = write!(stderr(), "\r\x1b[K  … {} s", started.elapsed().as_secs());
                let _ = stderr().flush();
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    if terminal {
        let _ = write!(stderr(), "\r\x1b[K");
    }
    let status = child.wait().with_context(|| format!("lost sight of {}", script.display()))?;
    if status.code() != Some(0) {
        for line in kept {
            let _ = writeln!(stderr(), "{line}");
        }
    }
    match status.code() {
        Some(0) => Ok(Outcome::Built),
        Some(TOOLS_MISSING) => Ok(Outcome::ToolsMissing),
        _ => Err(Failed::with(
            Exit::Failure,
            format!("{} failed ({status}); what it said is above", script.display()),
        )),
    }
}
