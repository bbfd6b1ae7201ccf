//! The server's file of keys, on disk.

use std::path::{Path, PathBuf};

use super::disk;
use super::model::KeyFile;
use super::parse::parse;
use super::text::text;
use crate::exit::{Exit, Failed};
use crate::settings::{self, KEYS_FILE};

/// The server's file of keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    path: PathBuf,
}

impl Store {
    /// Returns the file at this path.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Returns the file that is meant: the one that a flag names, else that of `pblink.toml`. Where that has the usual name,
    /// or none, a credential of this name that systemd has given the service takes precedence over the file beside `pblink.toml`.
    pub(crate) fn of(named: Option<&Path>, settings: &settings::Settings) -> Self {
        let credential = || {
            let keys = &settings.link.keys;
            let usual = keys.as_os_str().is_empty() || keys == Path::new(KEYS_FILE);
            let folder = std::env::var_os(settings::CREDENTIALS);
            let folder = folder.filter(|folder| usual && !folder.is_empty())?;
            let path = Path::new(&folder).join(KEYS_FILE);
            path.symlink_metadata().is_ok().then_some(path)
        };
        let folder = || settings.file().and_then(Path::parent).unwrap_or(Path::new(""));
        let named = named.map(Path::to_owned).or_else(credential);
        let path = named.or_else(|| settings.keys_path());
        Self::at(path.unwrap_or_else(|| folder().join(KEYS_FILE)))
    }

    /// Returns its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the keys. `None`: there is no file.
    ///
    /// # Errors
    /// [`Exit::Config`] if others can read it, it is not this user's, or it has a mistake: which, and its line.
    pub fn read(&self) -> anyhow::Result<Option<KeyFile>> {
        let wrong = |problem| settings::failed(&[problem]);
        let Some(text) = disk::read(&self.path).map_err(wrong)? else { return Ok(None) };
        parse(&self.path, &text).map(Some).map_err(wrong)
    }

    /// As [`read`](Self::read), and the file must be there.
    ///
    /// # Errors
    /// As [`read`](Self::read), and [`Exit::Config`] without a file.
    pub fn existing(&self) -> anyhow::Result<KeyFile> {
        self.read()?.ok_or_else(|| {
            let path = self.path.display();
            let hint = "`pblink keys issue ID --to FILE` and `pblink config push` make it, with the first board's keys";
            Failed::with(Exit::Config, format!("there are no keys yet: {path} does not exist\n  {hint}"))
        })
    }

    /// Changes the keys, in one step: other processes that change them wait, and whoever reads them sees the old ones or the
    /// new ones. Where there is no file, it is made. When this returns, the change outlives a power failure.
    ///
    /// # Errors
    /// As [`read`](Self::read), those of `change`, and [`Exit::Failure`] if the file cannot be written; then nothing has
    /// changed.
    pub(crate) fn change<T>(
        &self,
        change: impl FnOnce(&mut KeyFile) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let path = self.path.display();
        let cannot = |e: std::io::Error| {
            Failed::with(Exit::Failure, format!("cannot write the keys into {path}: {e}"))
        };
        let _lock = disk::lock(&disk::folder_of(&self.path)).map_err(cannot)?;
        let old = self.read()?;
        let before = old.as_ref().map(text);
        let mut keys = old.unwrap_or_else(KeyFile::new);
        let done = change(&mut keys)?;
        let after = text(&keys);
        if before.is_none_or(|before| *before != *after) {
            disk::write(&self.path, &after).map_err(cannot)?;
        }
        Ok(done)
    }
}
