//! The store of the log: its trait, and its errors.

use std::sync::Arc;

use super::model::{Commit, EventRow, Line, Loaded};

/// A store of the log. One thread, the writer, calls it; readers have a [`Reader`].
pub trait Engine: Send + 'static {
    /// Returns the contents, once, before the first commit.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn load(&mut self) -> Result<Loaded, EngineError>;

    /// Stores all of `commit`, or nothing. When it returns, the data survive whatever the engine promises
    /// to survive.
    ///
    /// # Errors
    /// [`EngineError::Full`]: nothing was stored, and the same commit may be tried again when there is
    /// room. Others: it is not known whether it was stored. After [`reopen`](Self::reopen) the same commit is
    /// tried again; one that was stored is not changed by that. With [`EngineError::Unavailable`] it is tried
    /// again without that.
    fn commit(&mut self, commit: &Commit) -> Result<(), EngineError>;

    /// Returns true if other servers may take the place of this one: [`confirm`](Self::confirm) says whether one has.
    fn is_shared(&self) -> bool {
        false
    }

    /// Returns once it is certain that no other server had taken the place of this one when it was called.
    ///
    /// # Errors
    /// As for [`commit`](Self::commit), with nothing that could be stored.
    fn confirm(&mut self) -> Result<(), EngineError> {
        Ok(())
    }

    /// Opens the store anew after a commit failed for another reason than [`EngineError::Full`]: a disk that
    /// reports an error once may have lost what it said to have written before.
    ///
    /// # Errors
    /// If the store cannot be opened, or has lost what was committed: the server has to end.
    fn reopen(&mut self) -> Result<(), EngineError>;

    /// Deletes old lines, up to and including offset `limit` and never the newest one, as far as `retention` wants;
    /// deletes old events and keys, too. It does a bounded piece of work. Returns the offset of the oldest line
    /// that is left, and true if there is more to delete.
    ///
    /// # Errors
    /// As for [`commit`](Self::commit).
    fn retain(&mut self, retention: Retention, limit: u64) -> Result<(u64, bool), EngineError>;

    /// Removes the lines, session, outbox and cursors of a client.
    ///
    /// # Errors
    /// As for [`commit`](Self::commit).
    fn purge(&mut self, client: &str) -> Result<(), EngineError>;

    /// Returns true if what is committed survives the end of this process. Otherwise lines are acknowledged
    /// only when each required consumer has them.
    fn is_durable(&self) -> bool;

    /// Returns how much room there is for lines. Called about once a second.
    fn room(&mut self) -> Room {
        Room::Enough
    }

    /// Writes a copy of the store to `path`, which must not exist.
    ///
    /// # Errors
    /// If it cannot be written, or the engine has no such thing.
    fn backup(&mut self, path: &std::path::Path) -> Result<(), EngineError>;

    /// Returns a reader, for any number of tasks.
    fn reader(&self) -> Arc<dyn Reader>;

    /// Is called once, behind the last commit of a server that stops in good order.
    fn close(&mut self) {}
}

/// Limits of age and size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Lines, events and keys that are older go. Wall clock, in milliseconds since the Unix epoch; 0 keeps all.
    pub before_ms: u64,
    /// Bytes of lines that may stay.
    pub max_bytes: u64,
}

/// The room that is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// Lines can be taken.
    Enough,
    /// The rest is needed for cursors, lines to boards and a clean stop: lines have to wait.
    Short {
        /// Bytes that are free.
        free: u64,
        /// Bytes that have to be free.
        wanted: u64,
    },
}

/// Reads from a store. Its calls may wait for a disk: not for a task that serves sockets.
pub trait Reader: Send + Sync + 'static {
    /// Returns at most `limit` lines with offsets above `after`, in order; with `client`, only of this one.
    /// `scan` bounds the rows that are looked at. Returns, too, the offset up to which it has looked: without a
    /// line up to there that is not in the result.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn lines(
        &self,
        after: u64,
        limit: usize,
        scan: usize,
        client: Option<&str>,
    ) -> Result<(Vec<Line>, u64), EngineError>;

    /// Returns at most `limit` events with numbers above `after`, in order.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn events(&self, after: u64, limit: usize) -> Result<Vec<EventRow>, EngineError>;
}

/// Why a store cannot do what it should.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The disk is full.
    #[error("the disk is full")]
    Full,
    /// Nobody says now whether it was stored: what is elsewhere does not answer.
    #[error("the store of the log does not answer: {why}")]
    Unavailable {
        /// The reason, in words.
        why: String,
    },
    /// What is elsewhere has not answered for so long that another server may have taken the place of this one.
    #[error(
        "the store of the log has not answered for a while, so that another gateway may lead: {why}"
    )]
    CutOff {
        /// The reason, in words.
        why: String,
    },
    /// Another server has taken the place of this one.
    #[error("gateway {} leads now", .by.as_deref().unwrap_or("of another name"))]
    Replaced {
        /// Its name, if it is known.
        by: Option<String>,
    },
    /// Another server uses the folder.
    #[error(
        "{path} is in use by another pblink serve{}: stop that one, or choose another folder with --state",
        .pid.map(|pid| format!(" (process {pid})")).unwrap_or_default()
    )]
    InUse {
        /// The folder.
        path: String,
        /// Its process, if it has said so.
        pid: Option<u32>,
    },
    /// A newer program has written it.
    #[error(
        "{path} was written by a newer pblink (schema {found}, this one knows {known}): use that one, or \
         choose another folder with --state"
    )]
    Newer {
        /// The file.
        path: String,
        /// Its version.
        found: u32,
        /// The newest version that is known here.
        known: u32,
    },
    /// The folder is on a file system that does not keep its promises.
    #[error(
        "{path} is on a network file system ({kind}), where locks and durability cannot be relied upon: \
         choose a folder on a local disk with --state"
    )]
    Network {
        /// The folder.
        path: String,
        /// The name of the file system.
        kind: String,
    },
    /// The store is damaged, or is something else.
    #[error(
        "{path} is damaged or is no pblink log ({why}): restore a backup, or move it away to begin anew"
    )]
    Damaged {
        /// The file.
        path: String,
        /// The finding.
        why: String,
    },
    /// The folder, or a file in it, may not be used by this user.
    #[error(
        "{path} cannot be used by this user ({why}): give it to the user that runs the server, or choose another \
         folder with --state"
    )]
    Denied {
        /// The file or folder.
        path: String,
        /// The failure, in words, and whom it belongs to.
        why: String,
    },
    /// Any other fault of disk or store.
    #[error("{path}: {why}")]
    Io {
        /// The file or folder.
        path: String,
        /// The failure, in words.
        why: String,
    },
    /// The engine has no such function.
    #[error("lines are kept in memory only (--state off): there is nothing to {0}")]
    NotKept(&'static str),
}
