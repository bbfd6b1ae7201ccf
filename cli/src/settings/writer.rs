//! Writes `pblink.toml` and the secrets file: comments stay, nothing is overwritten by accident,
//! and a reader never sees half a file.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

use toml_edit::{DocumentMut, Item};

use super::problem::BYTE_ORDER_MARK;
use super::secrets::{SECRETS_KEY, open_secrets};
use super::{Entry, Secret, Settings, Value};

/// The commented file that `config init` starts from.
pub(super) const TEMPLATE: &str = pblink_templates::PBLINK_TOML;

/// Returns the template with the values of `settings` in it.
pub(crate) fn filled_template(settings: &Settings) -> String {
    super::KEYS.iter().fold(TEMPLATE.to_owned(), |text, entry| {
        with_value(&text, entry, &entry.get(settings)).expect("the template is valid TOML")
    })
}

/// Returns `text` with another value for one key. Comments and layout stay; a key or section that
/// is not there yet is added.
///
/// # Errors
/// When `text` is not TOML, or what stands for a section is not one.
pub(crate) fn with_value(text: &str, entry: &Entry, value: &Value) -> Result<String, String> {
    with_value_at(text, entry.path, value)
}

/// As [`with_value`], for a key with the number of the list's section that it stands in, as in `board[1].log`.
///
/// # Errors
/// Also when there is no such section.
pub(crate) fn with_value_at(text: &str, path: &str, value: &Value) -> Result<String, String> {
    let (mark, text) = match text.strip_prefix(BYTE_ORDER_MARK) {
        Some(text) => ("\u{feff}", text),
        None => ("", text),
    };
    let mut document: DocumentMut = text.parse().map_err(|e: toml_edit::TomlError| {
        // Without the excerpt that `Display` adds: it could show a password.
        e.message().to_owned()
    })?;
    let (sections, name) = path.rsplit_once('.').unwrap_or(("", path));
    let mut table: &mut dyn toml_edit::TableLike = document.as_table_mut();
    for section in sections.split('.').filter(|section| !section.is_empty()) {
        // One of a list: `board[1]`.
        if let Some((list, n)) = section.strip_suffix(']').and_then(|name| name.split_once('[')) {
            let list = table.get_mut(list).and_then(Item::as_array_of_tables_mut);
            let element = n.parse().ok().and_then(|n: usize| list?.get_mut(n));
            table = element.ok_or_else(|| format!("there is no [[{section}]]"))?;
            continue;
        }
        table = table
            .entry(section)
            .or_insert_with(toml_edit::table)
            .as_table_like_mut()
            .ok_or_else(|| format!("`{section}` must be a section"))?;
    }
    let mut new = value.to_toml();
    match table.get_mut(name) {
        Some(Item::Value(old)) => {
            *new.decor_mut() = old.decor().clone();
            *old = new;
        }
        _ => {
            table.insert(name, Item::Value(new));
        }
    }
    let new = document.to_string();
    // toml_edit ends every line with \n; an editor of Windows would see every line changed.
    let windows =
        text.contains("\r\n") && text.matches('\n').count() == text.matches("\r\n").count();
    Ok(format!("{mark}{}", if windows { new.replace('\n', "\r\n") } else { new }))
}

/// Returns `text`, from which `settings` were read, without one key: its line, or its place in an inline table. Comments
/// above it stay. `None` if it does not give that key.
pub(crate) fn without_value_at(
    text: &str,
    settings: &Settings,
    path: &str,
) -> Option<Result<String, String>> {
    let span = settings.places.get(path)?.1.clone();
    let start = text[..span.start].rfind('\n').map_or(0, |at| at + 1);
    let end = text[span.end..].find('\n').map_or(text.len(), |at| span.end + at + 1);
    let before = text[start..span.start].trim_start_matches(BYTE_ORDER_MARK);
    let after = text[span.end..end].trim_start();
    // A dotted key: `server.port = 1`.
    let dotted = |c: char| c.is_alphanumeric() || "_-.\"' \t".contains(c);
    if before.chars().all(dotted) && (after.is_empty() || after.starts_with('#')) {
        let mark =
            if text[start..].starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len_utf8() } else { 0 };
        return Some(Ok(format!("{}{}", &text[..start + mark], &text[end..])));
    }
    Some(without_inline(text, path))
}

fn without_inline(text: &str, path: &str) -> Result<String, String> {
    let mut document: DocumentMut =
        text.parse().map_err(|e: toml_edit::TomlError| e.message().to_owned())?;
    let (section, name) = path.rsplit_once('.').unwrap_or(("", path));
    let (section, n) = match section.strip_suffix(']').and_then(|list| list.split_once('[')) {
        Some((list, n)) => (list, n.parse::<usize>().ok()),
        None => (section, None),
    };
    let item = document.get_mut(section).ok_or_else(|| format!("there is no `{section}`"))?;
    let table = match n {
        Some(n) => match item {
            Item::ArrayOfTables(list) => {
                list.get_mut(n).map(|table| table as &mut dyn toml_edit::TableLike)
            }
            Item::Value(list) => list
                .as_array_mut()
                .and_then(|list| list.get_mut(n))
                .and_then(|table| table.as_inline_table_mut())
                .map(|table| table as &mut dyn toml_edit::TableLike),
            _ => None,
        },
        None => item.as_table_like_mut(),
    };
    table.and_then(|table| table.remove(name)).ok_or_else(|| format!("cannot remove `{path}`"))?;
    Ok(document.to_string())
}

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

/// Removes the secrets file. Returns false if there is none.
///
/// # Errors
/// As [`replace_secrets`].
pub(crate) fn remove_secrets(path: &Path) -> io::Result<bool> {
    match must_be_secrets(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(e),
        Ok(()) => std::fs::remove_file(path).map(|()| true),
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
    use super::super::entry;
    use super::*;

    fn set(text: &str, key: &str, value: Value) -> String {
        with_value(text, entry(key).unwrap(), &value).unwrap()
    }

    #[test]
    fn only_the_value_changes() {
        let text = "# top\n\n[server]   # here\n  port=1# tight\nhost =   'a'  # why\n# end\n";
        assert_eq!(
            set(text, "server.host", "b".into()),
            "# top\n\n[server]   # here\n  port=1# tight\nhost =   \"b\"  # why\n# end\n"
        );
        assert_eq!(set(text, "server.port", Value::Integer(2)), text.replace("=1#", "=2#"));
    }

    #[test]
    fn missing_keys_and_sections_are_added() {
        assert_eq!(set("", "server.port", Value::Integer(2)), "[server]\nport = 2\n");
        assert_eq!(
            set("[server]\nport = 1\n\n[board]\nid = \"1\"\n", "server.host", "b".into()),
            "[server]\nport = 1\nhost = \"b\"\n\n[board]\nid = \"1\"\n"
        );
        assert_eq!(
            set("server = { port = 1 }\n", "server.port", Value::Integer(2)),
            "server = { port = 2 }\n"
        );
        assert_eq!(set("server.port = 1\n", "server.port", Value::Integer(2)), "server.port = 2\n");
    }

    #[test]
    fn sections_in_sections_are_written_too() {
        let ca = |text| with_value_at(text, "mqtt.tls.ca", &"b".into()).unwrap();
        assert_eq!(ca("[mqtt.tls]\nca = \"a\" # why\n"), "[mqtt.tls]\nca = \"b\" # why\n");
        assert!(ca("[mqtt]\nurl = \"u\"\n").contains("[mqtt.tls]\nca = \"b\"\n"));
        assert!(with_value_at("mqtt = 1\n", "mqtt.tls.ca", &"b".into()).is_err());
    }

    #[test]
    fn line_ends_of_windows_and_a_byte_order_mark_stay() {
        let text = "\u{feff}# a\r\n[server]\r\nport = 1\r\n# b\r\n";
        assert_eq!(set(text, "server.port", Value::Integer(2)), text.replace('1', "2"));
    }

    #[test]
    fn the_template_filled_with_defaults_is_the_template() {
        assert_eq!(filled_template(&Settings::default()), TEMPLATE);
    }

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
}
