//! `pblink.boards.toml`: which ids `pblink config push` has given to boards, and when. It lies beside
//! pblink.toml, and only serves to warn of an id that is given twice; it can be deleted at any time.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::exit::{Exit, Failed};
use crate::settings::{Settings, put};

const NAME: &str = "pblink.boards.toml";

const HEAD: &str = "\
# The ids that `pblink config push` has written onto boards. It warns of an id that is given twice.
# Remove a board that is no more, or the whole file, as you like.
";

/// The ids that were given to boards.
#[derive(Debug, Default)]
pub(super) struct Register {
    /// File that keeps it; without pblink.toml there is none.
    file: Option<PathBuf>,
    list: List,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    #[serde(default, rename = "board")]
    boards: Vec<Entry>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    id: String,
    /// RFC 3339.
    written: String,
    /// Through which device.
    device: String,
}

impl Register {
    /// Returns the register of these settings.
    ///
    /// # Errors
    /// If there is one that cannot be read: it is not overwritten.
    pub(super) fn beside(settings: &Settings) -> anyhow::Result<Self> {
        let Some(config) = settings.file() else { return Ok(Self::default()) };
        let file = config.parent().unwrap_or(Path::new("")).join(NAME);
        let list = match std::fs::read_to_string(&file) {
            Ok(text) => toml::from_str(&text).map_err(|error| cannot("read", &file, &error))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => List::default(),
            Err(error) => return Err(cannot("read", &file, &error)),
        };
        Ok(Self { file: Some(file), list })
    }

    /// Returns when a board was given this id.
    pub(super) fn given(&self, id: &str) -> Option<&str> {
        self.list.boards.iter().find(|entry| entry.id == id).map(|entry| entry.written.as_str())
    }

    /// Notes that a board was given `id` through `device`; it had the id `before`.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(super) fn give(
        &mut self,
        id: &str,
        before: Option<&str>,
        device: &str,
    ) -> anyhow::Result<()> {
        self.list.boards.retain(|entry| entry.id != id && Some(entry.id.as_str()) != before);
        let written = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
        self.list.boards.push(Entry { id: id.to_owned(), written, device: device.to_owned() });
        let Some(file) = &self.file else { return Ok(()) };
        let text = toml::to_string(&self.list).map_err(|error| cannot("write", file, &error))?;
        put(file, &format!("{HEAD}\n{text}")).map_err(|error| cannot("write", file, &error))
    }
}

fn cannot(what: &str, file: &Path, error: &dyn std::fmt::Display) -> anyhow::Error {
    let hint = "it only serves to warn of ids that are given twice: mend it or delete it";
    Failed::with(Exit::Config, format!("cannot {what} {}: {error}\n  {hint}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(folder: &Path) -> Settings {
        let file = folder.join("pblink.toml");
        std::fs::write(&file, "").unwrap();
        Settings::load(Some(&file)).unwrap()
    }

    #[test]
    fn ids_are_kept_and_one_that_a_board_no_longer_has_is_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let settings = settings(folder.path());
        let mut register = Register::beside(&settings).unwrap();
        assert_eq!(register.given("kitchen"), None);
        register.give("kitchen", None, "probe 0483:374b").unwrap();
        let mut register = Register::beside(&settings).unwrap();
        assert!(register.given("kitchen").unwrap().ends_with('Z'));
        register.give("attic", Some("kitchen"), "probe 0483:374b").unwrap();
        let register = Register::beside(&settings).unwrap();
        assert_eq!(register.given("kitchen"), None);
        assert!(register.given("attic").is_some());
    }

    #[test]
    fn a_register_that_somebody_broke_is_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let settings = settings(folder.path());
        std::fs::write(folder.path().join(NAME), "[[board\n").unwrap();
        let error = Register::beside(&settings).unwrap_err();
        assert!(error.to_string().contains("delete it"), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn a_link_of_a_name_that_can_be_guessed_is_not_followed() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("precious"), "text").unwrap();
        symlink("precious", path("pblink.boards.toml.new")).unwrap();
        let mut register = Register::beside(&settings(folder.path())).unwrap();
        for id in ["kitchen", "attic"] {
            register.give(id, None, "DFU").unwrap();
        }
        assert_eq!(std::fs::read_to_string(path("precious")).unwrap(), "text");
        let mode = std::fs::metadata(path(NAME)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(std::fs::read_to_string(path(NAME)).unwrap().contains("attic"));
    }

    #[test]
    fn without_a_configuration_file_none_is_kept() {
        let mut register = Register::beside(&Settings::default()).unwrap();
        register.give("1", None, "DFU").unwrap();
        assert!(register.given("1").is_some());
        assert!(!Path::new(NAME).exists());
    }
}
