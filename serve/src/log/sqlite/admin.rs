//! Work on a log beside running a server on it: to look at it, put a backup in its place, and decide on
//! lines that a restore has left undetermined.

use std::path::{Path, PathBuf};

use pblink_server::SessionState;
use rusqlite::{Connection, OpenFlags};
use serde::Serialize;

use super::error::{damaged, from_io, from_sqlite};
use super::folder::{self, FILE, Folder};
use super::{Sqlite, changes, meta, schema, tables};
use crate::log::{Commit, Engine, EngineError, OutboxRow, SessionRow};

/// Problems, and gaps, that a report names at most.
const NAMED: usize = 20;

/// The state of a log, for people and programs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The file.
    pub path: PathBuf,
    /// Its size in bytes, without the changes that wait beside it.
    pub file_bytes: u64,
    /// The version of its tables.
    pub schema: u32,
    /// The log's random id.
    pub id: String,
    /// 1, and one more after each restore from a backup.
    pub generation: u64,
    /// Damage of the file, and numbers that contradict each other.
    pub problems: Vec<String>,
    /// Clients whose sessions cannot be read, with the reason. Their links begin anew with the next
    /// server.
    pub bad_sessions: Vec<(String, String)>,
    /// Lines that are there.
    pub lines: u64,
    /// Bytes that these count for when the log is kept within its size.
    pub line_bytes: u64,
    /// Offset of the oldest line, or of the next one if there is none.
    pub first: u64,
    /// Offset of the next line.
    pub next: u64,
    /// Offsets between these two without a line: of clients that were purged.
    pub missing: u64,
    /// The first ranges of them, from and to.
    pub gaps: Vec<(u64, u64)>,
    /// Sessions of clients.
    pub sessions: u64,
    /// Lines that wait for clients.
    pub outbox: u64,
    /// Lines that a restore has left undetermined.
    pub undetermined: u64,
    /// Keys of requests.
    pub keys: u64,
    /// Places of consumers.
    pub cursors: u64,
    /// Events.
    pub events: u64,
    /// Wall clock (ms since the Unix epoch) at which a server was last known to be alive; 0: never.
    pub alive_ms: u64,
}

impl Report {
    /// Returns true if nothing is wrong with the log.
    pub fn is_sound(&self) -> bool {
        self.problems.is_empty() && self.bad_sessions.is_empty()
    }
}

/// The outcome of a restore.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Restored {
    /// The log from the backup.
    pub report: Report,
    /// The file that was there before.
    pub replaced: Option<PathBuf>,
}

impl Sqlite {
    /// Checks the log in a folder, also while a server uses it. Reads all of it.
    ///
    /// # Errors
    /// If there is no log, or it cannot be read. Damage that can be described is in the report instead.
    pub fn check(folder: &Path) -> Result<Report, EngineError> {
        let path = folder.join(FILE);
        let db = read_only(&path)?;
        report(&db, &path)
    }

    /// Writes a copy of the log in a folder to `to`, which must not exist, also while a server uses it.
    ///
    /// # Errors
    /// If there is no log, or it cannot be read, or the copy cannot be written.
    pub fn copy(folder: &Path, to: &Path) -> Result<(), EngineError> {
        let path = folder.join(FILE);
        let db = read_only(&path)?;
        schema::version(&db, &path, schema::STEPS.len())?;
        schema::copy_to(&db, &path, to)
    }

    /// Puts a backup in the place of the log in a folder, and keeps the file that it replaces. A server that opens it
    /// finds a new generation, links that begin anew, and undetermined lines. Whoever is killed
    /// meanwhile leaves either log, and never half of one.
    ///
    /// # Errors
    /// If a server uses the folder, the backup is damaged, newer than this program or no log, or the disk is full.
    pub fn restore(folder: &Path, backup: &Path) -> Result<Restored, EngineError> {
        let source = read_only(backup)?;
        let checked = report(&source, backup)?;
        if let Some(problem) = checked.problems.first() {
            return Err(damaged(backup, problem));
        }
        let folder = Folder::take(folder)?;
        let log = folder.log();
        if log.canonicalize().is_ok_and(|log| backup.canonicalize().is_ok_and(|b| b == log)) {
            return Err(EngineError::Io {
                path: backup.display().to_string(),
                why: "it is the log itself, and no backup of it".into(),
            });
        }
        let new = folder.path().join("log.db.restoring");
        folder::remove(&new)?;
        schema::copy_to(&source, backup, &new)?;
        drop(source);
        let replaced = if log.exists() { Some(keep(&folder)?) } else { None };
        std::fs::rename(&new, &log).map_err(|e| from_io(&log, &e))?;
        // Until they are gone, the next server would put them aside: they belong to the file before.
        folder::remove(&folder.wal())?;
        folder::remove(&folder.shm())?;
        folder::sync(folder.path())?;
        Ok(Restored { report: Report { path: log, ..checked }, replaced })
    }

    /// Returns the lines to clients that a restore has left undetermined, in order.
    ///
    /// # Errors
    /// If the log cannot be read.
    pub fn undetermined(&mut self) -> Result<Vec<OutboxRow>, EngineError> {
        let path = self.folder.log();
        tables::outbox(self.db()?, true).map_err(|e| from_sqlite(&path, &e))
    }

    /// Has the undetermined lines of a client, or of all, sent behind those that wait already. Returns their number.
    /// Not for an engine that a writer has: it counts rows by itself, see [`Commit::released`].
    ///
    /// # Errors
    /// As for [`commit`](Engine::commit).
    pub fn send_undetermined(&mut self, client: Option<&str>) -> Result<usize, EngineError> {
        self.release(client, true)
    }

    /// Drops the undetermined lines of a client, or of all. Returns their number.
    ///
    /// # Errors
    /// As for [`commit`](Engine::commit).
    pub fn drop_undetermined(&mut self, client: Option<&str>) -> Result<usize, EngineError> {
        self.release(client, false)
    }

    fn release(&mut self, client: Option<&str>, send: bool) -> Result<usize, EngineError> {
        let loaded = self.load()?;
        let mut sessions = loaded.sessions;
        let mut commit = Commit::default();
        let chosen = |row: &OutboxRow| client.is_none_or(|client| *row.client == *client);
        for held in loaded.undetermined.into_iter().filter(chosen) {
            commit.released.push((held.client.clone(), held.row));
            if !send {
                continue;
            }
            let at = sessions.iter().position(|(id, _)| *id == held.client).unwrap_or_else(|| {
                sessions.push((held.client.clone(), SessionRow::default()));
                sessions.len() - 1
            });
            let session = &mut sessions[at].1;
            session.last_row += 1;
            commit.outbox.push(OutboxRow { row: session.last_row, ..held.clone() });
            commit.sessions.retain(|(id, _)| *id != held.client);
            commit.sessions.push((held.client, session.clone()));
        }
        let count = commit.released.len();
        if count > 0 {
            self.commit(&commit)?;
        }
        Ok(count)
    }
}

/// Gives the log a second name, under which it stays. Returns it.
fn keep(folder: &Folder) -> Result<PathBuf, EngineError> {
    let log = folder.log();
    let now = crate::log::wall_ms();
    let name = |end: &str| folder.path().join(format!("log.db.replaced-{now}{end}"));
    // So that one file is all of it. A damaged one stays in two.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    if let Ok(db) = Connection::open_with_flags(&log, flags) {
        let _ = db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    }
    for (file, end) in [(folder.wal(), "-wal"), (log, "")] {
        if !std::fs::metadata(&file).is_ok_and(|data| data.len() > 0) {
            continue;
        }
        let to = name(end);
        // Some file systems have no second names.
        std::fs::hard_link(&file, &to)
            .or_else(|_| std::fs::copy(&file, &to).map(drop))
            .map_err(|e| from_io(&to, &e))?;
        folder::sync(&to)?;
    }
    folder::sync(folder.path())?;
    Ok(name(""))
}

/// Opens a log for reading only.
///
/// # Errors
/// If there is none, or it cannot be opened.
pub(super) fn read_only(path: &Path) -> Result<Connection, EngineError> {
    match std::fs::metadata(path) {
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(EngineError::Io {
                path: path.display().to_string(),
                why: "there is no such file".into(),
            });
        }
        Err(error) => return Err(from_io(path, &error)),
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let open = || {
        let db = Connection::open_with_flags(path, flags)?;
        db.pragma_update(None, "trusted_schema", false)?;
        Ok(db)
    };
    open().map_err(|e| from_sqlite(path, &e))
}

/// Looks at all of an open log.
fn report(db: &Connection, path: &Path) -> Result<Report, EngineError> {
    let schema = match schema::version(db, path, schema::STEPS.len())? {
        0 => return Err(damaged(path, "it is empty")),
        version => version as u32,
    };
    let mut report = Report { path: path.to_owned(), schema, ..Report::default() };
    report.file_bytes = std::fs::metadata(path).map_err(|e| from_io(path, &e))?.len();
    let mut all = || {
        // One moment for all of it, if a server writes.
        let tx = db.unchecked_transaction()?;
        integrity(&tx, &mut report)?;
        // Of a damaged file nothing more is to be had for certain. All schemas have what is looked at.
        if report.problems.is_empty() {
            contents(&tx, &mut report)?;
        }
        tx.commit()
    };
    all().map_err(|e| from_sqlite(path, &e))?;
    Ok(report)
}

fn integrity(db: &Connection, report: &mut Report) -> rusqlite::Result<()> {
    let mut check = db.prepare(&format!("PRAGMA integrity_check({NAMED})"))?;
    for problem in check.query_map([], |row| row.get::<_, String>(0))? {
        let problem = problem?;
        if problem != "ok" {
            report.problems.push(problem);
        }
    }
    Ok(())
}

fn contents(db: &Connection, report: &mut Report) -> rusqlite::Result<()> {
    let count =
        |of: &str| db.query_row(&format!("SELECT count(*) FROM {of}"), [], |row| row.get(0));
    report.id = meta::get(db, "id")?.unwrap_or_default();
    report.generation = meta::get(db, "generation")?.unwrap_or(1);
    report.alive_ms = meta::get(db, "alive_ms")?.unwrap_or(0);
    report.first = meta::get(db, "first")?.unwrap_or(1);
    report.next = tables::next(db)?;
    report.line_bytes = tables::weight(db)?;
    report.lines = count("lines")?;
    report.outbox = count("outbox WHERE held = 0")?;
    report.undetermined = count("outbox WHERE held = 1")?;
    report.keys = count("keys")?;
    report.cursors = count("cursors")?;
    report.events = count("events")?;
    let oldest: Option<u64> =
        db.query_row("SELECT min(offset) FROM lines", [], |row| row.get(0))?;
    let oldest = oldest.unwrap_or(report.next);
    if oldest != report.first {
        let first = report.first;
        let problem = format!("the oldest line should be {first}, and is {oldest}");
        report.problems.push(problem);
    }
    report.missing = report.next.saturating_sub(oldest).saturating_sub(report.lines);
    let mut gaps = db.prepare(
        "SELECT before + 1, offset - 1 FROM
         (SELECT offset, lag(offset) OVER (ORDER BY offset) AS before FROM lines)
         WHERE offset > before + 1 LIMIT ?1",
    )?;
    let gaps = gaps.query_map([NAMED as i64], |row| Ok((row.get(0)?, row.get(1)?)))?;
    report.gaps = gaps.collect::<rusqlite::Result<_>>()?;
    let counted: (u64, u64) = db.query_row(
        "SELECT coalesce(sum(octet_length(text)), 0), count(*) FROM lines",
        [],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    let counted = counted.0 + counted.1 * crate::log::Line::OVERHEAD;
    if counted != report.line_bytes {
        let bytes = report.line_bytes;
        report
            .problems
            .push(format!("the lines should count for {bytes} bytes, and do for {counted}"));
    }
    let sessions = changes::of_schema(db, report.schema)?;
    report.sessions = sessions.len() as u64;
    for (client, session) in sessions {
        if let Some(state) = session.state
            && let Err(why) = SessionState::decode(&state)
            && report.bad_sessions.len() < NAMED
        {
            report.bad_sessions.push((client.to_string(), why.to_string()));
        }
    }
    Ok(())
}
