//! `pblink store`: the stream in which several servers share a log.

use std::path::PathBuf;

use pblink_serve::control::GatewayInfo;
use pblink_serve::log::store::StreamState;
use serde_json::json;

use crate::exit::{Exit, Failed};
use crate::output::diagnostics::{note, say};
use crate::output::json::line;
use crate::output::stdout::print;
use crate::settings::Settings;
use crate::{runtime, store};

/// Arguments of `pblink store`.
#[derive(Debug, clap::Args)]
#[command(
    arg_required_else_help = true,
    after_help = "\
Examples:
  pblink store init nats://10.0.0.5:4222,nats://10.0.0.6:4222,nats://10.0.0.7:4222
  pblink store check                            the one of store.url in pblink.toml
  pblink serve --store nats://10.0.0.5:4222     on each machine: one serves, the others stand by

The stream is in NATS JetStream, version 2.10 or newer. Its name is store.name of pblink.toml (PBLINK), credentials come \
from the file that store.credentials_file names. docs/SCALE.md says how several servers share a log.

Exit codes: 0 done, and the stream is safe; 1 not done, or it is not safe; 2 wrong flags; 3 wrong configuration or \
credentials; 4 no server answers."
)]
pub struct Args {
    /// Configuration file. Without it the one that `pblink config path` prints, if there is one.
    #[arg(long, value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,
    /// The action.
    #[command(subcommand)]
    pub what: What,
}

/// The verbs on a store.
#[derive(Debug, clap::Subcommand)]
pub enum What {
    /// Make the stream, unless it is there, and check it.
    #[command(after_help = INIT)]
    Init {
        /// URLs of NATS servers, with commas between. Default: store.url of pblink.toml.
        url: Option<String>,
        /// Servers that keep a copy each. Default: 3 where there are that many, else 1.
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=5))]
        replicas: Option<u8>,
    },
    /// Check the stream, name the settings with which it could lose lines, and list the gateways that are there.
    #[command(after_help = CHECK)]
    Check {
        /// URLs of NATS servers, with commas between. Default: store.url of pblink.toml.
        url: Option<String>,
        /// Print the state of the stream as JSON.
        #[arg(long)]
        json: bool,
    },
}

const INIT: &str = "\
Examples:
  pblink store init nats://127.0.0.1:4222
  pblink store init --replicas 5";

const CHECK: &str = "\
Examples:
  pblink store check nats://127.0.0.1:4222
  pblink store check --json | jq .faults
  pblink store check --json | jq -r '.gateways[] | select(.leads) | .name'

It listens for three seconds for gateways: each says that it leads, or stands by.";

/// Runs the verb.
pub fn run(args: Args) -> anyhow::Result<Exit> {
    let settings = Settings::load(args.config.as_deref())?;
    runtime::block_on(work(args.what, settings))?
}

async fn work(what: What, settings: Settings) -> anyhow::Result<Exit> {
    let url = match &what {
        What::Init { url, .. } | What::Check { url, .. } => url.as_deref(),
    };
    let Some(options) = store::options(&settings, url)? else {
        let what = "which store? Name one, as in `pblink store check nats://127.0.0.1:4222`, or set store.url in pblink.toml";
        return Err(Failed::with(Exit::Usage, what));
    };
    let store = store::connect(&options, "store").await?;
    let name = &options.name;
    let check = matches!(what, What::Check { .. });
    let json = match what {
        What::Init { replicas, .. } => {
            let replicas = replicas.map_or_else(|| store.most_replicas(), usize::from);
            let made = store.init(replicas).await.map_err(|error| store::failed(&error))?;
            say(format_args!(
                "{}",
                if made {
                    format!("made the stream {name}")
                } else {
                    format!("the stream {name} was there")
                }
            ));
            false
        }
        What::Check { json, .. } => json,
    };
    let state = store.state().await.map_err(|error| store::failed(&error))?;
    let gateways = match check {
        true => {
            say(format_args!("listening for gateways for 3 s…"));
            store.gateways().await.map_err(|error| store::failed(&error))?
        }
        false => Vec::new(),
    };
    let text = match json {
        true => line(&as_json(name, &state, &gateways))? + "\n",
        false => describe(name, &state) + &describe_gateways(&gateways),
    };
    print(text.as_bytes())?;
    if !state.faults.is_empty() {
        return Ok(Exit::Failure);
    }
    if !json {
        note(
            "clients cannot see whether these servers write what they acknowledge to their disks at once: with jetstream \
             { sync_interval: always } in their configuration they do; without it, a power cut of all of them at a time \
             takes up to two minutes of lines along",
        );
    }
    Ok(Exit::Ok)
}

fn as_json(name: &str, state: &StreamState, gateways: &[GatewayInfo]) -> serde_json::Value {
    let StreamState { first, last, bytes, replicas, present, faults } = state;
    json!({
        "name": name,
        "first": first,
        "last": last,
        "bytes": bytes,
        "replicas": replicas,
        "present": present,
        "faults": faults,
        "gateways": gateways,
    })
}

fn describe_gateways(gateways: &[GatewayInfo]) -> String {
    let line = |gateway: &GatewayInfo| {
        let GatewayInfo { name, leads, behind, other_keys, .. } = gateway;
        let mut text = match (leads, behind) {
            (true, _) => format!("  gateway {name} leads"),
            (false, 0) => format!("  gateway {name} stands by"),
            (false, 1) => format!("  gateway {name} stands by, 1 message behind"),
            (false, _) => format!("  gateway {name} stands by, {behind} messages behind"),
        };
        if *other_keys {
            text += ", WITH OTHER KEYS OF BOARDS: copy link.keys and link.classic of one that is right to all";
        }
        text + "\n"
    };
    gateways.iter().map(line).collect()
}

fn describe(name: &str, state: &StreamState) -> String {
    let StreamState { first, last, bytes, replicas, present, faults } = state;
    let messages = if *last == 0 { 0 } else { last + 1 - first };
    let mut text = format!(
        "{name}: {messages} messages, {:.1} MB, {present} of {replicas} copies are there\n",
        *bytes as f64 / 1e6
    );
    for fault in faults {
        text += &format!("  not safe: {fault}\n");
    }
    if faults.is_empty() {
        text += "  its settings are safe\n";
    }
    text
}
