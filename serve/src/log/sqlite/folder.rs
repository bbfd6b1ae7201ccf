//! The folder of a log: who may use it, and which file system it is on.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::error::from_io;
use super::network;
use crate::log::EngineError;

/// The file of the log, in its folder.
pub(super) const FILE: &str = "log.db";

/// Only this user may read what boards sent.
const PRIVATE: u32 = 0o600;
const PRIVATE_FOLDER: u32 = 0o700;

/// Bytes that are set aside for cursors and a clean stop on a full disk.
pub(super) const RESERVE: u64 = 8 * 1024 * 1024;

/// A folder that this process has for itself, as long as the value lives.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    lock: File,
    /// Whoever had it before has not ended in order.
    was_killed: bool,
}

impl Folder {
    /// Takes a folder for this process, and makes it if it does not exist.
    ///
    /// # Errors
    /// If another process has it, it is on a network file system, or it cannot be made.
    pub(super) fn take(path: &Path) -> Result<Self, EngineError> {
        let made = !path.exists();
        if made {
            let mut builder = fs::DirBuilder::new();
            builder.recursive(true).mode(PRIVATE_FOLDER);
            builder.create(path).map_err(|e| match from_io(path, &e) {
                EngineError::Io { path, why } => EngineError::Io {
                    path,
                    why: format!("the folder of the log cannot be made: {why}"),
                },
                other => other,
            })?;
        }
        let path = path.canonicalize().map_err(|e| from_io(path, &e))?;
        let refused = network::refuse(&path);
        if refused.is_err() && made {
            // It stays empty, and a second attempt fails alike: no harm if it cannot be removed.
            let _ = fs::remove_dir(&path);
        }
        refused?;
        if is_ours(&path)? {
            let mode = fs::Permissions::from_mode(PRIVATE_FOLDER);
            fs::set_permissions(&path, mode).map_err(|e| from_io(&path, &e))?;
        }
        let (lock, was_killed) = lock(&path)?;
        Ok(Self { path, lock, was_killed })
    }

    /// Returns true if the process that had the folder before has not ended in order.
    pub(super) fn was_killed(&self) -> bool {
        self.was_killed
    }

    /// Notes that this process ends in order. To be called before its files are closed.
    pub(super) fn end(&self) {
        // An error costs a warning at the next start at most.
        let _ = self.lock.set_len(0);
    }

    /// Returns the path of the folder.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the path of the log's file.
    pub(super) fn log(&self) -> PathBuf {
        self.path.join(FILE)
    }

    /// Returns the path of the log's write-ahead log.
    pub(super) fn wal(&self) -> PathBuf {
        self.path.join("log.db-wal")
    }

    /// Returns the path of the index of the write-ahead log.
    pub(super) fn shm(&self) -> PathBuf {
        self.path.join("log.db-shm")
    }

    fn reserve(&self) -> PathBuf {
        self.path.join("reserve")
    }

    /// Sets bytes aside for a full disk, unless that is done. False: there is no room for them.
    pub(super) fn make_reserve(&self) -> bool {
        let path = self.reserve();
        if fs::metadata(&path).is_ok_and(|data| data.len() == RESERVE) {
            return true;
        }
        let made = remove(&path).and_then(|()| {
            let mut file = create_private(&path)?;
            // Written, and not only allocated: some file systems promise nothing for the latter.
            let zeros = vec![0; 64 * 1024];
            for _ in 0..RESERVE / zeros.len() as u64 {
                file.write_all(&zeros).map_err(|e| from_io(&path, &e))?;
            }
            file.sync_all().map_err(|e| from_io(&path, &e))
        });
        if made.is_err() {
            let _ = remove(&path);
        }
        made.is_ok()
    }

    /// Gives up the bytes that were set aside. False: there were none.
    pub(super) fn give_up_reserve(&self) -> bool {
        fs::remove_file(self.reserve()).is_ok()
    }

    /// Returns the bytes that are free for this user, if that can be known.
    pub(super) fn free(&self) -> Option<u64> {
        let disk = rustix::fs::statvfs(&self.path).ok()?;
        Some(disk.f_bavail.saturating_mul(disk.f_frsize))
    }

    /// Replaces the contents of a small file as a whole, and waits until they are on the disk.
    ///
    /// # Errors
    /// If it cannot be written; the old contents are there then.
    pub(super) fn replace(&self, name: &str, contents: &str) -> Result<(), EngineError> {
        let new = self.path.join(format!("{name}.new"));
        remove(&new)?;
        let mut file = create_private(&new)?;
        file.write_all(contents.as_bytes()).map_err(|e| from_io(&new, &e))?;
        file.sync_all().map_err(|e| from_io(&new, &e))?;
        let path = self.path.join(name);
        fs::rename(&new, &path).map_err(|e| from_io(&path, &e))?;
        sync(&self.path)
    }

    /// Returns the contents of a small file, if it is there.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(super) fn read(&self, name: &str) -> Result<Option<String>, EngineError> {
        let path = self.path.join(name);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(from_io(&path, &error)),
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        self.end();
        // Closing is not enough: a child that is being started holds a copy of the file for a moment. An error
        // leaves it to the end of the process.
        let _ = self.lock.unlock();
    }
}

/// Returns true if the mode of a folder is ours to set: nothing else is in it.
fn is_ours(path: &Path) -> Result<bool, EngineError> {
    if path.join(FILE).exists() {
        return Ok(true);
    }
    let mut entries = fs::read_dir(path).map_err(|e| from_io(path, &e))?;
    Ok(entries.next().is_none())
}

/// Locks a folder for this process, and writes down which one it is. Returns true, too, if the number of another was
/// left there: it did not end in order.
fn lock(path: &Path) -> Result<(File, bool), EngineError> {
    let name = path.join("lock");
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(PRIVATE)
        .open(&name)
        .map_err(|e| from_io(&name, &e))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(fs::TryLockError::WouldBlock) => {
            let mut text = String::new();
            // Without its number the message is shorter.
            let _ = file.read_to_string(&mut text);
            let pid = text.trim().parse().ok();
            return Err(EngineError::InUse { path: path.display().to_string(), pid });
        }
        Err(fs::TryLockError::Error(error)) => return Err(from_io(&name, &error)),
    }
    let mut left = [0];
    let was_killed = file.read(&mut left).is_ok_and(|bytes| bytes > 0);
    // The number helps people only: a full disk must not keep a server from starting.
    let _ = file
        .set_len(0)
        .and_then(|()| file.rewind())
        .and_then(|()| writeln!(file, "{}", std::process::id()));
    Ok((file, was_killed))
}

/// Makes an empty file that only this user can read.
///
/// # Errors
/// If it exists, or cannot be made.
pub(super) fn create_private(path: &Path) -> Result<File, EngineError> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(PRIVATE);
    options.open(path).map_err(|e| from_io(path, &e))
}

/// Removes a file, if it is there.
///
/// # Errors
/// If it is there and stays.
pub(super) fn remove(path: &Path) -> Result<(), EngineError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(from_io(path, &error)),
        _ => Ok(()),
    }
}

/// Waits until a file or folder that nobody has open is on the disk.
///
/// # Errors
/// If the disk reports one.
pub(super) fn sync(path: &Path) -> Result<(), EngineError> {
    File::open(path).and_then(|file| file.sync_all()).map_err(|e| from_io(path, &e))
}
