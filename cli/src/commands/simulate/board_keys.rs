//! The keys of a simulated board, from its file.

use std::path::Path;

use pblink_secure_suite::keys::BoardKeys;
use pblink_simulator::PairKeys;

use crate::exit::{Exit, Failed};
use crate::keys::{BoardFile, Contents};
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
    PairKeys::kept(contents.keys, contents.before, BoardFile::at(file))
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
