//! `pblink micropython`: boards that keep their MicroPython. The work itself is done by `pblink_flash`; here are the
//! flags, the folders, and what the user sees.

mod classic;
mod install;
mod run;

use pblink_flash::micropython::{Board, boards, check_folder, only_board};
use pblink_flash::{Progress, coprocessor::Serial};

use crate::exit::Exit;
use crate::global::Global;
use crate::hardware::error::failed;

/// Arguments of `pblink micropython`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pblink micropython install --source micropython-iot --primitives micropython-async
  pblink micropython run

A Pyboard that runs micropython-iot keeps its program: its ESP8266 and its server can be pblink's, each by itself.")]
pub struct Args {
    /// Verb of `micropython`.
    #[command(subcommand)]
    pub verb: Verb,
}

/// Verbs of `pblink micropython`.
#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    /// Put pb_link, what it needs, and its configuration onto the board.
    Install(install::Args),
    /// Start the program of pb_link on the board, and show what it prints.
    Run(run::Args),
}

/// Way to a board with MicroPython.
#[derive(Debug, Clone, clap::Args)]
pub struct BoardArgs {
    /// Serial port of the board. Default: the only board with MicroPython by its USB ids; other ports are never
    /// touched.
    #[arg(long, visible_alias = "port", short_alias = 'p', value_name = "PORT", value_parser = port)]
    pub serial: Option<String>,
    /// The folder on the board. Default: /sd if a card is in it, else /flash.
    #[arg(long, value_name = "DIR", value_parser = folder)]
    pub to: Option<String>,
}

fn port(text: &str) -> Result<String, String> {
    match text.trim() {
        "" => {
            Err("name a port, such as /dev/ttyACM0, or leave --serial out to have it found"
                .to_owned())
        }
        _ => Ok(text.to_owned()),
    }
}

fn folder(text: &str) -> Result<String, String> {
    check_folder(text).map(|()| text.to_owned())
}

impl BoardArgs {
    /// Returns the serial port that is meant.
    fn port(&self) -> anyhow::Result<String> {
        match &self.serial {
            Some(port) => Ok(port.clone()),
            None => {
                let boards = boards().map_err(failed)?;
                Ok(only_board(&boards).map_err(failed)?.path.clone())
            }
        }
    }
}

/// Opens the port and brings the board behind it into its raw REPL.
fn connect(port: &str, progress: &mut dyn Progress) -> pblink_flash::Result<Board<Serial>> {
    Board::connect(Serial::open(port)?, port, progress)
}

/// Runs the verb.
pub fn run(args: Args, global: &Global) -> anyhow::Result<Exit> {
    match args.verb {
        Verb::Install(args) => install::run(&args, global),
        Verb::Run(args) => run::run(&args, global),
    }
}
