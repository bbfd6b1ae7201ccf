//! The identity of a log, and how a file is known that was put in its place.
//!
//! At each start a new random *nonce* is stored in the log and in a file beside it. A log whose nonce is not in this
//! file is another one, or an older state of this one: it was restored from a backup. What boards and consumers
//! have done since then is unknown to it, so it gets a new generation, forgets what it knows of
//! classic links, and holds what it would have sent.

use std::path::Path;

use rusqlite::{Connection, OpenFlags, OptionalExtension, Transaction};

use super::error::{from_sqlite, from_writing};
use super::folder::{self, Folder};
use super::meta;
use crate::log::EngineError;

/// The file beside the log.
const FILE: &str = "nonce";

/// The nonce of a copy, which no file beside a log knows.
const COPY: &str = "copy";

/// The contents of this file.
#[derive(Debug, Default, PartialEq, Eq)]
struct Beside {
    /// The highest generation that was there.
    generation: u64,
    /// Nonces that the log may have: the present one, and for a moment the one before.
    nonces: Vec<String>,
}

impl Beside {
    fn read(folder: &Folder) -> Result<Option<Self>, EngineError> {
        Ok(folder.read(FILE)?.as_deref().map(Self::parse))
    }

    fn parse(text: &str) -> Self {
        let mut words = text.split_whitespace();
        let generation = words.next().and_then(|word| word.parse().ok()).unwrap_or(0);
        Self { generation, nonces: words.map(str::to_owned).collect() }
    }

    fn write(&self, folder: &Folder) -> Result<(), EngineError> {
        let nonces = self.nonces.join(" ");
        folder.replace(FILE, &format!("{} {nonces}\n", self.generation))
    }

    fn knows(&self, nonce: &str) -> bool {
        self.nonces.iter().any(|known| known == nonce)
    }
}

/// Puts a write-ahead log aside that does not belong to the log beside it: applied to a file that was put
/// there by hand, it would destroy it. To be called before the log is opened.
///
/// # Errors
/// If it cannot be put aside.
pub(super) fn set_foreign_wal_aside(folder: &Folder) -> Result<(), EngineError> {
    let wal = folder.wal();
    if !std::fs::metadata(&wal).is_ok_and(|data| data.len() > 0) {
        return Ok(());
    }
    let beside = Beside::read(folder)?;
    if is_empty(&folder.log()) && beside.is_some() {
        return set_wal_aside(folder, "is gone");
    }
    match peek(&folder.log()) {
        Some(nonce) if nonce == COPY || beside.is_some_and(|beside| !beside.knows(&nonce)) => {
            set_wal_aside(folder, "was replaced")
        }
        _ => Ok(()),
    }
}

/// Puts the write-ahead log aside: the log that it belongs to is not there.
fn set_wal_aside(folder: &Folder, what: &str) -> Result<(), EngineError> {
    let wal = folder.wal();
    let aside = folder.path().join(format!("log.db-wal.replaced-{}", crate::log::wall_ms()));
    std::fs::rename(&wal, &aside).map_err(|e| super::error::from_io(&wal, &e))?;
    folder::remove(&folder.shm())?;
    folder::sync(folder.path())?;
    tracing::warn!(
        "{} {what} while changes to the one before waited in {}; these were put aside as {}",
        folder.log().display(),
        wal.display(),
        aside.display()
    );
    Ok(())
}

/// Returns true if there is no such file, or nothing in it.
fn is_empty(path: &Path) -> bool {
    std::fs::metadata(path).map_or(true, |data| data.len() == 0)
}

/// Refuses a log of which nothing is left: it would begin anew without a word. One that was moved away may.
///
/// # Errors
/// If there was a log, and its file is empty.
pub(super) fn refuse_empty(folder: &Folder) -> Result<(), EngineError> {
    let log = folder.log();
    match log.exists() && is_empty(&log) && Beside::read(folder)?.is_some() {
        true => Err(super::error::damaged(&log, "it is empty")),
        false => Ok(()),
    }
}

/// Returns true if there is a log that had a server, and no write-ahead log beside it.
pub(super) fn is_wal_missing(folder: &Folder) -> bool {
    !is_empty(&folder.log()) && folder.path().join(FILE).exists() && !folder.wal().exists()
}

/// Returns the nonce in the file itself, without what is in its write-ahead log.
fn peek(path: &Path) -> Option<String> {
    let name = path.to_str()?;
    // Characters that mean something in a URI; other bytes may stand as they are.
    let name = name.replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_URI
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(format!("file:{name}?immutable=1"), flags).ok()?;
    let query = "SELECT value FROM meta WHERE name = 'nonce'";
    db.query_row(query, [], |row| row.get(0)).ok()
}

/// Returns true if an open log was put into its folder since a server had that open: the next one holds what it would have
/// sent. The folder is not changed, and may be in use.
///
/// # Errors
/// If the log cannot be read.
pub(super) fn is_foreign(db: &Connection, folder: &Path) -> rusqlite::Result<bool> {
    let nonce: Option<String> = meta::get(db, "nonce")?;
    // Without the file nothing is known.
    let beside = std::fs::read_to_string(folder.join(FILE)).unwrap_or_default();
    Ok(nonce.is_some_and(|nonce| !Beside::parse(&beside).knows(&nonce)))
}

/// Gives an open log a new nonce, and an identity if it has none. Returns true if it was restored from a backup.
///
/// # Errors
/// If log or folder cannot be written.
pub(super) fn identify(db: &mut Connection, folder: &Folder) -> Result<bool, EngineError> {
    let path = folder.log();
    let failed = |e: rusqlite::Error| from_sqlite(&path, &e);
    let stored: Option<String> = meta::get(db, "nonce").map_err(failed)?;
    let generation = meta::get(db, "generation").map_err(failed)?.unwrap_or(1);
    let beside = Beside::read(folder)?.unwrap_or_default();
    let restored = stored.as_ref().is_some_and(|nonce| !beside.knows(nonce));
    let generation = match (restored, &stored) {
        (true, _) => beside.generation.max(generation) + 1,
        (false, Some(_)) => generation,
        // A new log has a new id.
        (false, None) => 1,
    };
    let nonce = random(db).map_err(failed)?;
    // Until the log has the new one for certain, the file knows both. A nonce that it does not know stays unknown:
    // whoever is killed in between begins again.
    let mut nonces = match restored {
        true => beside.nonces,
        false => stored.into_iter().collect(),
    };
    nonces.push(nonce.clone());
    Beside { generation, nonces }.write(folder)?;
    let write = |db: &mut Connection| {
        let id = random(db)?;
        let tx = db.transaction()?;
        if restored {
            forget(&tx)?;
        }
        tx.execute("INSERT INTO meta VALUES ('id', ?1) ON CONFLICT DO NOTHING", [id])?;
        meta::set(&tx, "generation", generation)?;
        meta::set(&tx, "nonce", &nonce)?;
        tx.commit()?;
        // Into the file itself, for `peek`. Nobody reads yet, so nothing is left over: (busy, frames, done).
        db.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| {
            Ok(row.get::<_, i64>(0)? == 0 && row.get::<_, i64>(1)? == row.get::<_, i64>(2)?)
        })
    };
    if write(db).map_err(|e| from_writing(&path, &e))? {
        Beside { generation, nonces: vec![nonce] }.write(folder)?;
    }
    if restored {
        tracing::warn!(
            "{} was restored from a backup: links begin anew, and lines that waited for boards are held",
            path.display()
        );
    }
    Ok(restored)
}

/// Empties what is known of classic links, whose numbers begin at 0 then, and holds lines to clients.
fn forget(tx: &Transaction<'_>) -> rusqlite::Result<()> {
    // Where a board with keys stood then tells what is missing now: its state begins with a 2.
    tx.execute("UPDATE sessions SET state = NULL WHERE substr(state, 1, 1) <> x'02'", [])?;
    let waiting: Vec<(String, u64)> = tx
        .prepare("SELECT client, row FROM outbox WHERE held = 0 ORDER BY client, row")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    for (client, row) in waiting {
        // A request that is repeated sends its lines: whether they were sent is what nobody knows.
        tx.execute("DELETE FROM keys WHERE client = ?1 AND row >= ?2", (&client, row))?;
        // Lines of an earlier restore may be held still.
        let last: Option<u64> = tx
            .query_row(
                "SELECT max(row) FROM outbox WHERE client = ?1 AND held = 1",
                [&client],
                |row| row.get(0),
            )
            .optional()?
            .flatten();
        tx.execute(
            "UPDATE outbox SET held = 1, row = ?3 WHERE client = ?1 AND held = 0 AND row = ?2",
            (&client, row, last.unwrap_or(0) + 1),
        )?;
    }
    Ok(())
}

/// Returns a random value in hex digits.
fn random(db: &Connection) -> rusqlite::Result<String> {
    db.query_row("SELECT lower(hex(randomblob(8)))", [], |row| row.get(0))
}

/// Makes a copy of a log one that is taken for restored wherever it is put.
///
/// # Errors
/// If it cannot be written.
pub(super) fn disown(db: &Connection) -> rusqlite::Result<()> {
    meta::set(db, "nonce", COPY)
}
