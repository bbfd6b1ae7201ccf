//! The log on disk: what is committed is there, whatever happens to process, disk and file.

mod beside;
mod clock;
mod commits;
mod copies;
mod crash;
mod damage;
mod faults;
mod model;
mod open;
mod retain;
mod sessions;

use std::path::Path;

use pblink_serve::log::{Commit, EngineError, OutboxRow, SessionRow, Sqlite};
use pblink_server::Delivery;

use commits::line;

/// Returns a commit of lines with these offsets.
fn lines(offsets: std::ops::RangeInclusive<u64>) -> Commit {
    let lines = offsets.map(|offset| line(offset, format!("line {offset}")));
    Commit { lines: lines.collect(), ..Commit::default() }
}

/// Returns a line to "kitchen".
fn row(row: u64) -> OutboxRow {
    let text = format!("to kitchen {row}").into();
    OutboxRow { client: "kitchen".into(), row, at_ms: 7, text, delivery: Delivery::ORDERED }
}

/// Returns the session of a client with this last row.
fn session(state: &[u8], last_row: u64) -> SessionRow {
    let (last_line, last_line_ms) = (2, 2_000);
    SessionRow { state: Some(state.to_vec()), epoch: 1, seq: 3, last_row, last_line, last_line_ms }
}

/// Opens a log whose writer is ending.
fn open_soon(folder: &Path) -> Sqlite {
    loop {
        match Sqlite::open(folder) {
            Err(EngineError::InUse { .. }) => std::thread::yield_now(),
            other => return other.unwrap(),
        }
    }
}
