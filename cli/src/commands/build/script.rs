//! Running a firmware's `build.sh`, and showing that it is at work.

use std::io::{BufRead, BufReader, IsTerminal, Write, stderr};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::Context;

use crate::exit::{Exit, Failed};

/// How a script ended, if it did not fail.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The firmware is built.
    Built,
    /// The script has named tools that must be installed.
    ToolsMissing,
}

/// The scripts' code for "a tool is missing".
const TOOLS_MISSING: i32 = 3;

/// Runs `build.sh` in `folder`. What it says goes to stderr; on a terminal the time goes on below it.
pub(super) fn run(folder: &Path, arguments: &[&str]) -> anyhow::Result<Outcome> {
    let script = folder.join("build.sh");
    let mut child = Command::new("sh")
        .arg(&script)
        .args(arguments)
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
    let terminal = stderr().is_terminal();
    loop {
        match said.recv_timeout(Duration::from_secs(1)) {
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
    match status.code() {
        Some(0) => Ok(Outcome::Built),
        Some(TOOLS_MISSING) => Ok(Outcome::ToolsMissing),
        _ => Err(Failed::with(
            Exit::Failure,
            format!("{} failed ({status}); what it said is above", script.display()),
        )),
    }
}
