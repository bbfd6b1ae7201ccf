//! `pblink config get`

use std::io::{IsTerminal, stdout};
use std::path::PathBuf;

use crate::exit::{Exit, Failed};
use crate::output::stdout::print;
use crate::settings::{self, Settings};

const EXAMPLES: &str = "\
Examples:
  pblink config get server.port
  pblink config get server.clients --json
  pblink config get 'board[1].id'

Text stands without quotes, a list with one value a line. What counts is printed: a variable such as \
PBLINK_SERVER_PORT overrides the file, and what neither gives has its default. The WiFi password is never \
shown.";

/// Arguments of `pblink config get`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Section and name, as in server.port.
    pub key: String,
    /// Configuration file. Without it the one that `pblink config path` prints, if there is one.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The value as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Runs the verb.
pub(super) fn run(args: &Args) -> anyhow::Result<Exit> {
    let usage = |message: String| Failed::with(Exit::Usage, message);
    if settings::is_password_key(&args.key) {
        return Err(usage(
            "the WiFi password is never shown; `pblink config show` says where it comes from"
                .into(),
        ));
    }
    let (entry, n) = super::named(&args.key)?;
    let settings = Settings::load(args.config.as_deref())?;
    let mut boards = settings.for_each_board();
    let several = settings.has_list_of_boards() && boards.len() > 1;
    let n = match n {
        Some(n) if !settings.has_list_of_boards() || n >= boards.len() => {
            return Err(usage(format!("there is no [[board[{n}]]]")));
        }
        Some(n) => n,
        None if several && super::is_of_board(entry) => {
            return Err(usage(format!("there is {}", super::name_the_board(entry, boards.len()))));
        }
        None => 0,
    };
    let value = entry.get(&boards.swap_remove(n));
    let mut text = match args.json {
        true => value.to_json().to_string(),
        false => value.bare(),
    };
    if !text.is_empty() {
        text.push('\n');
    }
    if stdout().is_terminal() {
        // What a terminal would obey is for programs only.
        let plain = |c: char| c == '\n' || crate::output::cells::is_plain(c);
        text = text
            .chars()
            .map(|c| if plain(c) { c.to_string() } else { c.escape_unicode().to_string() })
            .collect();
    }
    print(text.as_bytes())
}
