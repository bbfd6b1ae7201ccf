//! `pblink config check`

use std::fmt::Write;
use std::path::{Path, PathBuf};

use super::board;
use crate::exit::Exit;
use crate::global::Global;
use crate::hardware::target::Way;
use crate::output::diagnostics;
use crate::output::stdout::print;
use crate::settings::{self, DEFAULT_FILE};

const EXAMPLES: &str = "\
Examples:
  pblink config check
  pblink config check --strict
  pblink config check --board
  pblink config check --config boards/kitchen.toml && pblink serve --config boards/kitchen.toml

A mistake is what cannot work: a value that is not allowed, or a board that the server would refuse, since \
`server.clients` does not list it. Notes are on what is allowed but probably not meant.";

/// Arguments of `pblink config check`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Configuration file. Without it the one that `pblink config path` prints, if there is one.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Count notes as mistakes: exit code 3 if there is one.
    #[arg(long)]
    pub strict: bool,
    /// Also compare the file with the settings on the board; of several boards (`[[board]]`) with those of this id.
    #[arg(long, value_name = "ID", num_args = 0..=1)]
    pub board: Option<Option<String>>,
    /// The board's id, instead of board.id.
    #[arg(long, value_name = "ID", requires = "board")]
    pub client: Option<String>,
    /// Way to the board.
    #[command(flatten)]
    pub way: Way,
}

/// Runs the verb.
pub(super) fn run(args: &Args, global: &Global) -> anyhow::Result<Exit> {
    let (mut settings, mut problems) = settings::look(args.config.as_deref())?;
    if let (Some(id), true) = (&args.client, problems.is_empty()) {
        settings.choose_client(Some(id))?;
    }
    let password = settings::find_password(&settings, None);
    let mut report = String::new();
    let mut remarks = Vec::new();
    match &password {
        Ok(found) => {
            let secret = found.as_ref().map(|(secret, _)| secret);
            if problems.iter().all(|problem| problem.place.is_some()) {
                let boards = settings.for_each_board();
                problems.extend(boards.iter().filter_map(|s| s.config_line_problem(secret)));
            }
            // Of a file with mistakes they would be guesses.
            if problems.is_empty() {
                remarks = settings.remarks(secret);
            }
        }
        Err(error) => writeln!(report, "{error:#}")?,
    }
    let (wrong, notes): (Vec<_>, Vec<_>) =
        remarks.into_iter().partition(|remark| remark.fatal || args.strict);
    problems.extend(wrong.iter().map(|remark| remark.problem(&settings)));
    for problem in problems.iter().rev() {
        report.insert_str(0, &format!("{problem}\n"));
    }
    for note in notes {
        diagnostics::note(note.message);
    }
    if !report.is_empty() {
        print(report.as_bytes())?;
        return Ok(Exit::Config);
    }
    print(
        match settings.file() {
            Some(file) if file == Path::new(DEFAULT_FILE) || args.config.is_some() => {
                "ok\n".to_owned()
            }
            // Which one that is may be a surprise.
            Some(file) => format!("ok: {}\n", file.display()),
            None if settings.has_variables() => {
                "ok: no pblink.toml here, only variables\n".to_owned()
            }
            None => "ok: no pblink.toml here, the defaults apply\n".to_owned(),
        }
        .as_bytes(),
    )?;
    let Some(id) = &args.board else { return Ok(Exit::Ok) };
    if args.client.is_none() {
        settings.choose_board(id.as_deref())?;
    }
    let password = settings.board_password(None)?;
    board::check(&settings, password.as_ref(), &args.way, global)
}
