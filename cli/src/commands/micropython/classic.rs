//! The id of a program that speaks without keys, as pb_link does.

use pblink_flash::micropython::PROGRAM;

use crate::exit::{Exit, Failed};
use crate::keys::Store;
use crate::output::events;
use crate::settings::{self, Settings};

/// Refuses an id that a board with keys has, or had: no server takes it without.
///
/// # Errors
/// [`Exit::Config`], also if the file of keys cannot be read.
pub(super) fn refuse_keyed(settings: &Settings, id: &str) -> anyhow::Result<()> {
    let store = Store::of(None, settings);
    let Some(known) = store.read()?.and_then(|keys| keys.of(id)) else { return Ok(()) };
    let (name, file) = (events::id(id), store.path().display());
    let why = match known.revoked {
        Some((_, at)) => format!("the id {name} had keys, which were revoked at {at} ({file})"),
        None => format!("the id {name} belongs to a board with keys ({file})"),
    };
    let hint =
        format!("pb_link speaks without keys: give it an id of its own, CONN_ID in {PROGRAM}");
    Err(Failed::with(Exit::Config, format!("{why}, and is never served without\n  {hint}")))
}

/// Lists an id in `link.classic`, if the server would refuse it otherwise. Returns a note for the user.
///
/// # Errors
/// If pblink.toml cannot be written.
pub(super) fn list(settings: &Settings, id: &str) -> anyhow::Result<Option<String>> {
    let Some(file) = settings.file().filter(|_| settings.is_keyed(id)) else { return Ok(None) };
    let name = events::id(id);
    if let Some(variable) = settings.variable_of("link.classic") {
        return Ok(Some(format!(
            "warning: {variable} does not list {name}, and overrides pblink.toml: the server will refuse the board"
        )));
    }
    settings::add_classic(file, id)?;
    Ok(Some(format!(
        "note: link.classic in {} lists {name} now: pb_link speaks without keys, so anyone in the network can read \
         its lines and pass for it; a server that runs reads the list again by SIGHUP",
        file.display()
    )))
}
