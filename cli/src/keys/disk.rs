//! Files that nobody else may read.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use zeroize::Zeroizing;

use super::quiet::leave_no_core;
use crate::settings::{CREDENTIALS, Problem, shell_word};

/// The longest file of keys, in bytes: some 10 000 boards.
const MAX_FILE: u64 = 4 << 20;

/// Reads a file. `None`: there is none.
///
/// # Errors
/// The file is a link, no file, too long, no text, or not of this user alone.
pub(super) fn read(path: &Path) -> Result<Option<Zeroizing<String>>, Problem> {
    leave_no_core();
    let whole = |message: String| Problem::of_file(path, message);
    let cannot = |e: io::Error| whole(format!("cannot read it: {e}"));
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::NOFOLLOW;
    let file = match File::options().read(true).custom_flags(flags.bits() as i32).open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        Err(e) if path.is_symlink() => {
            let hint = "it is a link, and is not followed: name the file itself";
            return Err(whole(format!("{hint} ({e})")));
        }
        Err(e) => return Err(cannot(e)),
    };
    // Asked of the open file, not of its path: nobody can exchange it in between.
    let metadata = file.metadata().map_err(cannot)?;
    if let Some(why) = refused(path, &metadata) {
        return Err(whole(why));
    }
    // Room for all of it: a text that moves leaves a copy behind.
    let room = metadata.len().min(MAX_FILE) as usize + 1;
    let mut text = Zeroizing::new(String::with_capacity(room));
    match file.take(MAX_FILE + 1).read_to_string(&mut text) {
        Ok(n) if n as u64 > MAX_FILE => {
            Err(whole("it is longer than 4 MB: it holds no keys".into()))
        }
        Ok(_) => Ok(Some(text)),
        Err(e) if e.kind() == ErrorKind::InvalidData => Err(whole("it must be UTF-8 text".into())),
        Err(e) => Err(cannot(e)),
    }
}

/// Returns the reason why a file may not be used.
fn refused(path: &Path, metadata: &Metadata) -> Option<String> {
    if !metadata.is_file() {
        return Some("the file of keys must be a regular file".into());
    }
    let users = Users::of_process();
    if !users.own(metadata.uid()) {
        return Some(format!(
            "it belongs to another user (uid {}): make it yours with `sudo chown $USER {}`",
            metadata.uid(),
            shell_word(path)
        ));
    }
    let mode = metadata.mode() & 0o7777;
    if is_closed(mode, is_credential(path, std::env::var_os(CREDENTIALS))) {
        return None;
    }
    Some(format!(
        "others can read the keys (mode {mode:04o}): close it with `chmod 600 {}`; if they could read it before, give \
         all boards new keys",
        shell_word(path)
    ))
}

/// Returns true if nobody but the owner can read a file of this mode. A credential of systemd belongs to root, and a list that
/// the mode does not show lets the service's user read it: then the mode's group is that list.
fn is_closed(mode: u32, credential: bool) -> bool {
    mode & 0o077 == 0 || credential && mode & 0o237 == 0
}

/// Returns true for a file in the folder of this service's credentials.
fn is_credential(path: &Path, folder: Option<std::ffi::OsString>) -> bool {
    let folder = folder.filter(|folder| !folder.is_empty());
    let real = |path: &Path| path.canonicalize().ok();
    let (Some(folder), Some(parent)) = (folder, path.parent()) else { return false };
    real(parent).is_some_and(|parent| Some(parent) == real(Path::new(&folder)))
}

/// The users whose files may be used.
#[derive(Debug, Clone, Copy)]
struct Users {
    me: u32,
    /// The one who has become root by sudo.
    before: Option<u32>,
}

impl Users {
    fn of_process() -> Self {
        let before = std::env::var("SUDO_UID").ok().and_then(|uid| uid.parse().ok());
        Self { me: rustix::process::geteuid().as_raw(), before }
    }

    /// Returns true if a file of this owner may be used: this user's, root's, and for root that of whoever has called sudo.
    fn own(self, owner: u32) -> bool {
        owner == self.me || owner == 0 || (self.me == 0 && self.before == Some(owner))
    }
}

/// Writes a file in one step, for its owner alone: a reader sees the old text or the new one, also after a power failure. A
/// file that is replaced keeps its owner.
///
/// # Errors
/// Of the file system; the old file is then still there.
pub(super) fn write(path: &Path, text: &str) -> io::Result<()> {
    let old = match path.symlink_metadata() {
        Ok(old) if old.is_file() => Some(old),
        Ok(_) => return Err(io::Error::other("something else than a file has its name")),
        Err(e) if e.kind() == ErrorKind::NotFound => None,
        Err(e) => return Err(e),
    };
    // rename() asks no permission of the file itself: without this, a read-only one is replaced.
    if old.is_some() {
        OpenOptions::new().write(true).open(path)?;
    }
    let folder = folder_of(path);
    let name = path.file_name().ok_or(ErrorKind::InvalidInput)?.to_string_lossy();
    let temporary = folder.join(format!(".{name}.{}.tmp", std::process::id()));
    // Of a process of this number that was killed.
    match std::fs::remove_file(&temporary) {
        Err(e) if e.kind() != ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let written = (|| {
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o600).open(&temporary)?;
        file.write_all(text.as_bytes())?;
        if let Some(old) = &old {
            let new = file.metadata()?;
            if (new.uid(), new.gid()) != (old.uid(), old.gid()) {
                std::os::unix::fs::fchown(&file, Some(old.uid()), Some(old.gid()))?;
            }
        }
        file.sync_all()?;
        std::fs::rename(&temporary, path)?;
        // The name is safe when its folder is.
        File::open(folder)?.sync_all()
    })();
    if written.is_err() {
        let _ = std::fs::remove_file(&temporary);
    }
    written
}

/// Returns the folder of a file.
pub(super) fn folder_of(path: &Path) -> PathBuf {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    parent.unwrap_or(Path::new(".")).to_owned()
}

/// Waits until no other process changes files of keys in this folder. It lasts until the result is dropped.
///
/// # Errors
/// The folder cannot be opened.
pub(super) fn lock(folder: &Path) -> io::Result<File> {
    let folder = File::open(folder)?;
    match folder.lock() {
        // A file system without locks: one change at a time is up to the user then.
        Err(e) if e.kind() == ErrorKind::Unsupported => Ok(folder),
        locked => locked.map(|()| folder),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_this_user_and_of_root_may_be_used_and_for_root_those_of_who_called_sudo() {
        for (me, before, owner, own) in [
            (1000, None, 1000, true),
            (1000, None, 0, true),
            (1000, None, 1001, false),
            (1000, Some(1001), 1001, false),
            (0, None, 0, true),
            (0, None, 1000, false),
            (0, Some(1000), 1000, true),
            (0, Some(1000), 1001, false),
        ] {
            assert_eq!(Users { me, before }.own(owner), own, "{me} {before:?} {owner}");
        }
    }

    #[test]
    fn only_the_owner_reads_and_of_a_credential_those_whom_its_list_names() {
        for (mode, credential, closed) in [
            (0o600, false, true),
            (0o400, false, true),
            (0o440, false, false),
            (0o440, true, true),
            (0o400, true, true),
            (0o444, true, false),
            (0o460, true, false),
            (0o600, true, true),
            (0o640, true, false),
        ] {
            assert_eq!(is_closed(mode, credential), closed, "{mode:o} {credential}");
        }
    }

    #[test]
    fn a_credential_is_a_file_in_that_folder_and_nowhere_else() {
        let folder = tempfile::tempdir().unwrap();
        let (own, other) = (folder.path().join("own"), folder.path().join("other"));
        for folder in [&own, &other] {
            std::fs::create_dir(folder).unwrap();
        }
        let given = Some(own.clone().into_os_string());
        assert!(is_credential(&own.join("pblink.keys.toml"), given.clone()));
        assert!(!is_credential(&other.join("pblink.keys.toml"), given.clone()));
        assert!(!is_credential(&other.join("../own/../other/x"), given));
        assert!(
            !is_credential(&own.join("x"), None) && !is_credential(&own.join("x"), Some("".into()))
        );
    }
}
