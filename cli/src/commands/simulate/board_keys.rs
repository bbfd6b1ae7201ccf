//! The keys of a simulated board, from its file.

use std::path::Path;

use pblink_secure_suite::board::Shared;
use pblink_secure_suite::keys::BoardKeys;
use pblink_simulator::{Keeper, PairKeys};

use crate::exit::{Exit, Failed};
use crate::keys::{BoardFile, Contents};
use crate::output::diagnostics::{say, warning};
use crate::output::events::id;

/// Reads the keys. The seed beside them is for chips: a program has the random numbers of its system.
///
/// # Errors
/// [`Exit::Config`] if there is no such file, others can read it, or it has a mistake.
pub(super) fn read(file: &Path) -> anyhow::Result<Contents> {
    let Some(contents) = BoardFile::at(file).read()? else {
        let path = file.display();
        let why = format!(
            "no keys in {path}: no such file. Make it with: pblink keys issue ID --to {path}"
        );
        return Err(Failed::with(Exit::Config, why));
    };
    Ok(contents)
}

/// Returns the keys of the board, which writes those that it is given over its link into its file.
pub(super) fn kept(contents: Contents, file: &Path) -> PairKeys {
    PairKeys::kept(contents.keys, contents.before, Kept(BoardFile::at(file)))
}

/// The file, which says what becomes of it.
#[derive(Debug)]
struct Kept(BoardFile);

impl Keeper for Kept {
    fn keep(&mut self, keys: &BoardKeys, before: Option<&Shared>) -> bool {
        let (id, generation, path) =
            (id(keys.id.as_str()), keys.generation, self.0.path().display());
        if !self.0.keep(keys, before) {
            warning(format_args!("{path} cannot be written: it has the keys of {id} as they were"));
            return false;
        }
        match before {
            Some(_) => say(format_args!(
                "{id} was given a new key, generation {generation}: it is in {path}"
            )),
            None => say(format_args!(
                "{id} has its new key, generation {generation}, and has forgotten the one before"
            )),
        }
        true
    }
}

/// Returns the id of the keys, which is that of the board.
///
/// # Errors
/// [`Exit::Usage`] if another one was `named`.
pub(super) fn id_of(keys: &BoardKeys, named: Option<&str>) -> anyhow::Result<String> {
    let own = keys.id.as_str();
    match named {
        Some(other) if other != own => Err(Failed::with(
            Exit::Usage,
            format!("the keys are those of {}, not of {}: leave the id out", id(own), id(other)),
        )),
        _ => Ok(own.to_owned()),
    }
}
