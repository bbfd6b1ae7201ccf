//! `pblink service`: the server as a service of systemd.

mod install;
mod status;
mod unit;

use std::path::PathBuf;

use crate::exit::Exit;
use crate::output::stdout;
use crate::settings::Settings;
use unit::Unit;

/// Arguments of `pblink service`.
#[derive(Debug, clap::Args)]
#[command(
    arg_required_else_help = true,
    after_help = "\
Examples:
  pblink service print                          the unit, for this program and this pblink.toml
  sudo pblink service install --config /etc/pblink/pblink.toml
                                                put it in its place, and start it
  pblink service status                         whether it runs, and what it has reported last

The unit runs `pblink serve` as a user of its own that can reach little. docs/SERVICE.md says more.

Exit codes: 0 done, or the service runs; 1 not done, or it does not run; 2 wrong command line; 3 wrong configuration, or a file \
that the service could not read; no systemctl."
)]
pub struct Args {
    /// The action.
    #[command(subcommand)]
    pub what: What,
}

/// The verbs on the service.
#[derive(Debug, clap::Subcommand)]
pub enum What {
    /// Print the unit.
    #[command(after_help = "\
Examples:
  pblink service print
  pblink service print --config /etc/pblink/pblink.toml > pblink.service")]
    Print(UnitArgs),
    /// Put the unit in its place, and start the service.
    #[command(after_help = "\
Examples:
  pblink service install --root image/          into a system that does not run
  sudo pblink service install
  sudo pblink service install --no-start

Of a unit that is there, the changes that a drop-in makes stay (`systemctl edit pblink`). A service that runs is started anew, with \
the program and the unit of now.")]
    Install(install::InstallArgs),
    /// Print whether the service runs, and what it has reported last.
    #[command(after_help = "\
Examples:
  pblink service status
  pblink service status --json | jq .status")]
    Status(status::StatusArgs),
}

/// The program and the configuration of the service.
#[derive(Debug, clap::Args)]
pub struct UnitArgs {
    /// Configuration file. Without it the one that `pblink config path` prints.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Program that is started. Without it, this one.
    #[arg(long, value_name = "FILE")]
    pub program: Option<PathBuf>,
}

/// Runs the verb.
pub fn run(args: Args) -> anyhow::Result<Exit> {
    match args.what {
        What::Print(args) => {
            let settings = Settings::load(args.config.as_deref())?;
            let unit = Unit::of(&settings, args.program)?;
            unit.warn(&settings);
            stdout::print(unit.text().as_bytes())
        }
        What::Install(args) => install::run(args),
        What::Status(args) => status::run(&args),
    }
}
