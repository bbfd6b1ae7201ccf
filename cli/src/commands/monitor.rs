//! `pblink monitor`

use std::io::stdout;
use std::path::PathBuf;

use pblink_serve::control::{Client, ClientError};

use crate::commands::look::LookArgs;
use crate::exit::{Exit, Failed};
use crate::global::Global;
use crate::monitor::{self, Options, plain, takes_screens};
use crate::output::diagnostics::screen_is_on;
use crate::runtime;
use crate::settings::Settings;

/// Arguments of `pblink monitor`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pblink monitor
  pblink monitor --config boards/kitchen.toml
  pblink monitor --connect http://192.168.1.10:8124
  pblink monitor --json | jq 'select(.event == \"outage_began\")'

--connect overrides server.control of pblink.toml, and that overrides the default, 127.0.0.1:8124.

Without a terminal on stdout, on one that cannot show screens (TERM is dumb or not set), or with --json, it prints one event per line: what the server still
remembers, then what happens. If no server answers at the start, the exit code is 4; a server that
goes away later is waited for.

Exit codes: 0 ended by `q`, a signal, a closed terminal or a reader that has seen enough, 2 wrong flags, 3 wrong \
configuration, 4 no server.")]
pub struct Args {
    /// Configuration file. Without it ./pblink.toml is used if it exists.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Address of the server's control API. Default: `server.control` of the configuration.
    #[arg(long, value_name = "URL")]
    pub connect: Option<String>,
    /// Print events as JSON, one per line.
    #[arg(long)]
    pub json: bool,
    /// The look.
    #[command(flatten)]
    pub look: LookArgs,
}

/// Runs the verb.
pub fn run(args: Args, global: &Global) -> anyhow::Result<Exit> {
    let connect = match &args.connect {
        Some(url) => url.clone(),
        None => Settings::load(args.config.as_deref())?.control_url()?,
    };
    runtime::block_on(watch(args, &connect, global))?
}

async fn watch(args: Args, connect: &str, global: &Global) -> anyhow::Result<Exit> {
    let client = Client::connect(connect).await.map_err(|error| match &error {
        ClientError::Url(_) => Failed::with(Exit::Usage, error.to_string()),
        _ => Failed::with(
            Exit::Network,
            format!(
                "{error}; start one with `pblink serve`, or name its control API with --connect URL"
            ),
        ),
    })?;
    let updates = client.follow();
    if args.json || !takes_screens() {
        let style =
            plain::Style { json: args.json, zone: args.look.zone(), ..plain::Style::default() };
        plain::follow(updates, &style, &mut stdout().lock()).await?;
    } else {
        let (colour, ascii, zone) = (global.color.enabled(true), args.look.ascii, args.look.zone());
        screen_is_on(true);
        monitor::run(updates, Options { colour, ascii, zone, ..Options::default() }).await?;
    }
    Ok(Exit::Ok)
}
