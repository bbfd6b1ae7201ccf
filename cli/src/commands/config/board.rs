//! `pblink config push`, `pull` and `check --board`: the settings and keys in the STM32's flash.

use std::path::PathBuf;

use pblink_flash::Progress;
use pblink_flash::stm32::{Bus, Target, UsbBus, connect, read_settings, write_settings};
use pblink_image::map::{self, Map};
use pblink_image::settings::Settings as BoardSettings;
use pblink_secure_suite::keys::Id;
use pblink_serve::control::Client;

use super::init::git_hint;
use super::register::Register;
use crate::exit::{Exit, Failed};
use crate::global::Global;
use crate::hardware::board::{Board, encoded, json, table};
use crate::hardware::error::failed;
use crate::hardware::keys::{BoardKey, OnCable, difference};
use crate::hardware::progress::Bar;
use crate::hardware::settings_args::SettingsArgs;
use crate::hardware::target::Way;
use crate::keys::{Given, Store, Wish, give};
use crate::output::json::pretty;
use crate::output::stdout::print;
use crate::runtime;
use crate::settings::{Secret, Settings};

const PUSH_EXAMPLES: &str = "\
Examples:
  pblink config push
  pblink config push --client kitchen --via dfu
  pblink config push --password-file wifi.txt --json
  pblink config push --new-keys

Only the flash sectors of settings and keys are written, and read back: the program stays. A board that has \
them already is left alone. Then the program starts with them.

The board also gets keys of its own, unless link.classic lists its id, or link.keys is empty. The server's half goes into the \
file that link.keys names (pblink.keys.toml) first, beside what it has for the board: interrupted anywhere, the board works as \
before, or this command mends it. Back that file up.";

const PULL_EXAMPLES: &str = "\
Examples:
  pblink config pull
  pblink config pull --json | jq -r .settings.id";

/// Arguments of `pblink config push`.
#[derive(Debug, clap::Args)]
#[command(after_help = PUSH_EXAMPLES)]
pub struct PushArgs {
    /// Settings that are written.
    #[command(flatten)]
    pub settings: SettingsArgs,
    /// Way to the board.
    #[command(flatten)]
    pub way: Way,
    /// The server's file of keys, instead of that of link.keys.
    #[arg(long, value_name = "FILE")]
    pub keys: Option<PathBuf>,
    /// Give this board the keys of an id that another board has, or that was revoked: what has the old keys is locked out.
    #[arg(long)]
    pub replace: bool,
    /// Give the board new keys, also if it has the right ones.
    #[arg(long)]
    pub new_keys: bool,
    /// Print what was written as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `pblink config pull`.
#[derive(Debug, clap::Args)]
#[command(after_help = PULL_EXAMPLES)]
pub struct PullArgs {
    /// Way to the board.
    #[command(flatten)]
    pub way: Way,
    /// Print it as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Runs `pblink config push`.
pub(super) fn push(args: &PushArgs, global: &Global) -> anyhow::Result<Exit> {
    let settings = settings_of(args)?;
    let password = args.settings.password(&settings)?;
    let online = online(&settings);
    let mut register = Register::beside(&settings)?;
    let mut progress = Bar::new(global);
    let wanted = Wanted { settings: &settings, password: password.as_ref(), online: &online };
    let text = push_to(&mut UsbBus, args, &wanted, &mut register, &mut progress)?;
    drop(progress);
    print(text.as_bytes())
}

/// The settings that are to be on the board.
struct Wanted<'a> {
    settings: &'a Settings,
    password: Option<&'a Secret>,
    /// The ids of the boards that are connected to the running server.
    online: &'a [String],
}

fn settings_of(args: &PushArgs) -> anyhow::Result<Settings> {
    let settings = args.settings.settings(None)?;
    if settings.file().is_none() {
        // The defaults are nobody's: they would take the network from a board that has it.
        return Err(Failed::with(
            Exit::Config,
            "there is no pblink.toml here to write onto the board\n  `pblink config init` makes one; \
             --config names another",
        ));
    }
    Ok(settings)
}

/// Writes the settings and returns what is to be reported of it.
fn push_to(
    bus: &mut dyn Bus,
    args: &PushArgs,
    wanted: &Wanted<'_>,
    register: &mut Register,
    progress: &mut dyn Progress,
) -> anyhow::Result<String> {
    let board = wanted
        .settings
        .board_settings(wanted.password)
        .map_err(|why| Failed::with(Exit::Config, why.to_string()))?;
    let bytes = encoded(&board)?;
    for note in wanted.settings.notes(wanted.password) {
        progress.note(&format!("note: {note}"));
    }
    let usual = wanted.settings.board.kind.map();
    let (found, mut target) = connect(bus, &args.way.wanted(usual), progress).map_err(failed)?;
    let id = board.config.id.as_str();
    let before = read_settings(&mut *target).map_err(failed)?;
    let before = BoardSettings::read(&before).ok().map(|settings| settings.config.id.to_string());
    if before.as_deref() != Some(id) {
        // Another board: two with one id would take the link from each other.
        if wanted.online.iter().any(|other| other == id) {
            progress.note(&format!(
                "warning: a board with the id {id:?} is connected to the server now; two boards with one \
                 id disturb each other"
            ));
        } else if let Some(when) = register.given(id) {
            progress.note(&format!(
                "warning: the id {id:?} was given to another board on {when}; two boards with one id \
                 disturb each other"
            ));
        }
    }
    let given = match give_keys(args, wanted.settings, id, &mut *target, progress) {
        Ok(given) => given,
        Err(error) => {
            // Nothing was asked of the board that it cannot go on with.
            leave(&args.way, &mut *target);
            return Err(error);
        }
    };
    let written = write_settings(&mut *target, &bytes, progress).map_err(failed)?;
    // The program reads them when it starts.
    args.way.start(&mut *target).map_err(failed)?;
    if let Err(error) = register.give(id, before.as_deref(), &found.to_string()) {
        // The board has its settings: that is what was asked for.
        progress.note(&format!("warning: {error}"));
    }
    Ok(if args.json {
        let all = serde_json::json!({
            "device": found.to_string(),
            "written": written,
            "settings": json(&board),
            "keys": given.map(|given| serde_json::json!({
                "fingerprint": given.fingerprint.to_string(),
                "generation": given.generation,
                "written": given.new,
            })),
        });
        pretty(&all)
    } else {
        let what = if written { "has its settings" } else { "had these settings already" };
        let keys = given.map_or_else(String::new, |Given { fingerprint, generation, new }| {
            let what = if new { "has new keys" } else { "had its keys already" };
            let file = Store::of(args.keys.as_deref(), wanted.settings);
            let backup = match new {
                true => {
                    let path = file.path();
                    let hint = git_hint(path, "keys");
                    format!("{} has changed: back it up\n{hint}", path.display())
                }
                false => String::new(),
            };
            format!("the board {id} {what}: {fingerprint}, generation {generation}\n{backup}")
        });
        format!("the board {id} {what} ({found})\n{keys}")
    })
}

/// Gives the board keys, if it is one that gets some.
fn give_keys(
    args: &PushArgs,
    settings: &Settings,
    id: &str,
    target: &mut dyn Target,
    progress: &mut dyn Progress,
) -> anyhow::Result<Option<Given>> {
    if !settings.is_keyed(id) && args.keys.is_none() {
        if args.new_keys || args.replace {
            let what = format!(
                "the board {id:?} gets no keys: link.classic in pblink.toml lists it, or link.keys is empty\n  take it out \
                 of the list, or `pblink config set link.keys pblink.keys.toml`"
            );
            return Err(Failed::with(Exit::Usage, what));
        }
        return Ok(None);
    }
    let store = Store::of(args.keys.as_deref(), settings);
    let id = Id::new(id).map_err(|why| Failed::with(Exit::Config, why.to_string()))?;
    let wish = Wish { replace: args.replace, renew: args.new_keys };
    give(&store, &id, &mut OnCable { target, progress }, wish).map(Some)
}

/// Runs `pblink config pull`.
pub(super) fn pull(args: &PullArgs, global: &Global) -> anyhow::Result<Exit> {
    let mut progress = Bar::new(global);
    let text = pull_from(&mut UsbBus, args, &mut progress)?;
    drop(progress);
    print(text.as_bytes())
}

/// Returns the kind of the boards in the pblink.toml that is here; a Pyboard without one, or where they differ.
fn usual() -> &'static Map {
    let kinds: Vec<_> = Settings::load(None).map_or(Vec::new(), |settings| {
        settings.all_boards().iter().map(|board| board.kind).collect()
    });
    match kinds[..] {
        [first, ..] if kinds.iter().all(|kind| *kind == first) => first.map(),
        _ => &map::PYBOARD,
    }
}

fn pull_from(
    bus: &mut dyn Bus,
    args: &PullArgs,
    progress: &mut dyn Progress,
) -> anyhow::Result<String> {
    let (found, mut target) = connect(bus, &args.way.wanted(usual()), progress).map_err(failed)?;
    let board = Board::read(&mut *target).map_err(failed)?;
    leave(&args.way, &mut *target);
    if args.json {
        let all = serde_json::json!({
            "device": found.to_string(),
            "program": board.program.as_ref().map(ToString::to_string),
            "settings": board.settings.as_ref().ok().map(json),
            "problem": board.settings.as_ref().err().map(ToString::to_string),
            "keys": board.key.as_ref().map(BoardKey::json),
        });
        return Ok(pretty(&all));
    }
    let program =
        board.program.map_or_else(|| "not known".to_owned(), |program| program.to_string());
    let mut rows = vec![("program", program)];
    match &board.settings {
        Ok(settings) => rows.extend(table(settings)),
        Err(why) => {
            rows.push(("settings", format!("{why}: the program's built-in ones apply")));
        }
    }
    rows.push(("keys", board.key.map_or_else(|| "none".to_owned(), |key| key.to_string())));
    let rows = rows.iter().map(|(name, value)| format!("{name:<22} {value}\n"));
    Ok(rows.collect())
}

/// Runs `pblink config check --board`.
pub(super) fn check(
    settings: &Settings,
    password: Option<&Secret>,
    way: &Way,
    global: &Global,
) -> anyhow::Result<Exit> {
    let mut progress = Bar::new(global);
    let (exit, text) = check_on(&mut UsbBus, settings, password, way, &mut progress)?;
    drop(progress);
    print(text.as_bytes())?;
    Ok(exit)
}

fn check_on(
    bus: &mut dyn Bus,
    settings: &Settings,
    password: Option<&Secret>,
    way: &Way,
    progress: &mut dyn Progress,
) -> anyhow::Result<(Exit, String)> {
    let wanted = settings
        .board_settings(password)
        .map_err(|why| Failed::with(Exit::Config, why.to_string()))?;
    let (found, mut target) =
        connect(bus, &way.wanted(settings.board.kind.map()), progress).map_err(failed)?;
    let board = Board::read(&mut *target).map_err(failed)?;
    leave(way, &mut *target);
    let mut differences = board.differences(&wanted);
    differences.extend(difference(board.key.as_ref(), settings, None)?);
    if differences.is_empty() {
        return Ok((Exit::Ok, format!("ok: the board has the same ({found})\n")));
    }
    let mut text: String = differences.iter().map(|line| format!("{line}\n")).collect();
    text += "`pblink config push` writes the file's onto the board\n";
    Ok((Exit::Config, text))
}

/// Lets the program continue. What was asked for is done: a board that cannot be started again is not
/// an error.
fn leave(way: &Way, target: &mut dyn Target) {
    if let Err(error) = way.start(target) {
        tracing::warn!("the board's program does not start: {}", error.cause());
    }
}

/// Returns the boards that are connected to the running server; none if no server runs.
fn online(settings: &Settings) -> Vec<String> {
    let Ok(url) = settings.control_url() else { return Vec::new() };
    let links = runtime::block_on(async { Client::connect(&url).await.ok()?.links().await.ok() });
    let up = |link: &pblink_server::LinkStatus| link.state == pblink_server::LinkState::Up;
    links.ok().flatten().unwrap_or_default().into_iter().filter(up).map(|link| link.id).collect()
}

#[cfg(test)]
mod tests;
