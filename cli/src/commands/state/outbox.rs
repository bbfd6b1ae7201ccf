//! `pblink outbox`

use std::collections::BTreeSet;

use pblink_serve::control::{Client, WaitingLine};
use pblink_serve::log::Sqlite;

use crate::exit::Exit;
use crate::folder::{confirm, patiently};
use crate::log_place::{Folder, FolderArgs, Place, ReachArgs, find};
use crate::output::diagnostics::say;
use crate::output::{envelope, stdout, units};
use crate::runtime;
use crate::server::to_error;

/// Arguments of `pblink outbox`.
#[derive(Debug, clap::Args)]
#[command(
    arg_required_else_help = true,
    after_help = "\
Examples:
  pblink outbox list                            all lines to boards that wait
  pblink outbox send kitchen                    send those that a restore has left, to one board
  pblink outbox drop --yes                      drop all that a restore has left

After a restore from a backup nobody knows whether the lines to boards in it were sent: they are `undetermined`, and held \
until `send` or `drop` decides. All others go to their boards by themselves.

With a server that runs, this is done by it; else on the folder of its log.

Exit codes: 0 done, 1 not done, 2 wrong flags, 3 wrong configuration, no token or a wrong one, 4 no server answers, and \
there is no log in its folder."
)]
pub struct OutboxArgs {
    /// The folder.
    #[command(flatten)]
    pub folder: FolderArgs,
    /// The server.
    #[command(flatten)]
    pub reach: ReachArgs,
    /// The action.
    #[command(subcommand)]
    pub what: What,
}

/// The verbs on lines to boards.
#[derive(Debug, clap::Subcommand)]
pub enum What {
    /// Print the lines that wait: client, row, `waits` or `undetermined`, and text, divided by tabs.
    #[command(after_help = LIST)]
    List {
        /// The client's id. Without it: all.
        id: Option<String>,
        /// Print JSON, one object per line.
        #[arg(long)]
        json: bool,
    },
    /// Have undetermined lines sent, behind those that wait already.
    #[command(after_help = SEND)]
    Send {
        /// The client's id. Without it: all.
        id: Option<String>,
    },
    /// Drop undetermined lines.
    #[command(after_help = DROP)]
    Drop {
        /// The client's id. Without it: all.
        id: Option<String>,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
}

const LIST: &str = "\
Examples:
  pblink outbox list
  pblink outbox list kitchen --json | jq -r 'select(.undetermined) | .text'";

const SEND: &str = "\
Examples:
  pblink outbox send kitchen";

const DROP: &str = "\
Examples:
  pblink outbox drop kitchen
  pblink outbox drop --yes";

/// Runs the verb.
pub fn run(args: OutboxArgs) -> anyhow::Result<Exit> {
    if let What::Drop { yes, .. } = &args.what {
        confirm(*yes, "drop lines to boards that may never have been sent")?;
    }
    runtime::block_on(async {
        match find(&args.folder, &args.reach).await? {
            Place::Server(client) => at_server(&args.what, &client).await,
            Place::Folder(folder) => in_folder(&args.what, &folder),
        }
    })?
}

async fn at_server(what: &What, client: &Client) -> anyhow::Result<Exit> {
    let failed = |error| to_error(&error);
    match what {
        What::List { id, json } => {
            let ids = match id {
                Some(id) => BTreeSet::from([id.clone()]),
                None => {
                    let links = client.link_infos().await.map_err(failed)?.into_iter();
                    let waiting = links.filter(|link| link.waiting > 0).map(|link| link.status.id);
                    let held = client.undetermined(None).await.map_err(failed)?.into_iter();
                    waiting.chain(held.map(|line| line.client)).collect()
                }
            };
            // One client at a time: there is a limit for the lines of each.
            for id in ids {
                print(&client.waiting(&id).await.map_err(failed)?, *json)?;
            }
            Ok(Exit::Ok)
        }
        What::Send { id } => {
            let decided = client.decide(id.as_deref(), true).await.map_err(failed)?;
            sent(decided.lines)
        }
        What::Drop { id, .. } => {
            let decided = client.decide(id.as_deref(), false).await.map_err(failed)?;
            dropped(decided.lines)
        }
    }
}

fn in_folder(what: &What, folder: &Folder) -> anyhow::Result<Exit> {
    match what {
        What::List { id, json } => {
            let (waiting, held) = patiently("reading", || Sqlite::waiting(&folder.path))?;
            let held = held.iter().map(|row| WaitingLine::of(row, true));
            let waiting = waiting.iter().map(|row| WaitingLine::of(row, false));
            let mut lines: Vec<_> = held.chain(waiting).collect();
            lines.retain(|line| id.as_ref().is_none_or(|id| line.client == *id));
            lines.sort_by(|a, b| a.client.cmp(&b.client));
            print(&lines, *json)
        }
        What::Send { id } => {
            let mut log = folder.open()?;
            sent(patiently("deciding", || log.send_undetermined(id.as_deref()))? as u64)
        }
        What::Drop { id, .. } => {
            let mut log = folder.open()?;
            dropped(patiently("deciding", || log.drop_undetermined(id.as_deref()))? as u64)
        }
    }
}

fn sent(lines: u64) -> anyhow::Result<Exit> {
    say(format_args!("{} will be sent", units::lines(lines)));
    Ok(Exit::Ok)
}

fn dropped(lines: u64) -> anyhow::Result<Exit> {
    say(format_args!("{} dropped", units::lines(lines)));
    Ok(Exit::Ok)
}

fn print(lines: &[WaitingLine], json: bool) -> anyhow::Result<Exit> {
    let mut text = String::new();
    for line in lines {
        if json {
            let (client, fields) = (line.client.clone(), envelope::fields(line)?);
            text += &envelope::wrap("line_waits", line.at_ms, Some(client), fields)?;
        } else {
            let state = if line.undetermined { "undetermined" } else { "waits" };
            let (client, of_line) = (line.client.escape_debug(), line.text.escape_debug());
            text += &format!("{client}\t{}\t{state}\t{of_line}", line.row);
        }
        text.push('\n');
    }
    stdout::print(text.as_bytes())
}
