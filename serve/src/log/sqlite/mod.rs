//! The log on disk: one SQLite file in a folder that belongs to one server at a time.
//!
//! Each commit is one transaction, and is on the disk when it returns (`synchronous=FULL`). The write-ahead log is
//! never made shorter while the server runs: one that is overwritten commits several times as fast as one that
//! grows.

mod admin;
mod beside;
mod changes;
mod columns;
#[cfg(feature = "nats")]
mod copy;
mod error;
mod folder;
mod identity;
mod meta;
mod network;
mod probe;
mod reader;
mod retain;
mod schema;
mod tables;

use std::path::Path;
use std::sync::Arc;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

use super::engine::{Engine, EngineError, Reader, Retention, Room};
use super::model::{Commit, Loaded};
pub use admin::{Report, Restored};
pub use beside::Waiting;
use changes::Changes;
#[cfg(feature = "nats")]
pub(super) use copy::StatePlace;
use error::{damaged, from_io, from_sqlite, from_writing, not_open};
use folder::Folder;
use reader::Pool;

/// Bytes that have to be free for lines to be taken: what is left is for cursors, deletion and a clean stop.
const LEAST_FREE: u64 = 64 * 1024 * 1024;

/// Statements that are kept prepared.
const STATEMENTS: usize = 32;

/// Cache of the writer, as SQLite counts: 8 MB.
const CACHE: i64 = -8192;

/// The engine that outlives the process. It has its folder for itself until it is dropped.
#[derive(Debug)]
pub struct Sqlite {
    /// `None` after it could not be opened anew.
    db: Option<Connection>,
    /// True if that was for want of room: it is tried again.
    waits_for_room: bool,
    folder: Folder,
    pool: Arc<Pool>,
    /// Offset of the next line.
    next: u64,
    /// Weight of all lines.
    bytes: u64,
    changes: Changes,
    restored: bool,
    wal_missing: bool,
    ownership: Ownership,
}

/// The place of truth about a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ownership {
    /// The file itself.
    Own,
    /// A stream that several servers share: the file may be a little behind it.
    #[cfg(feature = "nats")]
    Copy,
}

impl Ownership {
    /// Returns SQLite's name for the time at which a transaction is on the disk.
    fn synchronous(self) -> &'static str {
        match self {
            Self::Own => "FULL",
            // What a power cut takes is read from the stream again.
            #[cfg(feature = "nats")]
            Self::Copy => "NORMAL",
        }
    }
}

impl Drop for Sqlite {
    fn drop(&mut self) {
        // Before the file is closed, which removes its write-ahead log.
        self.folder.end();
    }
}

impl Sqlite {
    /// Opens the log in a folder, and makes both if they do not exist. An older schema is brought to that of today, after
    /// a copy of the file was made beside it.
    ///
    /// # Errors
    /// If another server uses the folder, it is on a network file system, its log is damaged or newer than this
    /// program, or it cannot be written.
    pub fn open(path: &Path) -> Result<Self, EngineError> {
        let folder = Folder::take(path)?;
        identity::set_foreign_wal_aside(&folder)?;
        identity::refuse_empty(&folder)?;
        let wal_missing = folder.was_killed() && identity::is_wal_missing(&folder);
        if wal_missing {
            tracing::error!(
                "the last server was killed, and {} is not there, where it kept its last lines: if it was deleted, \
                 these lines are lost; `pblink state restore` puts a backup in the log's place",
                folder.wal().display()
            );
        }
        Self::open_folder(folder, Ownership::Own).map(|mut log| {
            log.wal_missing = wal_missing;
            log
        })
    }

    /// Opens the log in a folder, on what was set aside for a full disk if need be.
    fn open_folder(folder: Folder, ownership: Ownership) -> Result<Self, EngineError> {
        let opened = match Self::open_taken(folder, ownership) {
            Err((EngineError::Full, folder)) if folder.give_up_reserve() => {
                Self::open_taken(folder, ownership)
            }
            other => other,
        };
        opened.map_err(|(error, _)| error)
    }

    fn open_taken(folder: Folder, ownership: Ownership) -> Result<Self, (EngineError, Folder)> {
        let path = folder.log();
        let open = || {
            if !path.exists() {
                folder::create_private(&path)?;
                folder::sync(folder.path())?;
            }
            let mut db = connect(&path, ownership)?;
            if let Some(copy) = schema::migrate(&mut db, &path, schema::STEPS)? {
                tracing::info!(
                    "{} has a new schema; {} is as before",
                    path.display(),
                    copy.display()
                );
            }
            let fold = |db: &mut Connection| {
                let tx = db.transaction()?;
                changes::fold(&tx).and_then(|()| tx.commit())
            };
            fold(&mut db).map_err(|e| from_writing(&path, &e))?;
            let restored = match ownership {
                #[cfg(feature = "nats")]
                Ownership::Own => {
                    copy::refuse(&db, &path)?;
                    identity::identify(&mut db, &folder)?
                }
                #[cfg(not(feature = "nats"))]
                Ownership::Own => identity::identify(&mut db, &folder)?,
                #[cfg(feature = "nats")]
                Ownership::Copy => copy::adopt(&db, &path).map(|()| false)?,
            };
            let next = tables::next(&db).map_err(|e| from_sqlite(&path, &e))?;
            let bytes = tables::weight(&db).map_err(|e| from_sqlite(&path, &e))?;
            Ok((db, restored, next, bytes))
        };
        match open() {
            Ok((db, restored, next, bytes)) => {
                // Without it the disk is full already, which `room` says.
                folder.make_reserve();
                let pool = Arc::new(Pool::new(path));
                Ok(Self {
                    db: Some(db),
                    waits_for_room: false,
                    folder,
                    pool,
                    next,
                    bytes,
                    changes: Changes::default(),
                    restored,
                    wal_missing: false,
                    ownership,
                })
            }
            Err(error) => Err((error, folder)),
        }
    }

    /// Returns true if the log was restored from a backup since it was last open: its generation is a new one,
    /// links begin anew, and lines that waited for boards are [undetermined](Loaded::undetermined).
    pub fn is_restored(&self) -> bool {
        self.restored
    }

    /// Returns true if the last server was killed and its write-ahead log is not there, as if someone had deleted it: the
    /// last lines may be lost.
    pub fn is_wal_missing(&self) -> bool {
        self.wal_missing
    }

    /// Returns the log, which is opened anew first if there was no room for that.
    fn db(&mut self) -> Result<&mut Connection, EngineError> {
        if self.waits_for_room {
            self.reopen()?;
        }
        let folder = &self.folder;
        self.db.as_mut().ok_or_else(|| not_open(&folder.log()))
    }

    /// Does `work` as one transaction.
    fn transact<T>(
        &mut self,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, EngineError> {
        let path = self.folder.log();
        let db = self.db()?;
        let run = || {
            let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let value = work(&tx)?;
            tx.commit()?;
            Ok(value)
        };
        run().map_err(|e| from_writing(&path, &e))
    }

    /// Does `work` as one transaction, on what was set aside for a full disk if need be.
    fn transact_at_any_price<T>(
        &mut self,
        work: impl Fn(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, EngineError> {
        match self.transact(&work) {
            Err(EngineError::Full) if self.folder.give_up_reserve() => self.transact(&work),
            other => other,
        }
    }
}

/// Opens the file for the writer.
fn connect(path: &Path, ownership: Ownership) -> Result<Connection, EngineError> {
    let open = || {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = Connection::open_with_flags(path, flags)?;
        let mode: String = db.query_row("PRAGMA journal_mode=WAL", [], |row| row.get(0))?;
        db.pragma_update(None, "synchronous", ownership.synchronous())?;
        // Apple's fsync waits for the disk's cache only if it is told to.
        db.pragma_update(None, "fullfsync", true)?;
        db.pragma_update(None, "checkpoint_fullfsync", true)?;
        db.pragma_update(None, "wal_autocheckpoint", 1000)?;
        db.pragma_update(None, "cache_size", CACHE)?;
        db.pragma_update(None, "trusted_schema", false)?;
        db.set_prepared_statement_cache_capacity(STATEMENTS);
        Ok((db, mode))
    };
    let (db, mode) = open().map_err(|e| from_writing(path, &e))?;
    match mode.as_str() {
        "wal" => Ok(db),
        other => Err(EngineError::Io {
            path: path.display().to_string(),
            why: format!("its file system has no write-ahead log (it offers \"{other}\")"),
        }),
    }
}

impl Engine for Sqlite {
    fn load(&mut self) -> Result<Loaded, EngineError> {
        let path = self.folder.log();
        tables::load(self.db()?).map_err(|e| from_sqlite(&path, &e))
    }

    fn commit(&mut self, commit: &Commit) -> Result<(), EngineError> {
        self.store(commit, |_| Ok(()))
    }

    fn reopen(&mut self) -> Result<(), EngineError> {
        self.pool.close();
        let opened = self.open_anew();
        self.waits_for_room = matches!(opened, Err(EngineError::Full));
        match &opened {
            Ok(()) => self.pool.open(),
            // Readers would need room, too.
            Err(EngineError::Full) => self.pool.refuse(),
            Err(_) => self.pool.shut(),
        }
        opened
    }

    fn retain(&mut self, retention: Retention, limit: u64) -> Result<(u64, bool), EngineError> {
        let (next, bytes) = (self.next, self.bytes);
        let retained =
            self.transact_at_any_price(|tx| retain::retain(tx, retention, limit, next, bytes))?;
        self.bytes = self.bytes.saturating_sub(retained.bytes);
        Ok((retained.first, retained.more))
    }

    fn purge(&mut self, client: &str) -> Result<(), EngineError> {
        // Freed pages are overwritten: whoever asks for this wants the data to be gone.
        let path = self.folder.log();
        let secure = |db: &Connection, secure| {
            let set = db.pragma_update(None, "secure_delete", secure);
            set.map_err(|e| from_sqlite(&path, &e))
        };
        secure(self.db()?, true)?;
        let purged = self.purge_client(client);
        let db = self.db()?;
        secure(db, false)?;
        // The write-ahead log has them, too. With a reader in the way it keeps them until it comes round to these
        // pages again.
        let _ = db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        purged
    }

    fn is_durable(&self) -> bool {
        true
    }

    fn room(&mut self) -> Room {
        let Some(free) = self.folder.free() else { return Room::Enough };
        let wal = std::fs::metadata(self.folder.wal()).map_or(0, |data| data.len());
        let wanted = LEAST_FREE.max(2 * wal);
        if free < wanted {
            return Room::Short { free, wanted };
        }
        if free >= wanted + folder::RESERVE {
            self.folder.make_reserve();
        }
        Room::Enough
    }

    fn backup(&mut self, path: &Path) -> Result<(), EngineError> {
        let log = self.folder.log();
        schema::copy_to(self.db()?, &log, path)
    }

    fn reader(&self) -> Arc<dyn Reader> {
        Arc::clone(&self.pool) as Arc<dyn Reader>
    }
}

impl Sqlite {
    /// Stores a commit, and with it what else is to be done in the same transaction.
    fn store(
        &mut self,
        commit: &Commit,
        beside: impl Fn(&Transaction<'_>) -> rusqlite::Result<()>,
    ) -> Result<(), EngineError> {
        // A client that is forgotten must not come back with an older change.
        let folds = !commit.forgotten.is_empty() || self.changes.is_full(commit.sessions.len());
        let mut changes = std::mem::take(&mut self.changes);
        if folds {
            changes.doubt();
        }
        let work = |tx: &Transaction<'_>| {
            if folds {
                changes::fold(tx)?;
            }
            tables::store(tx, commit, &changes).and_then(|()| beside(tx))
        };
        let stored = match commit.lines.last() {
            Some(_) => self.transact(work),
            // The little that keeps what is there in order.
            None => self.transact_at_any_price(work),
        };
        if let Err(error) = stored {
            changes.doubt();
            self.changes = changes;
            return Err(error);
        }
        if folds {
            changes = Changes::default();
        }
        changes.note(&commit.sessions);
        self.changes = changes;
        // Some may have been there already, if it is the second attempt.
        let new = commit.lines.iter().filter(|line| line.offset >= self.next);
        self.bytes += new.map(|line| line.weight()).sum::<u64>();
        if let Some(last) = commit.lines.last() {
            self.next = self.next.max(last.offset + 1);
        }
        Ok(())
    }

    /// Opens the log anew, while nobody reads.
    fn open_anew(&mut self) -> Result<(), EngineError> {
        let path = self.folder.log();
        if let Some(db) = self.db.take() {
            // What is in the write-ahead log is not trusted yet. An error changes nothing: it is opened anew below.
            let _ = db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
        }
        let open = || self.rewrite_wal().and_then(|()| connect(&path, self.ownership));
        let db = match open() {
            Err(EngineError::Full) if self.folder.give_up_reserve() => open()?,
            other => other?,
        };
        let next = tables::next(&db).map_err(|e| from_sqlite(&path, &e))?;
        if next < self.next {
            let lost = format!("lines {next} to {} are gone", self.next - 1);
            let why = format!("the disk has lost what it said to have written: {lost}");
            return Err(damaged(&path, why));
        }
        self.bytes = tables::weight(&db).map_err(|e| from_sqlite(&path, &e))?;
        self.next = next;
        self.db = Some(db);
        Ok(())
    }

    /// Writes the write-ahead log anew. After a failed `fsync` the system may take pages for written that never
    /// reached the disk, and a second `fsync` says that all is well: only what is written again is safe.
    /// Nobody may have the log open.
    fn rewrite_wal(&self) -> Result<(), EngineError> {
        let wal = self.folder.wal();
        let new = self.folder.path().join("log.db-wal.new");
        folder::remove(&new)?;
        let mut from = match std::fs::File::open(&wal) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(from_io(&wal, &error)),
        };
        let mut copy = || {
            let mut to = folder::create_private(&new)?;
            std::io::copy(&mut from, &mut to).map_err(|e| from_io(&new, &e))?;
            to.sync_all().map_err(|e| from_io(&new, &e))?;
            std::fs::rename(&new, &wal).map_err(|e| from_io(&wal, &e))
        };
        if let Err(error) = copy() {
            // On a full disk it would take the last room. That it cannot be removed says less than why it is of no use.
            let _ = folder::remove(&new);
            return Err(error);
        }
        // It describes the old file.
        folder::remove(&self.folder.shm())?;
        folder::sync(self.folder.path())
    }

    /// Removes a client piece by piece, its session last: after a purge that was cut short the client is still there
    /// to be purged.
    fn purge_client(&mut self, client: &str) -> Result<(), EngineError> {
        let next = self.next;
        let mut after = 0;
        loop {
            let bytes = self.bytes;
            let piece = self
                .transact_at_any_price(|tx| retain::purge_lines(tx, client, after, next, bytes))?;
            self.bytes = self.bytes.saturating_sub(piece.bytes);
            match piece.seen {
                Some(seen) => after = seen,
                None => break,
            }
        }
        self.changes.doubt();
        self.transact_at_any_price(|tx| retain::purge_rest(tx, client))?;
        self.changes = Changes::default();
        Ok(())
    }
}
