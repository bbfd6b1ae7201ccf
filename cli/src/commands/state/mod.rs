//! `pblink state` and `pblink outbox`: the folder of a server's log.

mod outbox;

use std::path::PathBuf;

use anyhow::Context;
use pblink_serve::log::{Engine, Report, Sqlite};

use crate::exit::Exit;
use crate::folder::{FolderArgs, confirm, open, patiently};
use crate::output::diagnostics::{note, say};
use crate::output::stdout::print;

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

Exit codes: 0 done and sound, 1 not done, or the log is not sound, 2 wrong flags, 3 wrong configuration."
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
    Backup {
        /// The copy, which must not exist.
        file: PathBuf,
    },
    /// Put a copy in the place of the log. What was there is kept beside it.
    Restore {
        /// The copy.
        file: PathBuf,
    },
    /// Read all of the log, and report its contents and whether it is sound; also while the server runs.
    Check {
        /// Print the report as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Remove lines, session, events and all else that is kept of a client.
    Purge {
        /// The client's id.
        id: String,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
}

/// Runs the verb.
pub fn run(args: Args) -> anyhow::Result<Exit> {
    let folder = args.folder.find()?;
    match args.what {
        What::Backup { file } => {
            // SQLite takes a name that is relative from another place.
            let file = std::path::absolute(&file).context("there is no working folder")?;
            patiently("copying the log", || Sqlite::copy(&folder, &file))?;
            say(format_args!("{} is a copy of the log in {}", file.display(), folder.display()));
            Ok(Exit::Ok)
        }
        What::Restore { file } => {
            let restored = patiently("checking and copying", || Sqlite::restore(&folder, &file))?;
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
                     `pblink outbox list`, once a server has opened the log"
                ));
            }
            Ok(Exit::Ok)
        }
        What::Check { json } => {
            let report = patiently("reading the log", || Sqlite::check(&folder))?;
            let text = match json {
                true => serde_json::to_string(&report)? + "\n",
                false => describe(&report),
            };
            print(text.as_bytes())?;
            Ok(if report.is_sound() { Exit::Ok } else { Exit::Failure })
        }
        What::Purge { id, yes } => {
            confirm(
                yes,
                &format!("remove all that is kept of \"{}\" for good", id.escape_debug()),
            )?;
            let mut log = open(&folder)?;
            let purged = patiently("removing lines", move || log.purge(&id).map(|()| id));
            say(format_args!("nothing is kept of \"{}\"", purged?.escape_debug()));
            Ok(Exit::Ok)
        }
    }
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
