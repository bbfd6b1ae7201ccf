//! From SQLite's errors to the log's.

use std::path::Path;

use rusqlite::ffi;
use rusqlite::{Error, ErrorCode};

use super::probe;
use crate::log::EngineError;

/// Returns an error of SQLite as one of the store at `path`.
pub(super) fn from_sqlite(path: &Path, error: &Error) -> EngineError {
    if let Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) =
        error.sqlite_error_code()
    {
        return denied(path, error);
    }
    let path = path.display().to_string();
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => EngineError::Full,
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            EngineError::Damaged { path, why: error.to_string() }
        }
        // SQLite's own words are few: "disk I/O error".
        Some(_) => {
            let code = error.sqlite_error().map_or(0, |error| error.extended_code);
            EngineError::Io { path, why: format!("{error} (SQLite's code {code})") }
        }
        // A value that no server has written.
        None if matches!(
            error,
            Error::FromSqlConversionFailure(..)
                | Error::IntegralValueOutOfRange(..)
                | Error::InvalidColumnType(..)
                | Error::Utf8Error(..)
        ) =>
        {
            EngineError::Damaged { path, why: error.to_string() }
        }
        None => EngineError::Io { path, why: error.to_string() },
    }
}

/// Returns an error of SQLite while it wrote the file at `path`. With a quota, its own words do not say that there is
/// no room.
pub(super) fn from_writing(path: &Path, error: &Error) -> EngineError {
    let failed = error.sqlite_error().map_or(ffi::SQLITE_OK, |error| error.extended_code);
    let failed = matches!(failed, ffi::SQLITE_IOERR_WRITE | ffi::SQLITE_IOERR_SHMSIZE);
    // Nothing was stored then: the frame that makes a transaction count is the last to be written.
    match failed && probe::is_full_beside(path) {
        true => EngineError::Full,
        false => from_sqlite(path, error),
    }
}

/// Returns an error of the operating system as one of the store at `path`.
pub(super) fn from_io(path: &Path, error: &std::io::Error) -> EngineError {
    match probe::is_full(error) {
        true => EngineError::Full,
        false if is_denied(error) => denied(path, error),
        false => EngineError::Io { path: path.display().to_string(), why: error.to_string() },
    }
}

fn is_denied(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem
    )
}

/// Returns that `path` may not be used, and whom what is there belongs to.
fn denied(path: &Path, why: impl std::fmt::Display) -> EngineError {
    use std::os::unix::fs::MetadataExt;

    let ours = rustix::process::geteuid().as_raw();
    let above = path.ancestors().find_map(|path| Some((path, path.metadata().ok()?)));
    let owner = match above {
        Some((there, data)) if data.uid() != ours => {
            format!("; {} belongs to user {}, and this is user {ours}", there.display(), data.uid())
        }
        _ => String::new(),
    };
    EngineError::Denied { path: path.display().to_string(), why: format!("{why}{owner}") }
}

/// Returns that the contents of `path` are not what the log would have written.
pub(super) fn damaged(path: &Path, why: impl Into<String>) -> EngineError {
    EngineError::Damaged { path: path.display().to_string(), why: why.into() }
}

/// Returns that the log at `path` is not open any more.
pub(super) fn not_open(path: &Path) -> EngineError {
    EngineError::Io {
        path: path.display().to_string(),
        why: "it could not be opened again after an error of its disk".into(),
    }
}
