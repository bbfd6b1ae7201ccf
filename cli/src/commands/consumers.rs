//! `pblink consumers`

use pblink_serve::control::{Client, ConsumerInfo, ConsumerKind, Failing, Stalled};
use serde_json::{Map, json};

use crate::exit::Exit;
use crate::log_place::{FolderArgs, Place, ReachArgs, find};
use crate::output::diagnostics::say;
use crate::output::{envelope, events, stdout, units};
use crate::runtime;
use crate::server::to_error;

/// Arguments of `pblink consumers`.
#[derive(Debug, clap::Args)]
#[command(
    arg_required_else_help = true,
    after_help = "\
Examples:
  pblink consumers list                         who uses the lines, how far, and where one fails
  pblink consumers skip exec                    pass over the line on which its program ends
  pblink consumers skip exec --client kitchen   if it fails on lines of several boards
  pblink consumers rename exec store            after that change in pblink.toml: it keeps its place
  pblink consumers rm old                       forget one that is gone from pblink.toml

A consumer is known by its name. One that is gone from pblink.toml holds nothing back, and stays in the list until it is \
removed. One that is a part of the server that runs is neither renamed nor removed: stop the server first.

With a server that runs, this is done by it; `list`, `rm` and `rename` work on the folder of its log when none does.

Exit codes: 0 done, 1 not done, 2 wrong command line, 3 wrong configuration, no token or a wrong one, 4 no server answers."
)]
pub struct Args {
    /// The folder.
    #[command(flatten)]
    pub folder: FolderArgs,
    /// The server.
    #[command(flatten)]
    pub reach: ReachArgs,
    /// Print JSON, one object per line.
    #[arg(long, global = true)]
    pub json: bool,
    /// The action.
    #[command(subcommand)]
    pub what: What,
}

/// The verbs on consumers.
#[derive(Debug, clap::Subcommand)]
pub enum What {
    /// Print each consumer: how far it has come, how far behind it is, and where it fails.
    #[command(after_help = LIST)]
    List,
    /// Forget a consumer that does not run in the server.
    #[command(after_help = RM)]
    Rm {
        /// Name of the consumer.
        name: String,
    },
    /// Give a consumer that does not run in the server another name. It keeps its place.
    #[command(after_help = RENAME)]
    Rename {
        /// Name that it has.
        old: String,
        /// Name that it gets.
        new: String,
    },
    /// Let a consumer pass over the one line on which it fails.
    #[command(after_help = SKIP)]
    Skip {
        /// Name of the consumer.
        name: String,
        /// Id of the client that has sent the line; needed if the consumer fails on lines of several.
        #[arg(long, value_name = "ID")]
        client: Option<String>,
    },
}

const LIST: &str = "\
Examples:
  pblink consumers list
  pblink consumers list --json | jq -r 'select(.failing_clients > 0) | .name'

Lines that a consumer with the word `required` has not consumed are kept, whatever their age.";

const RM: &str = "\
Examples:
  pblink consumers rm old

Its place is forgotten: one with the same name begins anew.";

const RENAME: &str = "\
Examples:
  pblink consumers rename exec store

Stop the server, change the name in pblink.toml, rename, and start the server: so none with the new name begins anew \
before. If one has, remove that first.";

const SKIP: &str = "\
Examples:
  pblink consumers skip exec
  pblink consumers skip exec --client kitchen

A line on which a program ends again and again is never passed over by itself: the lines of its client wait. The line stays \
in the log; only this consumer does without it.";

/// Runs the verb.
pub fn run(args: Args) -> anyhow::Result<Exit> {
    runtime::block_on(async {
        match find(&args.folder, &args.reach).await? {
            Place::Server(client) => at_server(&args, &client).await,
            #[cfg(feature = "sqlite")]
            Place::Folder(folder) => in_folder(&args, &folder),
        }
    })?
}

async fn at_server(args: &Args, client: &Client) -> anyhow::Result<Exit> {
    let failed = |error| to_error(&error);
    match &args.what {
        What::List => {
            let list = client.consumers().await.map_err(failed)?;
            print(args, list.head, &list.consumers, true)
        }
        What::Rm { name } => {
            client.remove_consumer(name).await.map_err(failed)?;
            removed(args, name)
        }
        What::Rename { old, new } => {
            client.rename_consumer(old, new).await.map_err(failed)?;
            renamed(args, old, new)
        }
        What::Skip { name, client: id } => {
            let passed = client.skip(name, id.as_deref()).await.map_err(failed)?;
            let (consumer, id) = (events::clean(&passed.consumer), events::id(&passed.client));
            let said = format!("{consumer} passes over line {} of {id}", passed.offset);
            let fields = json!({ "consumer": passed.consumer, "offset": passed.offset });
            done(args, "consumer_skips", Some(passed.client.clone()), fields, &said)
        }
    }
}

#[cfg(feature = "sqlite")]
fn in_folder(args: &Args, folder: &crate::log_place::Folder) -> anyhow::Result<Exit> {
    use anyhow::Context;
    use pblink_serve::log::Sqlite;

    use crate::exit::Failed;
    use crate::folder::patiently;

    let known = patiently("reading", || Sqlite::consumers(&folder.path))?;
    let key = |name: &str| {
        let found = ConsumerInfo::find(&known, name).with_context(|| {
            let (path, name) = (folder.path.display(), events::clean(name));
            format!("there is no consumer \"{name}\" in {path}; `pblink consumers list` has all")
        })?;
        Ok::<_, anyhow::Error>((found.kind, ConsumerInfo::key(found.kind, &found.name)))
    };
    match &args.what {
        What::List => {
            let head = patiently("reading", || Sqlite::head(&folder.path))?;
            let all: Vec<_> = known.iter().map(ConsumerInfo::of).collect();
            print(args, head, &all, false)
        }
        What::Rm { name } => {
            let (_, key) = key(name)?;
            folder.open()?.remove_consumer(&key)?;
            removed(args, name)
        }
        What::Rename { old, new } => {
            ConsumerInfo::check_name(new).map_err(|rule| Failed::with(Exit::Usage, rule))?;
            let (kind, key) = key(old)?;
            folder.open()?.rename_consumer(&key, &ConsumerInfo::key(kind, new))?;
            renamed(args, old, new)
        }
        What::Skip { .. } => Err(Failed::with(
            Exit::Network,
            format!("{}: only a server that runs knows where a consumer fails", folder.alone),
        )),
    }
}

fn removed(args: &Args, name: &str) -> anyhow::Result<Exit> {
    let said = format!("{} is removed", events::clean(name));
    done(args, "consumer_removed", None, json!({ "name": name }), &said)
}

fn renamed(args: &Args, old: &str, new: &str) -> anyhow::Result<Exit> {
    let said = format!("{} is {new} now", events::clean(old));
    done(args, "consumer_renamed", None, json!({ "name": new, "was": old }), &said)
}

/// Says that something is done: in words, or as JSON.
fn done(
    args: &Args,
    event: &str,
    client: Option<String>,
    fields: serde_json::Value,
    said: &str,
) -> anyhow::Result<Exit> {
    if !args.json {
        say(said);
        return Ok(Exit::Ok);
    }
    let fields = envelope::fields(&fields)?;
    stdout::print((envelope::wrap(event, envelope::now_ms(), client, fields)? + "\n").as_bytes())
}

/// Prints consumers. `running`: it is known whether each is a part of a server that runs.
fn print(
    args: &Args,
    head: u64,
    consumers: &[ConsumerInfo],
    running: bool,
) -> anyhow::Result<Exit> {
    let mut text = String::new();
    let width = consumers.iter().map(|consumer| consumer.name.chars().count()).max().unwrap_or(0);
    for consumer in consumers {
        if args.json {
            let mut object: Map<_, _> = envelope::fields(consumer)?;
            object.insert("head".to_owned(), head.into());
            text += &(envelope::wrap("consumer", envelope::now_ms(), None, object)? + "\n");
            continue;
        }
        text += &line(consumer, width, head, running);
    }
    if consumers.is_empty() && !args.json {
        text.push_str("no consumers: nothing has used the lines of this log yet\n");
    }
    stdout::print(text.as_bytes())
}

fn line(consumer: &ConsumerInfo, width: usize, head: u64, running: bool) -> String {
    let name = events::clean(&consumer.name);
    let mut text = format!("{name:width$}  at {} of {head}", consumer.offset);
    match consumer.lag {
        0 => {}
        lag => text += &format!(", {} behind", units::lines(lag)),
    }
    text += match (consumer.kind, consumer.running) {
        (ConsumerKind::Http, _) => "; by HTTP",
        (ConsumerKind::Server, true) if consumer.required => "; runs, required",
        (ConsumerKind::Server, true) => "; runs",
        (ConsumerKind::Server, false) if running => {
            "; not in the configuration, holds nothing back"
        }
        (ConsumerKind::Server, false) => "",
    };
    text.push('\n');
    if let Some(Stalled { since, why, next, .. }) = &consumer.stalled {
        let why = events::clean(why);
        text += &format!("{:width$}  cannot go on since {since}: {why}; next try at {next}\n", "");
    }
    for Failing { client, offset, since, why, .. } in &consumer.failing {
        let (client, why) = (events::id(client), events::clean(why));
        text += &format!(
            "{:width$}  fails at {offset}, a line of {client}, since {since}: {why}\n",
            ""
        );
    }
    match consumer.failing_clients.saturating_sub(consumer.failing.len() as u64) {
        0 => {}
        more => text += &format!("{:width$}  fails on lines of {more} more clients\n", ""),
    }
    text
}
