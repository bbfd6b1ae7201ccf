//! The folder of the log that flags and `pblink.toml` name.

use std::path::{Path, PathBuf};

use super::Args;
use crate::settings::Settings;
use crate::state::State;

/// Returns the folder of the log, or of a copy of it. `None`: there is none, because the user wants none, or the system chooses
/// the port.
pub(super) fn folder(
    args: &Args,
    settings: &Settings,
    port: u16,
) -> anyhow::Result<Option<PathBuf>> {
    // A flag is meant as it is typed, as a variable is.
    let base =
        if args.state.is_some() { Path::new("") } else { settings.folder_of("server.state") };
    match (state(args, settings), port) {
        (State::Usual, 0) => Ok(None),
        (state, _) => state.folder(port, base),
    }
}

/// Returns the place of the log as the user has given it.
pub(super) fn state<'a>(args: &'a Args, settings: &'a Settings) -> &'a State {
    args.state.as_ref().unwrap_or(&settings.server.state)
}
