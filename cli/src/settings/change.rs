//! Changes of `pblink.toml` on disk.

use std::path::Path;

use super::edits::with_value_at;
use super::reader::read;
use super::writer::replace;
use super::{Settings, Value, failed, read_text};
use crate::exit::{Exit, Failed};

/// Replaces a file by a text, which an edit has made of the old one.
///
/// # Errors
/// [`Exit::Config`] if the edit has failed or the text has mistakes, [`Exit::Failure`] if the file cannot be written. It stays as it
/// was then.
pub(crate) fn change(path: &Path, new: Result<String, String>) -> anyhow::Result<()> {
    let file = path.display();
    let new = new
        .map_err(|why| Failed::with(Exit::Config, format!("{file}: {why}; it stays as it was")))?;
    let (_, problems) = read(path, &new);
    if !problems.is_empty() {
        return Err(failed(&problems).context(format!("{file} stays as it was")));
    }
    replace(path, &new)
        .map_err(|e| Failed::with(Exit::Failure, format!("cannot write {file}: {e}")))
}

/// Adds an id to `link.classic` of a file.
///
/// # Errors
/// As [`change`], and if the file cannot be read.
pub(crate) fn add_classic(path: &Path, id: &str) -> anyhow::Result<()> {
    let text = read_text(path)?;
    // The list of the file, not that of a variable.
    let mut ids = Settings::load_file(path)?.link.classic;
    if !ids.iter().any(|known| known == id) {
        ids.push(id.to_owned());
    }
    let list = Value::List(ids.iter().map(|id| id.as_str().into()).collect());
    change(path, with_value_at(&text, "link.classic", &list))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_added_to_those_that_are_listed_and_nothing_else_changes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pblink.toml");
        let added = |text: &str, id: &str| {
            std::fs::write(&path, text).unwrap();
            add_classic(&path, id).map(|()| std::fs::read_to_string(&path).unwrap())
        };
        let text = "[link]\nkeys = \"k\" # why\nclassic = [\"a\"]\n";
        assert_eq!(added(text, "b, c").unwrap(), text.replace("\"a\"", "\"a\", \"b, c\""));
        assert_eq!(added(text, "a").unwrap(), text);
        assert_eq!(added("", "a").unwrap(), "[link]\nclassic = [\"a\"]\n");

        let wrong = "[link]\nclassic = 1\n";
        assert!(added(wrong, "a").is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), wrong);
    }
}
