//! `pblink config`

pub(crate) mod board;
mod check;
mod dialogue;
mod edit;
mod export;
mod get;
mod init;
mod path;
mod register;
mod unset;

use std::fmt::Write;
use std::path::{Path, PathBuf};

use crate::exit::{Exit, Failed};
use crate::global::Global;
use crate::output::diagnostics;
use crate::output::json::pretty;
use crate::output::stdout::print;
use crate::settings::{self, DEFAULT_FILE, Entry, KEYS, PASSWORD_ENV, Settings};
use crate::typed::has_terminal;
use dialogue::Terminal;

const EXAMPLES: &str = "\
The file is the first of ./pblink.toml, $XDG_CONFIG_HOME/pblink/pblink.toml and /etc/pblink/pblink.toml, or the one
that --config or PBLINK_CONFIG names. Variables override its keys: PBLINK_SERVER_PORT is server.port.

The WiFi password never stands in pblink.toml. It is taken from --password-file, else from the
environment variable PBLINK_WIFI_PASSWORD, else from the file that `wifi.secrets` names.

Examples:
  pblink config init
  pblink config set server.port 9000
  pblink config check";

const SHOW_EXAMPLES: &str = "\
Examples:
  pblink config show
  pblink config show --json | jq '.settings[\"server.port\"].value'";

const SET_EXAMPLES: &str = "\
Examples:
  pblink config set server.host 192.168.1.5
  pblink config set server.clients 1 2 kitchen
  pblink config set server.clients kitchen,attic
  pblink config set server.clients '[]'
  pblink config set server.timeout_ms 2s
  pblink config set wifi.password
  pblink config set wifi.password --password-file - < password.txt";

const SCHEMA_EXAMPLES: &str = "\
Examples:
  pblink config schema > pblink.schema.json

The first line of pblink.toml names that file: an editor that knows TOML then shows what each key means
and marks what is wrong.";

/// Arguments of `pblink config`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Verb of `config`.
    #[command(subcommand)]
    pub verb: Verb,
}

/// Verbs of `pblink config`.
#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    /// Write a new, commented pblink.toml: asks on a terminal, takes flags and defaults otherwise.
    Init(init::Args),
    /// Show the settings and where each comes from; never the password.
    Show(ShowArgs),
    /// Change one key; comments and layout stay, and nothing invalid is written.
    Set(SetArgs),
    /// Print one value, for scripts.
    Get(get::Args),
    /// Remove one key from the file: its default applies then. Comments stay.
    Unset(unset::Args),
    /// Open the file in your editor; a text with a mistake does not take its place.
    Edit(edit::Args),
    /// Print which file is used, and with --all where it is looked for.
    Path(path::Args),
    /// Report every mistake with its line, and with --board each difference on the board. Exit code 3
    /// if there is one. Notes are on what is probably not meant: with --strict they are mistakes, too.
    Check(check::Args),
    /// Write the settings onto the STM32: only their own flash sector, the program stays.
    Push(board::PushArgs),
    /// Show the settings that are on the STM32; never the password.
    Pull(board::PullArgs),
    /// Write the settings as a file that another program reads: `config.py` of pb_link, for a board with MicroPython.
    Export(export::Args),
    /// Print the JSON schema of pblink.toml, for editors.
    Schema(SchemaArgs),
}

/// Arguments of `pblink config schema`.
#[derive(Debug, clap::Args)]
#[command(after_help = SCHEMA_EXAMPLES)]
pub struct SchemaArgs {}

/// Arguments of `pblink config show`.
#[derive(Debug, clap::Args)]
#[command(after_help = SHOW_EXAMPLES)]
pub struct ShowArgs {
    /// Configuration file. Without it the one that `pblink config path` prints, if there is one.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// One JSON object instead of a table.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `pblink config set`.
#[derive(Debug, clap::Args)]
#[command(after_help = SET_EXAMPLES)]
pub struct SetArgs {
    /// Section and name, as in server.port. `wifi.password` goes into the secrets file.
    pub key: String,
    /// The new value; a list takes several, with blanks or commas between them, or a JSON list; `[]`
    /// empties it. For wifi.password pblink asks instead, since others can see a command line.
    #[arg(allow_negative_numbers = true)]
    pub value: Vec<String>,
    /// The file to change. Without it the one that `pblink config path` prints.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// For wifi.password: the file that holds it; `-` is standard input.
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
}

/// Runs the verb.
pub fn run(args: Args, global: &Global) -> anyhow::Result<Exit> {
    match args.verb {
        Verb::Init(args) => init::run(args),
        Verb::Show(args) => show(&args),
        Verb::Set(args) => print(set(&args)?.as_bytes()),
        Verb::Get(args) => get::run(&args),
        Verb::Unset(args) => unset::run(&args),
        Verb::Edit(args) => edit::run(&args),
        Verb::Path(args) => path::run(&args),
        Verb::Check(args) => check::run(&args, global),
        Verb::Push(args) => board::push(&args, global),
        Verb::Pull(args) => board::pull(&args, global),
        Verb::Export(args) => export::run(&args),
        Verb::Schema(SchemaArgs {}) => print(settings::json_schema().as_bytes()),
    }
}

fn show(args: &ShowArgs) -> anyhow::Result<Exit> {
    let settings = Settings::load(args.config.as_deref())?;
    let password = settings.password_and_source(None);
    let text = if args.json {
        let mut keys = serde_json::Map::new();
        for (path, entry, settings) in rows(&settings) {
            let (line, variable) = (settings.line_of(entry.path), settings.variable_of(entry.path));
            let value = entry.get(&settings).to_json();
            let shown = match variable {
                Some(variable) => serde_json::json!({
                    "value": value, "source": "environment", "variable": variable, "line": null
                }),
                None => serde_json::json!({
                    "value": value,
                    "source": if line.is_some() { "file" } else { "default" },
                    "line": line,
                }),
            };
            keys.insert(path, shown);
        }
        let found = password.as_ref().ok().and_then(Option::as_ref);
        let all = serde_json::json!({
            "file": settings.file(),
            "settings": keys,
            "password": { "set": found.is_some(), "source": found.map(|(_, s)| s.to_string()) },
        });
        pretty(&all)
    } else {
        let mut text = String::new();
        for (path, entry, settings) in rows(&settings) {
            let at = settings.file().zip(settings.line_of(entry.path));
            let source = match (settings.variable_of(entry.path), at) {
                (Some(variable), _) => variable.to_owned(),
                (None, Some((file, line))) => format!("{}:{line}", file.display()),
                _ => "default".to_owned(),
            };
            let value = format!("{:#}", entry.get(&settings));
            writeln!(text, "{path:<22} {value:<24} {source}")?;
        }
        let found = match &password {
            Ok(Some((_, source))) => format!("set (from {source})"),
            Ok(None) => "not set".to_owned(),
            Err(_) => "not usable".to_owned(),
        };
        writeln!(text, "{:<22} {found}", "wifi.password")?;
        text
    };
    print(text.as_bytes())?;
    password.map(|_| Exit::Ok)
}

/// Returns all keys with their paths, and the settings in which each has its value: those of a board once for each
/// `[[board]]`.
fn rows(settings: &Settings) -> Vec<(String, &'static Entry, Settings)> {
    let boards = settings.for_each_board();
    let mut rows = Vec::new();
    for entries in KEYS.chunk_by(|a, b| is_of_board(a) == is_of_board(b)) {
        let list = settings.has_list_of_boards() && entries.iter().all(is_of_board);
        let times = if list { boards.len() } else { 1 };
        for (n, settings) in boards.iter().enumerate().take(times) {
            rows.extend(entries.iter().map(|entry| {
                let path = match entry.path.strip_prefix("board.") {
                    Some(name) if list => format!("board[{n}].{name}"),
                    _ => entry.path.to_owned(),
                };
                (path, entry, settings.clone())
            }));
        }
    }
    rows
}

/// Returns the key that an argument names, and the number of the board if it has one, as `board[1].log` has.
fn named(argument: &str) -> anyhow::Result<(&'static Entry, Option<usize>)> {
    let numbered = settings::numbered(argument);
    let (key, n) = numbered.as_ref().map_or((argument, None), |(n, key)| (key, Some(*n)));
    let unknown = || Failed::with(Exit::Usage, settings::unknown_key(key));
    Ok((settings::entry(key).ok_or_else(unknown)?, n))
}

fn is_of_board(entry: &Entry) -> bool {
    entry.path.starts_with("board.")
}

/// Changes a key, and returns the line that says so.
///
/// # Errors
/// [`Exit::Usage`] if key or value cannot be meant, [`Exit::Config`] if the file would have a mistake, [`Exit::Failure`] if it
/// cannot be written. It stays as it was then.
pub fn set(args: &SetArgs) -> anyhow::Result<String> {
    if settings::is_password_key(&args.key) {
        return set_password(args);
    }
    let usage = |message: String| Failed::with(Exit::Usage, message);
    if args.password_file.is_some() {
        return Err(usage("--password-file goes with `pblink config set wifi.password`".into()));
    }
    let (entry, n) = named(&args.key)?;
    let value = entry.value_of(&args.value).map_err(usage)?;
    entry.apply(&mut Settings::default(), &value).map_err(usage)?;

    let path = &file_to_change(args.config.as_ref());
    let old = settings::read_text(path)?;
    let edited = settings::with_value_at(&old, &args.key, &value);
    let new = edited.clone().unwrap_or_else(|_| old.clone());
    // Also reports what keeps the old text from being edited.
    let (mut changed, problems) = settings::read(path, &new);
    if !problems.is_empty() {
        let error = settings::failed(&problems);
        return Err(error.context(format!("{} stays as it was", path.display())));
    }
    if let Err(why) = edited {
        let boards = changed.all_boards().len();
        return Err(usage(match is_of_board(entry) && changed.has_list_of_boards() {
            true => format!("{} has {}", path.display(), name_the_board(entry, boards)),
            false => format!("{}: {why}", path.display()),
        }));
    }
    if let Some(n) = n {
        changed = changed.for_each_board().swap_remove(n);
    }
    if new != old {
        settings::replace(path, &new).map_err(|e| cannot_write(path, &e))?;
    }
    let line = changed.line_of(entry.path).unwrap_or_default();
    note_override(entry);
    if let ("wifi.ssid", Some(note)) = (entry.path, changed.odd_ssid()) {
        diagnostics::note(note);
    }
    Ok(format!("{}:{line}: {} = {value:#}\n", path.display(), args.key))
}

/// Returns the file that a verb changes: the one that is named, else the one that is used, else one that is not there.
fn file_to_change(named: Option<&PathBuf>) -> PathBuf {
    named.cloned().or_else(settings::search).unwrap_or_else(|| DEFAULT_FILE.into())
}

/// Says how to name a key of one of several boards.
fn name_the_board(entry: &Entry, boards: usize) -> String {
    format!(
        "a list of boards: write {}, with the number of a board from 0 to {}",
        entry.path.replacen("board", "board[N]", 1),
        boards.saturating_sub(1)
    )
}

/// Says that the environment overrides what was changed in the file.
fn note_override(entry: &Entry) {
    let variable = settings::variable(entry.path);
    if std::env::var_os(&variable).is_some_and(|value| !value.is_empty()) {
        diagnostics::note(format_args!("{variable} is set and overrides the file"));
    }
}

fn set_password(args: &SetArgs) -> anyhow::Result<String> {
    if !args.value.is_empty() {
        return Err(Failed::with(
            Exit::Usage,
            "a password on the command line can be seen by others and stays in the shell's \
             history; `pblink config set wifi.password` asks for it, `--password-file FILE` reads \
             it from a file (`-`: standard input)",
        ));
    }
    if args.password_file.is_none() && !has_terminal() {
        return Err(Failed::with(
            Exit::Usage,
            "there is no terminal to ask for the password: give --password-file FILE (`-`: \
             standard input)",
        ));
    }
    // Before asking: where the password goes depends on it.
    let settings = Settings::load_file(&file_to_change(args.config.as_ref()))?;
    let password = match &args.password_file {
        Some(file) => settings::read_password(file)?,
        None => dialogue::password(&mut Terminal, "WiFi password")?,
    };
    let boards = settings.for_each_board();
    if let Some(problem) = boards.iter().find_map(|s| s.config_line_problem(Some(&password))) {
        return Err(settings::failed(&[problem]));
    }
    let path = settings.secrets_path();
    settings::replace_secrets(&path, &password).map_err(|e| match e.kind() {
        std::io::ErrorKind::InvalidInput => {
            Failed::with(Exit::Config, format!("{}: {e}", path.display()))
        }
        _ => cannot_write(&path, &e),
    })?;
    if std::env::var_os(PASSWORD_ENV).is_some_and(|value| !value.is_empty()) {
        diagnostics::note(format_args!("{PASSWORD_ENV} is set and overrides this file"));
    }
    let mut text = format!("wrote the WiFi password into {} (mode 0600)\n", path.display());
    text.push_str(&init::git_hint(&path, "password"));
    Ok(text)
}

fn cannot_write(path: &Path, error: &std::io::Error) -> anyhow::Error {
    Failed::with(Exit::Failure, format!("cannot write {}: {error}", path.display()))
}
