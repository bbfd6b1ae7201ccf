//! `pblink monitor`

use std::io::stdout;
use std::sync::Arc;

use clap::builder::PossibleValuesParser;
use pblink_serve::control::{Client, ClientError, EventQuery, ServerAnswer};
use pblink_server::EventKind;

use crate::exit::{Exit, Failed};
use crate::global::Global;
use crate::look::LookArgs;
use crate::monitor::{self, Lines, Options, RemoteLines, plain, takes_screens};
use crate::output::diagnostics::{screen_is_on, warning};
use crate::runtime;
use crate::server::{ServerArgs, to_error};
use crate::signals::Signals;

/// Arguments of `pblink monitor`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pblink monitor
  pblink monitor --config boards/kitchen.toml
  pblink monitor --url http://192.168.1.10:8124
  pblink monitor --json | jq 'select(.event == \"outage_began\")'
  pblink monitor --since 24h --no-follow --event outage_began --event outage_ended
  pblink monitor --client kitchen --json >> kitchen.jsonl

--url overrides server.control of pblink.toml, and that overrides the default, 127.0.0.1:8124.

Without a terminal on stdout, on one that cannot show screens (TERM is dumb or not set), or with one of --json, --since, \
--no-follow, --client and --event, it prints one event per line: what the server still remembers, then what happens. With \
--since or --no-follow that includes earlier runs of a server whose log is on disk, at most the newest 10,000 events. If no \
server answers at the start, the exit code is 4; a server that goes away later is waited for.

The page of a link (Enter) shows its lines as they pass, and `m` sends it one, after a question. Sending needs the server's token, \
which is found by itself where the server is one of the same user.

Exit codes: 0 ended by `q`, a signal, a closed terminal, a reader that has seen enough, or --no-follow, 2 wrong flags, 3 wrong \
configuration, 4 no server.")]
pub struct Args {
    /// Where the server is.
    #[command(flatten)]
    pub server: ServerArgs,
    /// Print events as JSON, one per line.
    #[arg(long)]
    pub json: bool,
    /// Print lines, beginning this long ago, such as `24h`, or at a time such as `2026-03-01T12:00:00Z`.
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Print what there is, and end.
    #[arg(long)]
    pub no_follow: bool,
    /// Print events of this client only.
    #[arg(long, value_name = "ID")]
    pub client: Option<String>,
    /// Print events of this kind only; may be repeated.
    #[arg(long = "event", value_name = "KIND", value_parser = PossibleValuesParser::new(EventKind::NAMES))]
    pub events: Vec<String>,
    /// The look.
    #[command(flatten)]
    pub look: LookArgs,
}

/// The most events of the past that a server sends.
const MOST: usize = 10_000;

/// Runs the verb.
pub fn run(args: Args, global: &Global) -> anyhow::Result<Exit> {
    runtime::block_on(watch(args, global))?
}

async fn watch(args: Args, global: &Global) -> anyhow::Result<Exit> {
    let mut signals = Signals::listen()?;
    let (client, server) = args.server.connect().await?;
    if args.wants_lines() || !takes_screens() {
        // A reader that hangs holds up this task, and must not hold up the end.
        let printing = tokio::spawn(async move { print(args, client, server).await });
        tokio::select! {
            printed = printing => printed??,
            _ = signals.next() => {}
        }
    } else {
        let (colour, ascii, zone) =
            (global.color.enabled(true), args.look.ascii, args.look.times.zone());
        screen_is_on(true);
        let lines: Arc<dyn Lines> = Arc::new(RemoteLines::new(client.clone()));
        let options = Options { colour, ascii, zone, lines: Some(lines), ..Options::default() };
        monitor::run(client.follow(), options).await?;
    }
    Ok(Exit::Ok)
}

impl Args {
    fn wants_lines(&self) -> bool {
        let some = self.since.is_some() || self.client.is_some() || !self.events.is_empty();
        self.json || self.no_follow || some
    }
}

/// Prints events, line by line.
async fn print(args: Args, client: Client, server: ServerAnswer) -> anyhow::Result<()> {
    let zone = args.look.times.zone_of_lines();
    let (only, kinds) = (args.client.clone(), args.events.clone());
    let style =
        plain::Style { json: args.json, zone, client: only, kinds, ..plain::Style::default() };
    let mut out = stdout();
    let updates = if args.since.is_some() || args.no_follow {
        let (from, only) = (args.since.as_deref(), args.client.as_deref());
        let query = EventQuery { from, client: only, kinds: &args.events };
        let past = client.past_events(&query).await.map_err(|error| match error {
            ClientError::Refused { status: 400, message } => {
                Failed::with(Exit::Usage, message.replace("`from`", "--since"))
            }
            error => to_error(&error),
        })?;
        if past.events.len() >= MOST {
            warning(format_args!("only the newest {MOST} events are shown"));
        }
        for event in &past.events {
            if !style.write(event, &mut out)? {
                return Ok(());
            }
        }
        if args.no_follow {
            return Ok(());
        }
        client.follow_after(&server.info, past.last)
    } else {
        client.follow()
    };
    Ok(plain::follow(updates, &style, &mut out).await?)
}
