//! A board's keys as a file: for simulated boards, and for clients in other languages.

use std::path::{Path, PathBuf};

use pblink_secure_suite::board::Shared;
use pblink_secure_suite::issue::Issued;
use pblink_secure_suite::keys::{BoardKeys, Secret, ServerKeys};
use pblink_secure_suite::server::public_key;
use zeroize::Zeroizing;

use super::disk;
use super::fields::{Fields, Source, put_id, put_key};
use super::give::{Held, Holder};
use crate::exit::{Exit, Failed};
use crate::settings;

const HEAD: &str = "\
# The keys of one board, for a program that is it. Whoever reads this file can be that board. Keep it to yourself (mode 0600).
# Keys are 32 bytes in base64url without padding; docs/PROTOCOL.md says what they are for.
";

/// A file with the keys of a board.
#[derive(Debug, Clone)]
pub struct BoardFile {
    path: PathBuf,
}

impl BoardFile {
    /// Returns the file at this path.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Reads the keys of the board. `None`: there is no file.
    ///
    /// # Errors
    /// [`Exit::Config`] if others can read it, it is not this user's, or it has a mistake: which, and its line.
    pub fn read(&self) -> anyhow::Result<Option<Contents>> {
        let wrong = |problem| settings::failed(&[problem]);
        let Some(text) = disk::read(&self.path).map_err(wrong)? else { return Ok(None) };
        parse(&self.path, &text).map(Some).map_err(wrong)
    }

    /// Puts other keys into the file, which must be there, and the shared key before them. False: it cannot be written, and
    /// has what it had.
    pub fn keep(&self, keys: &BoardKeys, before: Option<&Shared>) -> bool {
        let Ok(Some(Contents { seed, .. })) = self.read() else { return false };
        disk::write(&self.path, &text(keys, &seed, before)).is_ok()
    }

    /// Returns its path.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// The contents of such a file.
#[derive(Debug, Clone)]
pub struct Contents {
    /// The newest keys.
    pub keys: BoardKeys,
    /// The seed of the board's random numbers.
    pub seed: Secret,
    /// The shared key before them, until the server says that it takes the newest one only.
    pub before: Option<Shared>,
}

fn parse(file: &Path, text: &str) -> Result<Contents, settings::Problem> {
    let source = Source::new(file, text);
    let document = source.document(text)?;
    let allowed = ["id", "generation", "private", "server", "shared", "seed", "before"];
    let fields = Fields::new(&source, document.get_ref(), "a board's file of keys", 0, &allowed)?;
    let keys = BoardKeys {
        id: fields.id()?,
        generation: fields.number("generation")?,
        private: fields.secret("private")?,
        server: fields.public("server")?,
        shared: fields.secret("shared")?,
    };
    let before = match fields.table("before")? {
        Some((table, at)) => {
            let fields = Fields::new(&source, table, "[before]", at, &["generation", "shared"])?;
            Some(Shared { generation: fields.number("generation")?, key: fields.secret("shared")? })
        }
        None => None,
    };
    Ok(Contents { keys, seed: fields.secret("seed")?, before })
}

fn text(board: &BoardKeys, seed: &Secret, before: Option<&Shared>) -> Zeroizing<String> {
    let mut out = Zeroizing::new(String::with_capacity(1024));
    *out += HEAD;
    put_id(&mut out, &board.id);
    *out += &format!("generation = {}\n", board.generation);
    put_key(&mut out, "private", board.private.expose());
    put_key(&mut out, "server", &board.server.0);
    put_key(&mut out, "shared", board.shared.expose());
    put_key(&mut out, "seed", seed.expose());
    if let Some(before) = before {
        *out += "\n# The shared key before: the server may go back to it yet.\n[before]\n";
        *out += &format!("generation = {}\n", before.generation);
        put_key(&mut out, "shared", before.key.expose());
    }
    out
}

impl Holder for BoardFile {
    fn held(&mut self) -> anyhow::Result<Option<Held>> {
        let Some(Contents { keys, .. }) = self.read()? else { return Ok(None) };
        let board = public_key(&keys.private);
        let server = keys.server;
        // The private key of the server is not known here, and not compared.
        let half = ServerKeys {
            id: keys.id,
            generation: keys.generation,
            private: Secret::new([0; 32]),
            board,
            shared: keys.shared,
        };
        Ok(Some(Held { half, server }))
    }

    fn put(&mut self, issued: &Issued) -> anyhow::Result<()> {
        let written = disk::write(&self.path, &text(&issued.board, &issued.seed, None));
        let path = self.path.display();
        written.map_err(|e| Failed::with(Exit::Failure, format!("cannot write {path}: {e}")))
    }
}
