//! `pblink doctor`: checks tools, configuration, keys, server, broker, store, ports and board.
//!
//! Each check changes nothing. It gives findings: what was found, its level, and the remedy. One module per group of checks.

mod broker;
mod configuration;
mod devices;
mod finding;
mod keys;
mod server;
mod store;
mod tools;

use std::io::{IsTerminal, stdout};
use std::path::PathBuf;

use pblink_flash::stm32::UsbBus;

use crate::exit::Exit;
use crate::global::Global;
use crate::hardware::target::Way;
use crate::output::stdout::print;
use crate::runtime;
use finding::Level;

/// Arguments of `pblink doctor`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pblink doctor
  pblink doctor --only server          a machine that only serves: no compilers, no ports of boards
  pblink doctor --only build,flash
  pblink doctor --board --via probe
  pblink doctor --json | jq -r '.findings[] | select(.level == \"error\") | .remedy'

It only reads: nothing is installed, written or erased. `ok` is as it should be, `warn` may be \
what you want, `FAIL` is in the way of another verb.

Exit codes: 0 nothing is in the way, 1 something is, 2 wrong flags.")]
pub struct Args {
    /// Configuration file. Without it the one that `pblink config path` prints, if there is one.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Check only what this machine is for; may be repeated, and takes several with commas between them.
    #[arg(long, value_enum, value_name = "PURPOSE", value_delimiter = ',')]
    pub only: Vec<Purpose>,
    /// Also read the STM32's settings and version, and compare them with the file and this program. This
    /// restarts a board that runs. Of several boards in the file (`[[board]]`) the one with this id.
    #[arg(long, value_name = "ID", num_args = 0..=1)]
    pub board: Option<Option<String>>,
    /// Way to it.
    #[command(flatten)]
    pub way: Way,
    /// The folder with the sources of pblink. Without it: the folder around you that has them.
    #[arg(long, value_name = "DIR")]
    pub source: Option<PathBuf>,
    /// Print the findings as one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// Purpose of a machine. The configuration is checked for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Purpose {
    /// Run the server: its ports, that boards find it, and that broker and store take it.
    Server,
    /// Build programs: sources, compilers, Espressif's SDK.
    Build,
    /// Flash boards: serial adapters, probes, bootloaders.
    Flash,
}

/// Runs the verb.
pub fn run(args: Args, global: &Global) -> anyhow::Result<Exit> {
    let wanted = |purpose| args.only.is_empty() || args.only.contains(&purpose);
    let (mut settings, mut findings) = configuration::check(args.config.as_deref());
    findings.extend(keys::check(&settings));
    if wanted(Purpose::Build) {
        findings.extend(tools::check(&settings, args.source.as_deref()));
    }
    if wanted(Purpose::Server) {
        findings.extend(runtime::block_on(server::check(&settings))?);
        findings.extend(runtime::block_on(broker::check(&settings))?);
        findings.extend(runtime::block_on(store::check(&settings))?);
    }
    if wanted(Purpose::Flash) {
        findings.extend(devices::check(settings.board.coprocessor.chip()));
    }
    if let Some(id) = &args.board {
        settings.choose_board(id.as_deref())?;
        findings.extend(devices::board(&settings, &args.way, &mut UsbBus));
    }
    let colour = global.color.enabled(stdout().is_terminal());
    let text = if args.json { finding::json(&findings) } else { finding::table(&findings, colour) };
    print(text.as_bytes())?;
    let bad = findings.iter().any(|finding| finding.level == Level::Error);
    Ok(if bad { Exit::Failure } else { Exit::Ok })
}
