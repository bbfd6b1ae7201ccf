//! `pblink config export`: the settings for programs that do not read pblink.toml.

use std::io::Read;
use std::path::{Path, PathBuf};

use super::cannot_write;
use crate::exit::{Exit, Failed};
use crate::hardware::micropython::{CONFIG_PY_MARK, config_py};
use crate::output::diagnostics;
use crate::output::stdout::print;
use crate::settings::{self, BoardArg, Settings, shell_word};

const EXAMPLES: &str = "\
Examples:
  pblink config export
  pblink config export --output micropython-iot/pb_link/config.py
  pblink config export --output - | less

The file holds port, address, times, network and WiFi password, and the board's pins (board.pins). It does not hold \
the board's id, which stands in your program on the board: `server.clients` and `link.classic` have to list that one. `pblink \
micropython install` puts the same file onto the board by itself.";

/// Arguments of `pblink config export`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The program that reads the file.
    #[arg(long, value_enum, value_name = "WHAT", default_value_t = Format::Micropython)]
    pub format: Format,
    /// The file to write, for you alone, since the WiFi password is in it; `-` is standard output.
    #[arg(short, long, value_name = "FILE", default_value = "config.py")]
    pub output: PathBuf,
    /// Replace the file also if it was not written by this verb.
    #[arg(long)]
    pub force: bool,
    /// Which of several boards.
    #[command(flatten)]
    pub board: BoardArg,
    /// Configuration file. Without it the one that `pblink config path` prints, if there is one.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// A file with nothing but the WiFi password; `-` is standard input. Without it:
    /// PBLINK_WIFI_PASSWORD, else the file that wifi.secrets names.
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
}

/// The program that reads an exported file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// `pb_link` of micropython-iot, on a Pyboard: its config.py.
    Micropython,
}

/// Runs `pblink config export`.
pub(super) fn run(args: &Args) -> anyhow::Result<Exit> {
    let mut settings = Settings::load(args.config.as_deref())?;
    settings.choose_board(args.board.board.as_deref())?;
    let password = settings.board_password(args.password_file.as_deref())?;
    let config = settings
        .board_config(password.as_ref())
        .map_err(|why| Failed::with(Exit::Config, why.to_string()))?;
    let text = match args.format {
        Format::Micropython => config_py(&config, &settings.board)?,
    };
    if settings.file().is_none() {
        diagnostics::note("there is no pblink.toml here: the defaults are exported");
    }
    if args.output == Path::new("-") {
        return print(text.as_bytes());
    }
    if !args.force && !may_replace(&args.output)? {
        return Err(Failed::with(
            Exit::Config,
            format!(
                "{} exists and was not written by this verb: it stays as it is\n  name another file with \
                 --output, or replace it with --force",
                args.output.display()
            ),
        ));
    }
    settings::put_private(&args.output, &text).map_err(|e| cannot_write(&args.output, &e))?;
    let with = if password.is_some() { ", with the WiFi password" } else { "" };
    let path = shell_word(&args.output);
    print(format!("wrote {path} (mode 0600{with})\n").as_bytes())
}

/// Returns true if nothing is there, or a file that this verb has written.
fn may_replace(path: &Path) -> anyhow::Result<bool> {
    let mut start = Vec::new();
    let opened = match path.symlink_metadata() {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(true),
        // Opening a pipe would wait for its other end.
        Ok(found) if !found.is_file() && !found.is_symlink() => return Ok(false),
        Ok(_) => std::fs::File::open(path),
        Err(e) => Err(e),
    };
    opened
        .and_then(|file| file.take(CONFIG_PY_MARK.len() as u64).read_to_end(&mut start))
        .map_err(|e| Failed::with(Exit::Failure, format!("cannot read {}: {e}", path.display())))?;
    Ok(start == CONFIG_PY_MARK.as_bytes())
}
