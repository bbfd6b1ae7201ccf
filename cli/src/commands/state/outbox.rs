//! `pblink outbox`

use crate::exit::Exit;
use crate::folder::{FolderArgs, confirm, open, patiently};
use crate::output::diagnostics::say;
use crate::output::stdout::print;

/// Arguments of `pblink outbox`.
#[derive(Debug, clap::Args)]
#[command(
    arg_required_else_help = true,
    after_help = "\
Examples:
  pblink outbox list                            lines to boards that a restore has left undetermined
  pblink outbox send kitchen                    have those for one board sent when the server runs
  pblink outbox drop --yes                      drop all of them

After a restore from a backup nobody knows whether the lines to boards in it were sent: they are held until one of these \
verbs decides. The server must not run; while it runs, /api/v1/outbox of its control API does the same.

Exit codes: 0 done, 1 not done, 2 wrong flags, 3 wrong configuration."
)]
pub struct OutboxArgs {
    /// The folder.
    #[command(flatten)]
    pub folder: FolderArgs,
    /// The action.
    #[command(subcommand)]
    pub what: What,
}

/// The verbs on undetermined lines.
#[derive(Debug, clap::Subcommand)]
pub enum What {
    /// Print the lines: client, row and text, divided by tabs.
    List {
        /// The client's id. Without it: all.
        id: Option<String>,
    },
    /// Have the lines sent, behind those that wait already.
    Send {
        /// The client's id. Without it: all.
        id: Option<String>,
    },
    /// Drop the lines.
    Drop {
        /// The client's id. Without it: all.
        id: Option<String>,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
}

/// Runs the verb.
pub fn run(args: OutboxArgs) -> anyhow::Result<Exit> {
    if let What::Drop { yes, .. } = &args.what {
        confirm(*yes, "drop lines to boards that may never have been sent")?;
    }
    let folder = args.folder.find()?;
    let mut log = open(&folder)?;
    match args.what {
        What::List { id } => {
            let mut text = String::new();
            for row in patiently("reading", || log.undetermined())? {
                if id.as_deref().is_none_or(|id| *row.client == *id) {
                    let (client, line) = (row.client.escape_debug(), row.text.escape_debug());
                    text += &format!("{client}\t{}\t{line}\n", row.row);
                }
            }
            print(text.as_bytes())
        }
        What::Send { id } => {
            let lines = patiently("deciding", || log.send_undetermined(id.as_deref()))?;
            say(format_args!("{lines} lines will be sent"));
            Ok(Exit::Ok)
        }
        What::Drop { id, .. } => {
            let lines = patiently("deciding", || log.drop_undetermined(id.as_deref()))?;
            say(format_args!("{lines} lines were dropped"));
            Ok(Exit::Ok)
        }
    }
}
