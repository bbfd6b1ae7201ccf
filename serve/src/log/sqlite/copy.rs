//! A log on disk that is the copy of one in a stream, which several servers share.
//!
//! With each record of the stream that is in the copy, the copy has its *place*: the record's number. Both become durable
//! together, so that a copy that a power cut has set back goes on from where it is. It has no nonce, as logs of one
//! server have: an older copy that is put in its place is no restored log, but one that is a little behind.

use std::path::Path;

use rusqlite::{Connection, Transaction};

use super::changes::{self, Changes};
use super::error::from_sqlite;
use super::folder::Folder;
use super::{Ownership, Sqlite, meta, tables};
use crate::log::engine::EngineError;
use crate::log::model::{Commit, Loaded, LogName};

/// Name of the place among single values.
const PLACE: &str = "place";

/// Name of the places of full states among single values.
const STATES: &str = "states";

/// Name of the claim of the gateway that leads as of the place.
const CLAIM: &str = "claim";

/// All tables but that of single values.
const TABLES: [&str; 7] =
    ["lines", "sessions", "session_changes", "outbox", "keys", "cursors", "events"];

/// Takes an open file for a copy.
///
/// # Errors
/// If it is a log of its own: another server would write over it.
pub(super) fn adopt(db: &Connection, path: &Path) -> Result<(), EngineError> {
    let nonce: Option<String> = meta::get(db, "nonce").map_err(|e| from_sqlite(path, &e))?;
    match nonce {
        None => Ok(()),
        Some(_) => Err(EngineError::Io {
            path: path.display().to_string(),
            why: "it is the log of a server that shares it with nobody: choose another folder with --state, \
                  or move this one away"
                .into(),
        }),
    }
}

/// Refuses a copy as a log of its own: what is written to it, the servers that share the log would never see.
///
/// # Errors
/// If it is a copy. A backup of one is none.
pub(super) fn refuse(db: &Connection, path: &Path) -> Result<(), EngineError> {
    let read = || Ok((meta::get::<u64>(db, PLACE)?, meta::get::<String>(db, "nonce")?));
    match read().map_err(|e| from_sqlite(path, &e))? {
        (Some(_), None) => Err(EngineError::Io {
            path: path.display().to_string(),
            why: "it is the copy of a log that several servers share: give the store with --store, or choose another \
                  folder with --state"
                .into(),
        }),
        _ => Ok(()),
    }
}

/// The place of a full state of the log in the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::log) struct StatePlace {
    /// The number of its first part.
    pub(in crate::log) place: u64,
    /// Lines from this offset on come behind it.
    pub(in crate::log) next: u64,
}

impl Sqlite {
    /// Opens the copy in a folder, and makes both if they do not exist.
    ///
    /// # Errors
    /// As for [`open`](Self::open), and if the folder has a log of its own.
    pub fn open_copy(path: &Path) -> Result<Self, EngineError> {
        Self::open_folder(Folder::take(path)?, Ownership::Copy)
    }

    /// Returns the number of the last record that is in the copy; 0: none is.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(in crate::log) fn place(&mut self) -> Result<u64, EngineError> {
        self.read(|db| Ok(meta::get(db, PLACE)?.unwrap_or(0)))
    }

    /// Returns the log's identity; the id is empty as long as none was set.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(in crate::log) fn shared_name(&mut self) -> Result<LogName, EngineError> {
        self.read(|db| {
            let generation = meta::get(db, "generation")?.unwrap_or(1);
            Ok(LogName { id: meta::get(db, "id")?.unwrap_or_default(), generation })
        })
    }

    /// Stores a commit that is record `place` of the stream.
    ///
    /// # Errors
    /// As for [`Engine::commit`](crate::log::Engine::commit).
    pub(in crate::log) fn commit_at(
        &mut self,
        commit: &Commit,
        place: u64,
    ) -> Result<(), EngineError> {
        self.store(commit, |tx| meta::set(tx, PLACE, place))
    }

    /// Notes that all records up to `place` are in the copy.
    ///
    /// # Errors
    /// As for [`Engine::commit`](crate::log::Engine::commit).
    pub(in crate::log) fn note_place(&mut self, place: u64) -> Result<(), EngineError> {
        self.transact_at_any_price(|tx| meta::set(tx, PLACE, place))
    }

    /// Notes that record `place` is the claim of a gateway that leads, and the log's identity if it has none.
    ///
    /// # Errors
    /// As for [`Engine::commit`](crate::log::Engine::commit).
    pub(in crate::log) fn note_claim(
        &mut self,
        place: u64,
        name: &LogName,
        claim: &str,
    ) -> Result<(), EngineError> {
        self.transact_at_any_price(|tx| {
            set_name(tx, name)?;
            meta::set(tx, CLAIM, claim)?;
            meta::set(tx, PLACE, place)
        })
    }

    /// Returns the claim of the gateway that leads as of the place; `None`: it is not known.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(in crate::log) fn claim(&mut self) -> Result<Option<String>, EngineError> {
        let claim: Option<String> = self.read(|db| meta::get(db, CLAIM))?;
        Ok(claim.filter(|claim| !claim.is_empty()))
    }

    /// Returns the places of full states, oldest first.
    ///
    /// # Errors
    /// If they cannot be read.
    pub(in crate::log) fn states(&mut self) -> Result<Vec<StatePlace>, EngineError> {
        let text: Option<String> = self.read(|db| meta::get(db, STATES))?;
        let pairs: Vec<(u64, u64)> =
            serde_json::from_str(text.as_deref().unwrap_or("[]")).unwrap_or_default();
        Ok(pairs.into_iter().map(|(place, next)| StatePlace { place, next }).collect())
    }

    /// Notes the places of full states, and that all records up to `place` are in the copy.
    ///
    /// # Errors
    /// As for [`Engine::commit`](crate::log::Engine::commit).
    pub(in crate::log) fn note_states(
        &mut self,
        states: &[StatePlace],
        place: u64,
    ) -> Result<(), EngineError> {
        let pairs: Vec<_> = states.iter().map(|state| (state.place, state.next)).collect();
        let text = serde_json::to_string(&pairs).unwrap_or_default();
        self.transact_at_any_price(|tx| {
            meta::set(tx, STATES, &text)?;
            meta::set(tx, PLACE, place)
        })
    }

    /// Empties the copy and fills it with a full state, which ends with record `place`. Lines are not part of it.
    ///
    /// # Errors
    /// As for [`Engine::commit`](crate::log::Engine::commit).
    pub(in crate::log) fn refill(&mut self, state: &Loaded, place: u64) -> Result<(), EngineError> {
        let held = state.undetermined.iter().map(|row| (row.client.clone(), i64::MAX as u64));
        // One after the other: lines that are held, then those that wait, which may have the same numbers.
        let steps = [
            Commit { outbox: state.undetermined.clone(), ..Commit::default() },
            Commit { undetermined: held.collect(), ..Commit::default() },
            Commit {
                sessions: state.sessions.clone(),
                outbox: state.outbox.clone(),
                keys: state.keys.clone(),
                cursors: state.cursors.clone(),
                alive_ms: Some(state.alive_ms),
                hold_ms: Some(state.hold_ms),
                ..Commit::default()
            },
        ];
        self.changes.doubt();
        self.transact(|tx| {
            for table in TABLES {
                tx.execute(&format!("DELETE FROM {table}"), [])?;
            }
            for step in &steps {
                tables::store(tx, step, &Changes::default())?;
            }
            changes::fold(tx)?;
            set_name(tx, &state.name)?;
            // It is in none of the messages that are left.
            meta::set(tx, CLAIM, "")?;
            let values = [
                ("first", state.next),
                ("next", state.next),
                ("next_event", state.next_event),
                ("bytes", 0),
                ("counted", state.next),
                (PLACE, place),
            ];
            values.iter().try_for_each(|(name, value)| meta::set(tx, name, value))
        })?;
        self.changes = Changes::default();
        (self.next, self.bytes) = (state.next, 0);
        Ok(())
    }

    fn read<T>(
        &mut self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, EngineError> {
        let path = self.folder.log();
        read(self.db()?).map_err(|e| from_sqlite(&path, &e))
    }
}

fn set_name(tx: &Transaction<'_>, name: &LogName) -> rusqlite::Result<()> {
    meta::set(tx, "id", &name.id)?;
    meta::set(tx, "generation", name.generation)
}
