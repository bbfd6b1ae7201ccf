//! Writes `pblink.toml` and the secrets file: comments stay, nothing is overwritten by accident,
//! and a reader never sees half a file.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use toml_edit::{DocumentMut, Item};

use super::secrets::SECRETS_KEY;
use super::{Entry, Secret, Settings, Value};

/// The commented file that `config init` starts from.
pub(super) const TEMPLATE: &str = include_str!("../../../templates/pblink.toml");

/// The template with the values of `settings` in it.
pub(crate) fn filled_template(settings: &Settings) -> String {
    super::KEYS.iter().fold(TEMPLATE.to_owned(), |text, entry| {
        with_value(&text, entry, &entry.get(settings)).expect("the template is valid TOML")
    })
}

/// `text` with another value for one key. Comments and layout stay; a key or section that is not
/// there yet is added.
///
/// # Errors
/// When `text` is not TOML, or the section is no section.
pub(crate) fn with_value(text: &str, entry: &Entry, value: &Value) -> Result<String, String> {
    let (section, name) = entry.split();
    let mut document: DocumentMut = text.parse().map_err(|e: toml_edit::TomlError| {
        // Without the excerpt that `Display` adds: it could show a password.
        e.message().to_owned()
    })?;
    let table = document
        .entry(section)
        .or_insert_with(toml_edit::table)
        .as_table_like_mut()
        .ok_or_else(|| format!("`{section}` must be a section"))?;
    let mut new = to_toml(value);
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
    Ok(if windows { new.replace('\n', "\r\n") } else { new })
}

fn to_toml(value: &Value) -> toml_edit::Value {
    match value {
        Value::Text(text) | Value::Other(text) => text.as_str().into(),
        Value::Integer(n) => (*n).into(),
        Value::Bool(b) => (*b).into(),
        Value::List(list) => list.iter().map(to_toml).collect::<toml_edit::Array>().into(),
    }
}

/// Creates a file that must not exist yet; leaves nothing behind when writing fails.
///
/// # Errors
/// `AlreadyExists` among others.
pub(crate) fn create_new(path: &Path, text: &str) -> io::Result<()> {
    create(path, text, OpenOptions::new().write(true).create_new(true))
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
            // One wrong `wifi.secrets` must not cost the user another file.
            if !std::fs::read_to_string(path)?.lines().all(is_of_secrets) {
                let what = "it is no secrets file; correct `wifi.secrets`, or remove that file";
                return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
            }
            swap(path, &secrets_text(password), false)
        }
        done => done,
    }
}

/// Whether a line may stand in a secrets file, be its value broken.
fn is_of_secrets(line: &str) -> bool {
    let line = line.trim();
    line.is_empty() || line.starts_with('#') || line.starts_with(SECRETS_KEY)
}

fn secrets_text(password: &Secret) -> String {
    let mut document = DocumentMut::new();
    document.insert(SECRETS_KEY, toml_edit::value(password.expose()));
    format!("# Keep this file to yourself (mode 0600) and out of version control.\n{document}")
}

/// For a new file that only its owner can read.
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
/// the permissions; a symbolic link stays one, its target is replaced.
///
/// # Errors
/// Of the file system; the old content is then still there.
pub(crate) fn replace(path: &Path, text: &str) -> io::Result<()> {
    swap(path, text, true)
}

fn swap(path: &Path, text: &str, keep_mode: bool) -> io::Result<()> {
    let target = path.canonicalize()?;
    // rename() asks no permission of the file itself: without this, a read-only one is replaced.
    let old = OpenOptions::new().write(true).open(&target)?.metadata()?;
    let folder = target.parent().unwrap_or(Path::new("/"));
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    let temporary = folder.join(format!(".{name}.{}.tmp", std::process::id()));
    let mut file = private().open(&temporary)?;
    let swapped = write_through(&mut file, text)
        .and_then(|()| keep_owner(&file, &old))
        .and_then(|()| if keep_mode { file.set_permissions(old.permissions()) } else { Ok(()) })
        .and_then(|()| std::fs::rename(&temporary, &target));
    if swapped.is_err() {
        let _ = std::fs::remove_file(&temporary);
    }
    swapped
}

/// Root may edit a user's file: it stays the user's.
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
    fn line_ends_of_windows_stay() {
        let text = "# a\r\n[server]\r\nport = 1\r\n# b\r\n";
        assert_eq!(set(text, "server.port", Value::Integer(2)), text.replace('1', "2"));
    }

    #[test]
    fn the_template_filled_with_defaults_is_the_template() {
        assert_eq!(filled_template(&Settings::default()), TEMPLATE);
    }
}
