//! `pblink state` and `pblink outbox`: the folder of a server's log.

mod outbox;

use std::path::PathBuf;

use anyhow::Context;
use pblink_serve::log::{Engine, Report, Sqlite};

use crate::exit::Exit;
use crate::folder::{confirm, patiently};
use crate::log_place::{FolderArgs, Place, ReachArgs, find};
use crate::output::diagnostics::{note, say};
use crate::output::json::line;
use crate::output::stdout::print;
use crate::runtime;
use crate::server::to_error;

pub use outbox::OutboxArgs;
pub(crate) use outbox::run as outbox;

/// Arguments of `pblink state`.
#[derive(Debug, clap::Args)]
#[command(
    arg_required_else_help = true,
    after_help = "\
Examples:
  pblink state check                            read all of the log, and say whether it is sound
  pblink state backup /media/usb/pblink.db      copy it, also while the server runs
  pblink state restore /media/usb/pblink.db     put the copy in its place; the server must not run
  pblink state purge kitchen --yes              remove all that was kept of a client

After a restore the log has a new name, so that programs with an offset of the old one learn of it; links begin anew; and \
lines to boards that were in the copy are held until `pblink outbox send` or `pblink outbox drop` decides: nobody knows \
whether they were sent.

`purge` is done by the server, if one runs.

Exit codes: 0 done and sound, 1 not done, or the log is not sound, 2 wrong flags, 3 wrong configuration, no token or a wrong \
one, 4 no server answers, and there is no log in its folder."
)]
pub struct Args {
    /// The folder.
    #[command(flatten)]
    pub folder: FolderArgs,
    /// The action.
    #[command(subcommand)]
    pub what: What,
}

/// The verbs on a folder.
#[derive(Debug, clap::Subcommand)]
pub enum What {
    /// Write a copy of the log, also while the server runs.
    #[command(after_help = BACKUP)]
    Backup {
        /// The copy, which must not exist.
        file: PathBuf,
    },
    /// Put a copy in the place of the log. What was there is kept beside it.
    #[command(after_help = RESTORE)]
    Restore {
        /// The copy.
        file: PathBuf,
    },
    /// Read all of the log, and report its contents and whether it is sound; also while the server runs.
    #[command(after_help = CHECK)]
    Check {
        /// Print the report as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Remove lines, session, events and all else that is kept of a client, at the server that runs or in the folder.
    #[command(after_help = PURGE)]
    Purge {
        /// The client's id.
        id: String,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
        /// The server.
        #[command(flatten)]
        reach: ReachArgs,
    },
}

const BACKUP: &str = "\
Examples:
  pblink state backup /media/usb/pblink.db";

const RESTORE: &str = "\
Examples:
  pblink state restore /media/usb/pblink.db";

const CHECK: &str = "\
Examples:
  pblink state check
  pblink state check --json | jq .lines";

const PURGE: &str = "\
Examples:
  pblink state purge kitchen
  pblink state purge kitchen --yes --url http://127.0.0.1:8124

A client that is connected is not removed: it would be there again at once.";

/// Runs the verb.
pub fn run(args: Args) -> anyhow::Result<Exit> {
    let Args { folder: place, what } = args;
    match what {
        What::Backup { file } => {
            let folder = place.with_log()?;
            // SQLite takes a name that is relative from another place.
            let file = std::path::absolute(&file).context("there is no working folder")?;
            patiently("copying the log", || Sqlite::copy(&folder, &file))?;
            say(format_args!("{} is a copy of the log in {}", file.display(), folder.display()));
            Ok(Exit::Ok)
        }
        What::Restore { file } => {
            let folder = place.find()?;
            let restored = patiently("checking and copying", || Sqlite::restore(&folder, &file))
                .context("not restored")?;
            say(format_args!(
                "the log in {} is that of {}: {} lines, the newest is {}",
                folder.display(),
                file.display(),
                restored.report.lines,
                restored.report.next - 1
            ));
            if let Some(replaced) = restored.replaced {
                say(format_args!("the one that was there is {}", replaced.display()));
            }
            let held = restored.report.outbox + restored.report.undetermined;
            if held > 0 {
                note(format_args!(
                    "{held} lines to boards are held, as nobody knows whether they were sent: see \
                     `pblink outbox list`"
                ));
            }
            Ok(Exit::Ok)
        }
        What::Check { json } => {
            let folder = place.with_log()?;
            let report = patiently("reading the log", || Sqlite::check(&folder))?;
            let text = match json {
                true => line(&report)? + "\n",
                false => describe(&report),
            };
            print(text.as_bytes())?;
            Ok(if report.is_sound() { Exit::Ok } else { Exit::Failure })
        }
        What::Purge { id, yes, reach } => {
            let what = format!("remove all that is kept of \"{}\" for good", id.escape_debug());
            confirm(yes, &what)?;
            runtime::block_on(purge(&place, &reach, &id))?
        }
    }
}

async fn purge(folder: &FolderArgs, reach: &ReachArgs, id: &str) -> anyhow::Result<Exit> {
    match find(folder, reach).await? {
        Place::Server(client) => client.purge(id).await.map_err(|error| to_error(&error))?,
        Place::Folder(folder) => {
            let mut log = folder.open()?;
            patiently("removing lines", move || log.purge(id))?;
        }
    }
    say(format_args!("nothing is kept of \"{}\"", id.escape_debug()));
    Ok(Exit::Ok)
}

fn describe(report: &Report) -> String {
    use std::fmt::Write as _;
    let mut text = String::new();
    let Report { path, file_bytes, schema, id, generation, .. } = report;
    let mut line = |words: std::fmt::Arguments<'_>| {
        // A string takes all that is written into it.
        let _ = writeln!(text, "{words}");
    };
    line(format_args!(
        "{}: {file_bytes} bytes, schema {schema}, log {id}.{generation}",
        path.display()
    ));
    line(format_args!(
        "lines: {} ({} bytes), from offset {} on; the next is {}",
        report.lines, report.line_bytes, report.first, report.next
    ));
    if report.missing > 0 {
        line(format_args!(
            "of these offsets {} are gone with clients that were purged",
            report.missing
        ));
    }
    line(format_args!(
        "clients: {}; lines that wait for them: {}; undetermined: {}",
        report.sessions, report.outbox, report.undetermined
    ));
    line(format_args!("places of consumers: {}; events: {}", report.cursors, report.events));
    for problem in &report.problems {
        line(format_args!("problem: {problem}"));
    }
    for (client, why) in &report.bad_sessions {
        line(format_args!(
            "problem: the session of \"{}\" cannot be read: {why}",
            client.escape_debug()
        ));
    }
    line(match (report.is_sound(), report.problems.is_empty()) {
        (true, _) => format_args!("the log is sound"),
        (false, true) => format_args!(
            "the log is NOT sound: the links of these clients begin anew when a server starts, all others go on"
        ),
        (false, false) => {
            format_args!("the log is NOT sound: restore a backup with `pblink state restore FILE`")
        }
    });
    text
}
