//! From SQLite's errors to the log's.

use std::path::Path;

use rusqlite::ffi;
use rusqlite::{Error, ErrorCode};

use crate::log::EngineError;

/// Returns an error of SQLite as one of the store at `path`.
pub(super) fn from_sqlite(path: &Path, error: &Error) -> EngineError {
    let path = path.display().to_string();
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => EngineError::Full,
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            EngineError::Damaged { path, why: error.to_string() }
        }
        _ => EngineError::Io { path, why: error.to_string() },
    }
}

/// Returns true if SQLite could not write for a reason that it does not give. With a quota instead of a full
/// disk, this is what it says.
pub(super) fn is_failed_write(error: &Error) -> bool {
    error.sqlite_error().is_some_and(|error| error.extended_code == ffi::SQLITE_IOERR_WRITE)
}

/// Returns an error of the operating system as one of the store at `path`.
pub(super) fn from_io(path: &Path, error: &std::io::Error) -> EngineError {
    use std::io::ErrorKind::{QuotaExceeded, StorageFull};
    match error.kind() {
        StorageFull | QuotaExceeded => EngineError::Full,
        _ => EngineError::Io { path: path.display().to_string(), why: error.to_string() },
    }
}

/// Returns that the contents of `path` are not what the log would have written.
pub(super) fn damaged(path: &Path, why: impl Into<String>) -> EngineError {
    EngineError::Damaged { path: path.display().to_string(), why: why.into() }
}
