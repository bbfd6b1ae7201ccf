//! Connections that read.

use std::path::PathBuf;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, OpenFlags};

use super::error::{from_sqlite, not_open};
use super::{columns, tables};
use crate::log::{EngineError, EventRow, Line, Reader};

/// Connections that read at the same time; whoever comes then waits.
const MOST: usize = 4;

/// Pages of cache of each, as SQLite counts: 2 MB.
const CACHE: i64 = -2000;

/// The readers of one log. None of them keeps a transaction between two calls.
#[derive(Debug)]
pub(super) struct Pool {
    path: PathBuf,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    idle: Vec<Connection>,
    busy: usize,
    door: Door,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Door {
    #[default]
    Open,
    /// The log is being opened anew: readers wait.
    Closed,
    /// There is no room to open it anew; that is tried again.
    Full,
    /// It could not be opened anew.
    Shut,
}

impl Pool {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, state: Mutex::default(), changed: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until nobody reads, and lets those wait who come then, until [`open`](Self::open),
    /// [`refuse`](Self::refuse) or [`shut`](Self::shut).
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.door = Door::Closed;
        let waited = self.changed.wait_while(state, |state| state.busy > 0);
        waited.unwrap_or_else(PoisonError::into_inner).idle.clear();
    }

    /// Lets readers in again.
    pub(super) fn open(&self) {
        self.turn(Door::Open);
    }

    /// Sends readers away until the log is [open](Self::open) again.
    pub(super) fn refuse(&self) {
        self.turn(Door::Full);
    }

    /// Sends readers away for good.
    pub(super) fn shut(&self) {
        self.turn(Door::Shut);
    }

    fn turn(&self, door: Door) {
        self.lock().door = door;
        self.changed.notify_all();
    }

    fn with<T>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, EngineError> {
        let state = self.lock();
        let waits = |state: &mut State| match state.door {
            Door::Open => state.busy == MOST,
            Door::Closed => true,
            Door::Full | Door::Shut => false,
        };
        let waited = self.changed.wait_while(state, waits);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner);
        match state.door {
            Door::Open | Door::Closed => {}
            Door::Full => return Err(EngineError::Full),
            Door::Shut => return Err(not_open(&self.path)),
        }
        state.busy += 1;
        let idle = state.idle.pop();
        drop(state);
        let _turn = Turn(self);
        let db = idle.map_or_else(|| self.connect(), Ok);
        let result = db.and_then(|db| {
            let value = read(&db)?;
            self.lock().idle.push(db);
            Ok(value)
        });
        // A connection with an error is not used again.
        result.map_err(|e| from_sqlite(&self.path, &e))
    }

    fn connect(&self) -> rusqlite::Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = Connection::open_with_flags(&self.path, flags)?;
        db.pragma_update(None, "cache_size", CACHE)?;
        db.pragma_update(None, "trusted_schema", false)?;
        Ok(db)
    }
}

/// A call that reads, until it is over, however it ends.
struct Turn<'a>(&'a Pool);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.lock().busy -= 1;
        self.0.changed.notify_all();
    }
}

/// Returns a limit as SQLite takes it.
fn bound(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

impl Reader for Pool {
    fn lines(
        &self,
        after: u64,
        limit: usize,
        scan: usize,
        client: Option<&str>,
    ) -> Result<(Vec<Line>, u64), EngineError> {
        self.with(|db| {
            let columns = tables::LINE;
            let mut query = db.prepare_cached(&format!(
                "SELECT {columns} FROM lines WHERE offset > ?1 ORDER BY offset LIMIT ?2"
            ))?;
            let (mut found, mut seen) = (Vec::new(), after);
            let mut rows = query.query((after, bound(scan)))?;
            while found.len() < limit
                && let Some(row) = rows.next()?
            {
                seen = row.get(0)?;
                if client.is_none_or(|client| columns::text(row, 1).is_ok_and(|id| id == client)) {
                    found.push(tables::line(row)?);
                }
            }
            Ok((found, seen))
        })
    }

    fn events(&self, after: u64, limit: usize) -> Result<Vec<EventRow>, EngineError> {
        self.with(|db| {
            let mut query = db.prepare_cached(&format!(
                "SELECT {} FROM events WHERE id > ?1 ORDER BY id LIMIT ?2",
                tables::EVENT
            ))?;
            query.query_map((after, bound(limit)), tables::event)?.collect()
        })
    }
}
