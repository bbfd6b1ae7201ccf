//! `pblink micropython install`

use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;
use pblink_flash::micropython::{Installed, Job, OTHER_CONFIG, PROGRAM, Sources, install};
use pblink_flash::{Kind, Progress};
use serde_json::json;

use super::{BoardArgs, classic, connect};
use crate::exit::{Exit, Failed};
use crate::global::Global;
use crate::hardware::error::failed;
use crate::hardware::micropython::config_py;
use crate::hardware::progress::Bar;
use crate::output::json::line;
use crate::settings::{BoardArg, Settings};

/// Arguments of `pblink micropython install`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pblink micropython install --source micropython-iot --primitives micropython-async/v3/primitives
  pblink micropython install --source . --primitives ../micropython-async --to /flash --serial /dev/ttyACM0
  pblink micropython install --source . --primitives ../micropython-async --json | jq -r .files[].name

pblink checks the version of MicroPython and the room on the board before it changes anything. It sends each file \
under another name, has the board compute its hash, and then renames it: if it is interrupted, each file is the old \
one or the new one, never half of one, and the next run goes on where this one was. Files that are there already are \
left alone. The configuration comes from pblink.toml, as pblink config export writes it. pb_link speaks without keys: its \
id is added to link.classic there, and one that has keys, or had some, is refused.

A program that runs on the board is interrupted; afterwards the board is at its prompt. Eject the board's drive \
(PYBFLASH) first if your computer has mounted it: it does not see what pblink writes, and may overwrite it.

Exit codes: 0 installed, 1 it failed, 2 wrong flags, 3 a folder or pblink.toml is missing or wrong, 130 stopped.")]
pub struct Args {
    /// Your clone of micropython-iot, with pb_link in it.
    #[arg(long, value_name = "DIR")]
    pub source: PathBuf,
    /// Your clone of micropython-async, or the folder v3/primitives in it.
    #[arg(long, value_name = "DIR")]
    pub primitives: PathBuf,
    /// Way to the board.
    #[command(flatten)]
    pub board: BoardArgs,
    /// Which of several boards.
    #[command(flatten)]
    pub which: BoardArg,
    /// Configuration file. Without it the one that `pblink config path` prints, if there is one.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// A file with nothing but the WiFi password; `-` is standard input. Without it:
    /// PBLINK_WIFI_PASSWORD, else the file that wifi.secrets names.
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
    /// Print what was done as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Runs `pblink micropython install`.
pub(super) fn run(args: &Args, global: &Global) -> anyhow::Result<Exit> {
    let mut settings = Settings::load(args.config.as_deref())?;
    if settings.file().is_none() {
        // The defaults are nobody's: they would take the network from a board that has it.
        return Err(Failed::with(
            Exit::Config,
            "there is no pblink.toml here to configure the board with\n  `pblink config init` makes one; --config \
             names another",
        ));
    }
    settings.choose_board(args.which.board.as_deref())?;
    let password = settings.board_password(args.password_file.as_deref())?;
    let of_settings = |why: String| Failed::with(Exit::Config, why);
    let config =
        settings.board_config(password.as_ref()).map_err(|why| of_settings(why.to_string()))?;
    let config = config_py(&config, &settings.board)?;
    let sources = Sources::read(&args.source, &args.primitives, &config)
        .map_err(|error| of_settings(error.to_string()))?;
    let mut notes = sources.notes.iter().map(|note| format!("note: {note}")).collect::<Vec<_>>();
    match &sources.client_id {
        Some(id) => {
            classic::refuse_keyed(&settings, id)?;
            notes.extend(unknown_id(&settings, id));
            // It is in the line for the ESP8266, whose length is limited.
            let mut settings = settings.clone();
            if settings.set_id(id).is_ok() {
                settings.board_config(password.as_ref()).map_err(|why| {
                    of_settings(format!("with the id {id:?} of {PROGRAM}: {why}"))
                })?;
            }
        }
        None => notes.push(format!(
            "note: the id in {PROGRAM} is not a literal: see to it that `server.clients` and `link.classic` list it"
        )),
    }
    let port = args.board.port()?;
    let mut progress = Bar::new(global);
    notes.iter().for_each(|note| progress.note(note));
    let installed = work(args, &port, &sources, &mut progress).map_err(failed)?;
    if installed.overridden {
        let note = format!(
            "warning: {}/{OTHER_CONFIG} is on the board, and the program prefers it to the configuration that was \
             installed: remove it there",
            installed.folder
        );
        progress.note(&note);
        notes.push(note);
    }
    if let Some(id) = &sources.client_id {
        let listed = classic::list(&settings, id).with_context(|| {
            format!("pb_link is on the board, but link.classic has to list {:?} in pblink.toml", id)
        })?;
        listed.iter().for_each(|note| progress.note(note));
        notes.extend(listed);
    }
    drop(progress);
    let mut out = std::io::stdout().lock();
    if args.json {
        writeln!(out, "{}", line(&json_of(&port, &sources, &installed, &notes))?)?;
    } else {
        let written = installed.files.iter().filter(|file| file.written).count();
        let same = installed.files.len() - written;
        let id = sources.client_id.as_ref().map_or(String::new(), |id| format!(", id {id:?}"));
        writeln!(
            out,
            "pb_link is in {} of the board at {port} (MicroPython {}{id}): {written} files written, {same} unchanged\n\
             next: `pblink micropython run`, or press RST if the board's main.py starts the program",
            installed.folder, installed.identity.version
        )?;
    }
    Ok(Exit::Ok)
}

/// Returns the warning for an id that the server would refuse.
fn unknown_id(settings: &Settings, id: &str) -> Option<String> {
    let clients = &settings.server.clients;
    (!clients.is_empty() && !clients.iter().any(|client| client == id)).then(|| {
        format!(
            "warning: `server.clients` does not list {id:?}, the id in {PROGRAM}: the server will refuse the board; \
             add it with: pblink config set server.clients …, or change the id in the program"
        )
    })
}

fn work(
    args: &Args,
    port: &str,
    sources: &Sources,
    progress: &mut dyn Progress,
) -> pblink_flash::Result<Installed> {
    let mut board = connect(port, progress)?;
    let folder = args.board.to.as_deref();
    let job = Job { files: &sources.files, needs: &sources.needs, folder };
    let installed = install(&mut board, &job, progress);
    // Also after a failure: a person should find the prompt. What has failed before counts.
    let left = match &installed {
        Err(error) if error.kind() == Kind::Vanished => Ok(()),
        _ => board.leave(),
    };
    let installed = installed?;
    left.map(|()| installed)
}

fn json_of(
    port: &str,
    sources: &Sources,
    installed: &Installed,
    notes: &[String],
) -> serde_json::Value {
    let files: Vec<_> = installed
        .files
        .iter()
        .map(|file| {
            json!({
                "name": file.name,
                "bytes": file.length,
                "sha256": file.sha256,
                "written": file.written,
            })
        })
        .collect();
    json!({
        "port": port,
        "micropython": installed.identity.version,
        "platform": installed.identity.platform,
        "folder": installed.folder,
        "client": sources.client_id,
        "files": files,
        "notes": notes,
    })
}
