//! The log's folder, once no server runs on it.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::process::Command;

use pblink_serve::log::{Engine, EngineError, Kind, Line, Sqlite};

/// Returns all lines of a log, in order.
///
/// # Errors
/// If it cannot be read.
pub fn lines(state: &Path) -> Result<Vec<Line>, EngineError> {
    let mut engine = Sqlite::open(state)?;
    let first = engine.load()?.first;
    let reader = engine.reader();
    let mut lines: Vec<Line> = Vec::new();
    loop {
        let after = lines.last().map_or(first - 1, |line| line.offset);
        let (more, _) = reader.lines(after, 10_000, 10_000, None)?;
        if more.is_empty() {
            return Ok(lines);
        }
        lines.extend(more);
    }
}

/// Returns the texts of lines by client.
///
/// # Errors
/// If offsets have gaps, or a report is not marked as one.
pub fn by_client(lines: Vec<Line>) -> Result<HashMap<String, Vec<String>>, String> {
    let mut texts: HashMap<String, Vec<String>> = HashMap::new();
    let mut last = lines.first().map_or(0, |line| line.offset - 1);
    for line in lines {
        if line.offset != last + 1 {
            return Err(format!("the log has a gap from line {last} to {}", line.offset));
        }
        last = line.offset;
        if (line.kind == Kind::Report) != line.text.starts_with('{') {
            return Err(format!("line {last} of the log is no {:?}: {}", line.kind, line.text));
        }
        texts.entry(line.client.to_string()).or_default().push(line.text.to_string());
    }
    Ok(texts)
}

/// Copies a folder. Not by this process: to close a file here would free SQLite's locks on it.
///
/// # Errors
/// If it cannot be copied.
pub fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let copied = Command::new("cp").arg("-a").arg(from).arg(to).status()?;
    match copied.success() {
        true => Ok(()),
        false => Err(io::Error::other(format!("{} cannot be copied", from.display()))),
    }
}
