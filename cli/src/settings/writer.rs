//! Writes `pblink.toml` and the secrets file: nothing is overwritten by accident, and a reader never sees half a file.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

use toml_edit::DocumentMut;

use super::Secret;
use super::problem::BYTE_ORDER_MARK;
use super::secrets::{SECRETS_KEY, open_secrets};

/// Creates a file that must not exist yet; leaves nothing behind when writing fails.
///
/// # Errors
/// `AlreadyExists` among others.
pub(crate) fn create_new(path: &Path, text: &str) -> io::Result<()> {
    create(path, text, OpenOptions::new().write(true).create_new(true))
}

/// As [`create_new`], for its owner alone.
///
/// # Errors
/// As [`create_new`].
pub(crate) fn create_private(path: &Path, text: &str) -> io::Result<()> {
    create(path, text, &private())
}

/// Creates the secrets file, which must not exist yet: from its first moment only the owner can
/// read it.
///
/// # Errors
/// As [`create_new`].
pub(crate) fn create_secrets(path: &Path, password: &Secret) -> io::Result<()> {
    create(path, &secrets_text(password), &private())
}

/// Puts another password into the secrets file, which may exist.
///
/// # Errors
/// Of the file system, and `InvalidInput` when the file is something else than a secrets file; its
/// content is then still there.
pub(crate) fn replace_secrets(path: &Path, password: &Secret) -> io::Result<()> {
    match create_secrets(path, password) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
            must_be_secrets(path)?;
            swap(path, &secrets_text(password), Mode::Private)
        }
        done => done,
    }
}

/// Removes the secrets file and, if `path` is a link to it, that link. Returns false if there is none.
///
/// # Errors
/// As [`replace_secrets`], and for a link to nowhere: the file may be on a drive that is not there now.
pub(crate) fn remove_secrets(path: &Path) -> io::Result<bool> {
    match (must_be_secrets(path), path.read_link()) {
        (Err(e), Ok(target)) if e.kind() == io::ErrorKind::NotFound => {
            let target = target.display();
            let what =
                format!("it is a link to {target}, which does not exist; remove the link yourself");
            Err(io::Error::new(e.kind(), what))
        }
        (Err(e), Err(_)) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        (Err(e), _) => Err(e),
        (Ok(()), link) => {
            // First the password: a link without it harms nobody.
            std::fs::remove_file(path.canonicalize()?)?;
            match link {
                Ok(_) => std::fs::remove_file(path).map(|()| true),
                Err(_) => Ok(true),
            }
        }
    }
}

/// Checks that a file is a secrets file: one wrong `wifi.secrets` must not cost the user another file.
fn must_be_secrets(path: &Path) -> io::Result<()> {
    let what = "it is not a secrets file; correct `wifi.secrets`, or remove that file";
    let other = || io::Error::new(io::ErrorKind::InvalidInput, what);
    let mut old = String::new();
    let file = open_secrets(path)?;
    if !file.metadata()?.is_file() {
        return Err(other());
    }
    file.take(super::MAX_FILE).read_to_string(&mut old).map_err(|_| other())?;
    if old.lines().all(is_of_secrets) { Ok(()) } else { Err(other()) }
}

/// Returns true for a line that may stand in a secrets file, be its value broken.
fn is_of_secrets(line: &str) -> bool {
    let line = line.trim_start_matches(BYTE_ORDER_MARK).trim();
    line.is_empty() || line.starts_with('#') || line.starts_with(SECRETS_KEY)
}

fn secrets_text(password: &Secret) -> String {
    let mut document = DocumentMut::new();
    document.insert(SECRETS_KEY, toml_edit::value(password.expose()));
    format!("# Keep this file to yourself (mode 0600) and out of version control.\n{document}")
}

/// Returns the options for a new file that only its owner can read, and that no link leads to.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

fn create(path: &Path, text: &str, options: &OpenOptions) -> io::Result<()> {
    let mut file = options.open(path)?;
    write_through(&mut file, text).inspect_err(|_| {
        let _ = std::fs::remove_file(path);
    })
}

fn write_through(file: &mut File, text: &str) -> io::Result<()> {
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// Replaces the content of a file in one step: a reader sees the old text or the new one. Keeps
/// the permissions; a symbolic link stays one, its target is replaced. A file that cannot be replaced,
/// since it is mounted by itself or stands in a folder that cannot be written, is written in place.
///
/// # Errors
/// Of the file system; the old content is then still there.
pub(crate) fn replace(path: &Path, text: &str) -> io::Result<()> {
    swap(path, text, Mode::Kept)
}

/// As [`replace`], but creates the file, for its owner alone, when there is none.
///
/// # Errors
/// As [`replace`].
pub(crate) fn put(path: &Path, text: &str) -> io::Result<()> {
    match create(path, text, &private()) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => replace(path, text),
        done => done,
    }
}

/// As [`put`], but whatever was there before, only its owner can read the file afterwards.
///
/// # Errors
/// As [`replace`].
pub(crate) fn put_private(path: &Path, text: &str) -> io::Result<()> {
    match create(path, text, &private()) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => swap(path, text, Mode::Private),
        done => done,
    }
}

/// The mode of a file that was replaced.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Kept,
    /// Only its owner can read it.
    Private,
}

fn swap(path: &Path, text: &str, mode: Mode) -> io::Result<()> {
    let target = path.canonicalize()?;
    // rename() asks no permission of the file itself: without this, a read-only one is replaced.
    let mut old_file = OpenOptions::new().read(true).write(true).open(&target)?;
    let old = old_file.metadata()?;
    let temporary = temporary(&target);
    let mut file = match private().open(&temporary) {
        Ok(file) => file,
        Err(e) if is_closed(&e) => return rewrite(&mut old_file, text, mode),
        Err(e) => return Err(e),
    };
    let swapped = write_through(&mut file, text)
        .and_then(|()| keep_owner(&file, &old))
        .and_then(|()| match mode {
            Mode::Kept => file.set_permissions(old.permissions()),
            Mode::Private => Ok(()),
        })
        .and_then(|()| match std::fs::rename(&temporary, &target) {
            // It is a mount point of its own. The new text lies beside it until it is in it, too.
            Err(e) if e.kind() == io::ErrorKind::ResourceBusy => {
                rewrite(&mut old_file, text, mode).and_then(|()| std::fs::remove_file(&temporary))
            }
            renamed => renamed,
        });
    if swapped.is_err() {
        let _ = std::fs::remove_file(&temporary);
    }
    swapped
}

fn temporary(target: &Path) -> PathBuf {
    let folder = target.parent().unwrap_or(Path::new("/"));
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    folder.join(format!(".{name}.{}.tmp", std::process::id()))
}

/// Returns true when nothing can be created in a folder.
fn is_closed(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem)
}

/// Writes a file in place. What makes it longer is written first: a full disk is noticed while the old
/// text is still there. When writing fails all the same, the old text is put back.
fn rewrite(file: &mut File, text: &str, mode: Mode) -> io::Result<()> {
    let mut old = Vec::new();
    file.rewind()?;
    Read::by_ref(file).take(super::MAX_FILE).read_to_end(&mut old)?;
    let new = text.as_bytes();
    let common = old.len().min(new.len());
    let overwrite = |file: &mut File, bytes: &[u8]| {
        file.seek(io::SeekFrom::Start(common as u64))?;
        file.write_all(&bytes[common..])?;
        file.sync_data()?;
        file.rewind()?;
        file.write_all(&bytes[..common])?;
        file.set_len(bytes.len() as u64)?;
        file.sync_all()
    };
    overwrite(file, new).inspect_err(|_| {
        let _ = file.set_len(old.len() as u64);
        let _ = overwrite(file, &old);
    })?;
    match mode {
        Mode::Kept => Ok(()),
        Mode::Private => close(file),
    }
}

/// Leaves a file to its owner alone.
#[cfg(unix)]
fn close(file: &File) -> io::Result<()> {
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))
}

#[cfg(not(unix))]
fn close(_file: &File) -> io::Result<()> {
    Ok(())
}

/// Keeps a file the user's when root edits it.
#[cfg(unix)]
fn keep_owner(file: &File, old: &std::fs::Metadata) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt;
    let new = file.metadata()?;
    if (new.uid(), new.gid()) == (old.uid(), old.gid()) {
        return Ok(());
    }
    std::os::unix::fs::fchown(file, Some(old.uid()), Some(old.gid()))
}

#[cfg(not(unix))]
fn keep_owner(_file: &File, _old: &std::fs::Metadata) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_written_in_place_has_the_new_text_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, "old text").unwrap();
        for text in ["a longer text than before", "short", "", "again"] {
            let mut file = OpenOptions::new().read(true).write(true).open(&path).unwrap();
            rewrite(&mut file, text, Mode::Kept).unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_link_in_place_of_a_new_file_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("register.toml");
        std::os::unix::fs::symlink("elsewhere", &path).unwrap();
        put(&path, "text").unwrap_err();
        assert!(!folder.path().join("elsewhere").exists());
    }

    #[cfg(unix)]
    #[test]
    fn no_password_stays_behind_a_link_and_one_to_nowhere_is_not_called_absent() {
        let folder = tempfile::tempdir().unwrap();
        let (target, link) = (folder.path().join("target"), folder.path().join("link"));
        std::os::unix::fs::symlink("target", &link).unwrap();
        let dangling = remove_secrets(&link).unwrap_err();
        assert!(dangling.to_string().contains("a link to target"), "{dangling}");
        assert!(link.is_symlink());
        std::fs::write(&target, "wifi_password = \"hunter2hunter2\"\n").unwrap();
        assert!(remove_secrets(&link).unwrap());
        assert!(!target.exists() && !link.is_symlink());
        assert!(!remove_secrets(&link).unwrap());
    }
}
