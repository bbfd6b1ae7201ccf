//! The shape of a diagnostic: for people, for programs, for the journal of systemd; and the file that it may go to.

use std::fmt::Write as _;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use pblink_serve::control::Rfc3339;
use serde_json::json;
use tracing::Level;

use crate::exit::{Exit, Failed};
use crate::output::json;
use crate::output::log_file::LogFile;
use crate::output::times::{Zone, wall_ms};

/// True if labels are coloured.
static COLOUR: AtomicBool = AtomicBool::new(false);
/// Each diagnostic is a JSON object.
static JSON: AtomicBool = AtomicBool::new(false);
/// Stderr is the journal of systemd, which takes levels from the beginnings of lines: sd-daemon(3).
static JOURNAL: AtomicBool = AtomicBool::new(false);
/// The file that takes diagnostics instead of stderr.
static FILE: OnceLock<Mutex<LogFile>> = OnceLock::new();

/// Flags for the diagnostics of what runs for long.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct LogArgs {
    /// Shape of diagnostics: text, or JSON, one object per line.
    #[arg(long, value_name = "SHAPE", default_value = "text")]
    pub log_format: LogFormat,
    /// Write diagnostics into this file instead of stderr. At 10 MB it becomes FILE.1, and a new one is begun; FILE.5 is
    /// the oldest that is kept.
    #[arg(long, value_name = "FILE")]
    pub log_file: Option<PathBuf>,
}

/// Shape of diagnostics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line: `time`, `level`, `message`, and `target` where that is known.
    Json,
}

impl LogArgs {
    /// Lets them take effect.
    ///
    /// # Errors
    /// [`Exit::Failure`] if the file cannot be written.
    pub(crate) fn start(&self) -> anyhow::Result<()> {
        JSON.store(self.log_format == LogFormat::Json, Ordering::Relaxed);
        let Some(path) = &self.log_file else { return Ok(()) };
        let file = LogFile::open(path).map_err(|error| {
            let what = format!("diagnostics cannot be written to {}: {error}", path.display());
            Failed::with(Exit::Failure, what)
        })?;
        let _ = FILE.set(Mutex::new(file));
        Ok(())
    }
}

/// Sets what is known before the verb.
pub(super) fn start(colour: bool) {
    COLOUR.store(colour, Ordering::Relaxed);
    JOURNAL.store(is_journal(std::env::var("JOURNAL_STREAM").ok().as_deref()), Ordering::Relaxed);
}

/// Returns true if stderr is the stream that systemd has named: a child whose stderr goes elsewhere has inherited the
/// variable all the same.
fn is_journal(named: Option<&str>) -> bool {
    let stderr = std::io::stderr();
    if stderr.is_terminal() {
        return false;
    }
    let Ok(it) = rustix::fs::fstat(&stderr) else { return false };
    named.and_then(|named| named.split_once(':')).is_some_and(|(device, inode)| {
        device.parse() == Ok(it.st_dev) && inode.parse() == Ok(it.st_ino)
    })
}

/// Kind of a diagnostic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A report.
    Level(Level),
    /// The present doings of the verb.
    Said,
}

impl Kind {
    /// Returns its label for people, with the code of its colour.
    fn label(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Level(Level::ERROR) => Some(("error", "1;31")),
            Self::Level(Level::WARN) => Some(("warning", "1;33")),
            Self::Level(Level::INFO) => Some(("note", "1")),
            Self::Level(Level::DEBUG) => Some(("debug", "2")),
            Self::Level(Level::TRACE) => Some(("trace", "2")),
            Self::Said => None,
        }
    }

    /// Returns its level for the journal: syslog(3).
    fn priority(self) -> u8 {
        match self {
            Self::Level(Level::ERROR) => 3,
            Self::Level(Level::WARN) => 4,
            Self::Level(Level::INFO) => 5,
            Self::Said => 6,
            Self::Level(_) => 7,
        }
    }
}

/// Returns a diagnostic as it is written, with its end of line. `target`: the part of the program that reports it.
pub(super) fn shaped(kind: Kind, target: Option<&str>, text: &str) -> String {
    if JSON.load(Ordering::Relaxed) {
        return object(kind, target, text, wall_ms());
    }
    let is_file = has_file();
    let colour = COLOUR.load(Ordering::Relaxed) && !is_file;
    let mut line = String::new();
    if is_file {
        let _ = write!(line, "{} ", Zone::local().with_dates(true).at(wall_ms()));
    }
    line.push_str("pblink: ");
    if let Some((name, code)) = kind.label() {
        let _ = match colour {
            true => write!(line, "\x1b[{code}m{name}:\x1b[0m "),
            false => write!(line, "{name}: "),
        };
    }
    if let Some(target) = target {
        let _ = write!(line, "{target}: ");
    }
    line.push_str(text);
    line.push('\n');
    match JOURNAL.load(Ordering::Relaxed) && !is_file {
        true => for_journal(&line, kind.priority()),
        false => line,
    }
}

/// Returns the lines with their level, which counts for one line only.
fn for_journal(lines: &str, priority: u8) -> String {
    lines.lines().map(|line| format!("<{priority}>{line}\n")).collect()
}

fn object(kind: Kind, target: Option<&str>, text: &str, now_ms: u64) -> String {
    let level = kind.label().map_or("info", |(name, _)| name);
    let mut object = json!({
        "time": Rfc3339(now_ms).to_string(),
        "level": level,
        "message": text,
    });
    if let Some(target) = target {
        object["target"] = target.into();
    }
    json::line(&object).unwrap_or_default() + "\n"
}

/// Returns true if there is a file of diagnostics.
pub(super) fn has_file() -> bool {
    FILE.get().is_some()
}

/// Gives a diagnostic to the file, if there is one. False: it goes to stderr.
pub(super) fn takes(bytes: &[u8]) -> bool {
    let Some(file) = FILE.get() else { return false };
    file.lock().unwrap_or_else(PoisonError::into_inner).append(bytes);
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_has_its_level_in_the_journal() {
        assert_eq!(for_journal("pblink: error: a\n  b\n", 3), "<3>pblink: error: a\n<3>  b\n");
        let kinds = [Level::ERROR, Level::WARN, Level::INFO, Level::DEBUG, Level::TRACE];
        assert_eq!(kinds.map(|level| Kind::Level(level).priority()), [3, 4, 5, 7, 7]);
        assert_eq!(Kind::Said.priority(), 6);
    }

    #[test]
    fn the_journal_is_known_by_its_stream() {
        assert!(!is_journal(None));
        for text in ["", "1", "1:", ":", "a:b", "0:0"] {
            assert!(!is_journal(Some(text)), "{text}");
        }
    }

    #[test]
    fn an_object_holds_any_text_in_one_line() {
        let line = object(Kind::Level(Level::WARN), Some("a::b"), "x\n\"y\"\u{1b}[31m", 0);
        assert_eq!(line.matches('\n').count(), 1);
        let object: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(object["message"], "x\n\"y\"\u{1b}[31m");
        assert_eq!((&object["level"], &object["target"]), (&"warning".into(), &"a::b".into()));
        assert_eq!(object["time"], "1970-01-01T00:00:00.000Z");
    }
}
