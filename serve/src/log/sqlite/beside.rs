//! Consumers, and lines that wait for clients, of a log in a folder, while no server answers for it.

use std::path::Path;
use std::sync::Arc;

use super::admin::read_only;
use super::error::from_sqlite;
use super::folder::FILE;
use super::{Sqlite, identity, meta, schema, tables};
use crate::log::{
    Commit, ConsumerError, ConsumerStatus, Cursor, Engine, EngineError, LogName, OutboxRow,
};

/// Lines that wait for clients, and those that a restore has left undetermined, each in the order of clients and rows.
pub type Waiting = (Vec<OutboxRow>, Vec<OutboxRow>);

impl Sqlite {
    /// Returns the identity of the log in a folder, also while a server uses it.
    ///
    /// # Errors
    /// If there is no log, or it cannot be read.
    pub fn name(folder: &Path) -> Result<LogName, EngineError> {
        look(folder, |db| {
            Ok(LogName {
                id: meta::get(db, "id")?.unwrap_or_default(),
                generation: meta::get(db, "generation")?.unwrap_or(1),
            })
        })
    }

    /// Returns the offset of the newest line of the log in a folder, also while a server uses it; 0: there never was one.
    ///
    /// # Errors
    /// If there is no log, or it cannot be read.
    pub fn head(folder: &Path) -> Result<u64, EngineError> {
        look(folder, |db| Ok(tables::next(db)? - 1))
    }

    /// Returns the consumers of the log in a folder, also while a server uses it: none of them runs, as far as this
    /// process knows.
    ///
    /// # Errors
    /// If there is no log, or it cannot be read.
    pub fn consumers(folder: &Path) -> Result<Vec<ConsumerStatus>, EngineError> {
        look(folder, |db| {
            let head = tables::next(db)? - 1;
            let whole = tables::cursors(db)?.into_iter().filter(|cursor| cursor.client.is_empty());
            let status = |Cursor { consumer, offset, .. }| ConsumerStatus {
                name: consumer,
                required: false,
                running: false,
                offset,
                lag: head.saturating_sub(offset),
                failing: Vec::new(),
                failing_clients: 0,
                stalled: None,
            };
            Ok(whole.map(status).collect())
        })
    }

    /// Returns the lines to clients in the log in a folder, also while a server uses it. Those of a backup that was
    /// put there are undetermined, although no server has opened it since.
    ///
    /// # Errors
    /// If there is no log, or it cannot be read.
    pub fn waiting(folder: &Path) -> Result<Waiting, EngineError> {
        look(folder, |db| {
            let (waiting, mut held) = (tables::outbox(db, false)?, tables::outbox(db, true)?);
            if !identity::is_foreign(db, folder)? {
                return Ok((waiting, held));
            }
            // As the next server does it: behind those that are held.
            for mut row in waiting {
                let of_client = held.iter().filter(|held| held.client == row.client);
                row.row = of_client.map(|held| held.row).max().unwrap_or(0) + 1;
                held.push(row);
            }
            held.sort_by(|a, b| (&a.client, a.row).cmp(&(&b.client, b.row)));
            Ok((Vec::new(), held))
        })
    }

    /// Removes a consumer. Not for an engine that a writer has.
    ///
    /// # Errors
    /// If there is none, or as for [`commit`](Engine::commit).
    pub fn remove_consumer(&mut self, name: &str) -> Result<(), ConsumerError> {
        self.find(name)?;
        let removed = vec![name.into()];
        Ok(self.commit(&Commit { removed, ..Commit::default() })?)
    }

    /// Gives a consumer another name; it keeps its place. Not for an engine that a writer has.
    ///
    /// # Errors
    /// If there is none, the name is taken, or as for [`commit`](Engine::commit).
    pub fn rename_consumer(&mut self, name: &str, to: &str) -> Result<(), ConsumerError> {
        let mut cursors = self.find(name)?;
        if name == to {
            return Ok(());
        }
        match self.find(to) {
            Err(ConsumerError::Unknown(_)) => {}
            Ok(taken) => {
                let offset = taken.iter().find(|cursor| cursor.client.is_empty());
                let offset = offset.map_or(0, |cursor| cursor.offset);
                return Err(ConsumerError::Taken { name: to.to_owned(), offset });
            }
            Err(error) => return Err(error),
        }
        let new: Arc<str> = to.into();
        for cursor in &mut cursors {
            cursor.consumer = Arc::clone(&new);
        }
        let removed = vec![name.into()];
        Ok(self.commit(&Commit { removed, cursors, ..Commit::default() })?)
    }

    /// Returns the places of a consumer.
    fn find(&mut self, name: &str) -> Result<Vec<Cursor>, ConsumerError> {
        let path = self.folder.log();
        let mut cursors = tables::cursors(self.db()?).map_err(|e| from_sqlite(&path, &e))?;
        cursors.retain(|cursor| *cursor.consumer == *name);
        match cursors.is_empty() {
            true => Err(ConsumerError::Unknown(name.to_owned())),
            false => Ok(cursors),
        }
    }
}

/// Reads from the log in a folder, as of one moment.
fn look<T>(
    folder: &Path,
    read: impl FnOnce(&rusqlite::Connection) -> rusqlite::Result<T>,
) -> Result<T, EngineError> {
    let path = folder.join(FILE);
    let db = read_only(&path)?;
    schema::version(&db, &path, schema::STEPS.len())?;
    let all = || {
        let tx = db.unchecked_transaction()?;
        let value = read(&tx)?;
        tx.commit()?;
        Ok(value)
    };
    all().map_err(|e| from_sqlite(&path, &e))
}
