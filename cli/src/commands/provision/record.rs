//! The boards that are done, one a line of JSON.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::exit::{Exit, Failed};
use crate::output::{envelope, events};

/// A board that has all that it is to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Done {
    pub(super) id: String,
    pub(super) label: Option<String>,
    pub(super) device: String,
    /// That of its key; `None`: it has none.
    pub(super) fingerprint: Option<String>,
    pub(super) generation: Option<u64>,
    /// Time, in milliseconds since the Unix epoch.
    pub(super) at_ms: u64,
}

impl Done {
    /// Returns it as a line.
    ///
    /// # Errors
    /// When it cannot be serialised.
    pub(super) fn json(&self) -> anyhow::Result<String> {
        let fields = json!({
            "label": self.label, "device": self.device, "fingerprint": self.fingerprint,
            "generation": self.generation,
        });
        let id = Some(self.id.clone());
        Ok(envelope::wrap("provisioned", self.at_ms, id, envelope::fields(&fields)?)? + "\n")
    }

    /// Returns what is to be stuck onto the board.
    pub(super) fn label(&self) -> String {
        let label =
            self.label.as_deref().map_or(String::new(), |l| format!("  {}\n", events::clean(l)));
        let key = match (&self.fingerprint, self.generation) {
            (Some(key), Some(generation)) => format!("  key {key}, generation {generation}\n"),
            _ => "  no key\n".to_owned(),
        };
        format!("\n  {}\n{label}{key}\n", events::id(&self.id))
    }
}

/// The file.
#[derive(Debug)]
pub(super) struct Record {
    path: PathBuf,
    file: File,
    ids: BTreeSet<String>,
}

impl Record {
    /// Opens the file, or makes it. A last line without its end, of a process that was killed, does not count, and is
    /// taken away.
    ///
    /// # Errors
    /// [`Exit::Config`] if it cannot be read, or something else is in it.
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        let cannot = |e: std::io::Error| {
            Failed::with(Exit::Config, format!("cannot open {}: {e}", path.display()))
        };
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true).mode(0o600);
        let mut file = options.open(path).map_err(cannot)?;
        let mut text = String::new();
        match file.read_to_string(&mut text) {
            Err(e) if e.kind() == ErrorKind::InvalidData => return Err(other(path, 1)),
            read => read.map_err(cannot)?,
        };
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        if whole < text.len() {
            file.set_len(whole as u64).map_err(cannot)?;
        }
        let mut ids = BTreeSet::new();
        for (n, line) in text[..whole].lines().enumerate() {
            let value: Value = serde_json::from_str(line).map_err(|_| other(path, n + 1))?;
            let id = value["client"].as_str().filter(|_| value["event"] == "provisioned");
            ids.insert(id.ok_or_else(|| other(path, n + 1))?.to_owned());
        }
        Ok(Self { path: path.to_owned(), file, ids })
    }

    /// Returns true if a board is done.
    pub(super) fn has(&self, id: &str) -> bool {
        self.ids.contains(id)
    }

    /// Notes a board. When this returns, the note outlives a power failure.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn add(&mut self, done: &Done) -> anyhow::Result<()> {
        let written = self.file.write_all(done.json()?.as_bytes());
        written.and_then(|()| self.file.sync_all()).map_err(|e| {
            let (path, id) = (self.path.display(), events::id(&done.id));
            Failed::with(Exit::Failure, format!("{id} is done, and cannot be noted in {path}: {e}"))
        })?;
        self.ids.insert(done.id.clone());
        Ok(())
    }
}

fn other(path: &Path, line: usize) -> anyhow::Error {
    let hint = "name another file with --record, or remove it if it is of no use";
    let what =
        format!("{}:{line}: this is no list of boards that are done\n  {hint}", path.display());
    Failed::with(Exit::Config, what)
}
