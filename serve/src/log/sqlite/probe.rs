//! A disk that is asked whether it takes a few bytes.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Returns true if a few bytes cannot be written beside `path`, because the disk or a quota is full, or files may not be as large.
pub(super) fn is_full_beside(path: &Path) -> bool {
    let probe = path.with_file_name("pblink-probe");
    // One of a process that was killed here.
    let _ = fs::remove_file(&probe);
    let write = || -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&probe)?;
        file.write_all(&[0; 64 * 1024])?;
        file.sync_all()
    };
    let full = write().is_err_and(|error| is_full(&error));
    let _ = fs::remove_file(&probe);
    full
}

/// Returns true if there was no room: on the disk, by a quota, or by a limit of the size of files (`ulimit -f`).
pub(super) fn is_full(error: &io::Error) -> bool {
    use ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}
