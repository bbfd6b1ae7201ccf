//! `pblink soak`: a real server under load and faults on this machine, with a ledger of every line.

mod words;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use pblink_endurance::process::Used;
use pblink_endurance::soak::{Options, Outcome, Soak};
use serde::Serialize;

use crate::duration;
use crate::exit::{Exit, Failed};
use crate::output::diagnostics::{newline, note, say};
use crate::output::{envelope, stdout};
use crate::runtime;
use crate::settings::limits::Limits;
use crate::signals::{Signal, Signals};

/// Arguments of `pblink soak`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pblink soak
  pblink soak --hours 2 --folder /var/lib/pblink
  pblink soak --for 20min --boards 50 --json | jq
  pblink soak --for 1min --seed 77

It shows whether this machine (disk, kernel, container) keeps the promises of the link: no line is lost, doubled or out of \
order, whatever happens. It starts a server of its own at a free port of this machine, with its log in a new folder in --folder; \
to test a disk, name a folder on it. Boards write to it through a network that can be cut. Every fourth has keys, and beside all \
of them are two of `pblink simulate`.

Faults, at random instants: the server is killed (SIGKILL) and started again; it is halted (SIGSTOP) for up to 2.5 s; connections are cut; \
its disk is full, by a limit of the size of files at which each write fails; its wall clock is set, if libfaketime is installed. \
Faults that cannot be had here are named and passed over. Nothing but its own processes is touched, and power is not cut: \
a disk that loses what it has confirmed shows only when it does.

In the end each line is looked up in the log and at the board that has its echo. A soak of 10 min or more also fails if the server \
uses half as much again in the last quarter as in the first.

ctrl-C, SIGTERM and SIGHUP end it early, with the account so far; a second one does not wait for what is on its way. The folder \
is removed if all is well; else it is kept, and its name is printed.

Exit codes: 0 all lines are there once and in order, 1 the server ended, grew or used too much, or the folder cannot be written, \
2 wrong flags, 5 the ledger is not clean, 130 interrupted twice.")]
pub struct Args {
    /// Let boards write and faults happen for this time (20s, 3min, 2h).
    #[arg(long = "for", value_name = "TIME", default_value = "10min", value_parser = duration::parse)]
    pub time: Duration,
    /// The same in hours.
    #[arg(long, value_name = "H", conflicts_with = "time", value_parser = HOURS.parser())]
    pub hours: Option<u32>,
    /// Number of boards.
    #[arg(long, value_name = "N", default_value = "16", value_parser = BOARDS.parser())]
    pub boards: u32,
    /// Repeat the choice of faults and lines of another run, which has printed this number. Instants differ: the machine decides them.
    #[arg(long, value_name = "NUMBER")]
    pub seed: Option<u32>,
    /// Folder on the disk that is tested. Default: the one for temporary files.
    #[arg(long, value_name = "FOLDER")]
    pub folder: Option<PathBuf>,
    /// Memory that the server may use, in MB.
    #[arg(long, value_name = "MB", default_value = "96", value_parser = MEMORY.parser())]
    pub max_mb: u32,
    /// Print the outcome as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Of `--hours`.
const HOURS: Limits = Limits::number(1, 8760, 1);

/// Of `--boards`.
const BOARDS: Limits = Limits::number(1, 1000, 16);

/// Of `--max-mb`.
const MEMORY: Limits = Limits::number(1, 1_000_000, 96);

/// Processes of `pblink simulate` beside the boards.
const SIMULATORS: usize = 2;

/// Runs the verb.
pub fn run(args: Args) -> anyhow::Result<Exit> {
    let seed = args.seed.unwrap_or_else(|| envelope::now_ms() as u32);
    let place = args.folder.clone().unwrap_or_else(std::env::temp_dir);
    let folder = place.join(format!("pblink-soak-{seed}-{}", std::process::id()));
    std::fs::create_dir(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    // The server's own folder is another one.
    let folder = folder.canonicalize().context("cannot find the folder")?;
    let ran = runtime::block_on(soak(&args, seed, &folder))?;
    match &ran {
        Ok((outcome, exit)) if outcome.is_clean() || *exit == Exit::Interrupted => {
            std::fs::remove_dir_all(&folder)
                .with_context(|| format!("cannot remove {}", folder.display()))?;
        }
        // A server that did not start has left nothing to look at.
        Err(_) => drop(std::fs::remove_dir_all(&folder)),
        Ok(_) => note(format_args!("the log is kept in {}", folder.display())),
    }
    let (outcome, exit) = ran?;
    print(&outcome, args.json)?;
    Ok(exit)
}

async fn soak(args: &Args, seed: u32, folder: &Path) -> anyhow::Result<(Outcome, Exit)> {
    let mut signals = Signals::listen()?;
    let time = args.hours.map_or(args.time, |hours| Duration::from_secs(3600 * u64::from(hours)));
    let boards = u64::from(args.boards);
    let mut options = Options {
        time,
        boards: boards - boards / 4,
        keyed: boards / 4,
        simulators: SIMULATORS,
        seed: seed.into(),
        ..Options::default()
    };
    let descriptors = options.enough_descriptors();
    options.most = Used { memory: u64::from(args.max_mb) << 20, descriptors };
    let program = std::env::current_exe().context("cannot find the file of this program")?;
    say(words::begin(args.boards, time, seed, folder));
    let work = Soak::new(&program, folder, options);
    let (end, give_up) = (work.end(), work.give_up());
    let mut run = tokio::task::spawn_blocking(move || {
        work.run(|progress| say(words::progress(progress, time)))
    });
    let outcome = loop {
        tokio::select! {
            ran = &mut run => break ran.context("the soak has failed")?,
            asked = signals.next() => {
                if asked == Signal::Interrupt {
                    newline();
                }
                if end.is_cancelled() {
                    give_up.cancel();
                } else {
                    say("waiting for what is on its way; ctrl-C again to stop at once");
                    end.cancel();
                }
            }
        }
    };
    let outcome = outcome.map_err(|why| Failed::with(Exit::Failure, why))?;
    let exit = match &outcome {
        _ if give_up.is_cancelled() => Exit::Interrupted,
        outcome if !outcome.has_clean_ledger() => Exit::Lines,
        outcome if !outcome.is_clean() => Exit::Failure,
        _ => Exit::Ok,
    };
    Ok((outcome, exit))
}

/// The outcome as JSON.
#[derive(Debug, Serialize)]
struct Summary<'a> {
    version: &'a str,
    clean: bool,
    flat: bool,
    #[serde(flatten)]
    outcome: &'a Outcome,
}

fn print(outcome: &Outcome, json: bool) -> anyhow::Result<()> {
    let text = if json {
        let version = env!("CARGO_PKG_VERSION");
        let (clean, flat) = (outcome.is_clean(), outcome.is_flat());
        let fields = envelope::fields(&Summary { version, clean, flat, outcome })?;
        envelope::wrap("soak", envelope::now_ms(), None, fields)? + "\n"
    } else {
        words::outcome(outcome)
    };
    stdout::print(text.as_bytes()).map(drop)
}
