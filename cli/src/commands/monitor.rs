//! `pblink monitor`

use std::io::stdout;

use crate::exit::Exit;
use crate::global::Global;
use crate::look::LookArgs;
use crate::monitor::{self, Options, plain, takes_screens};
use crate::output::diagnostics::screen_is_on;
use crate::runtime;
use crate::server::ServerArgs;
use crate::signals::Signals;

/// Arguments of `pblink monitor`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pblink monitor
  pblink monitor --config boards/kitchen.toml
  pblink monitor --url http://192.168.1.10:8124
  pblink monitor --json | jq 'select(.event == \"outage_began\")'

--url overrides server.control of pblink.toml, and that overrides the default, 127.0.0.1:8124.

Without a terminal on stdout, on one that cannot show screens (TERM is dumb or not set), or with --json, it prints one event per line: what the server still
remembers, then what happens. If no server answers at the start, the exit code is 4; a server that
goes away later is waited for.

Exit codes: 0 ended by `q`, a signal, a closed terminal or a reader that has seen enough, 2 wrong flags, 3 wrong \
configuration, 4 no server.")]
pub struct Args {
    /// Where the server is.
    #[command(flatten)]
    pub server: ServerArgs,
    /// Print events as JSON, one per line.
    #[arg(long)]
    pub json: bool,
    /// The look.
    #[command(flatten)]
    pub look: LookArgs,
}

/// Runs the verb.
pub fn run(args: Args, global: &Global) -> anyhow::Result<Exit> {
    runtime::block_on(watch(args, global))?
}

async fn watch(args: Args, global: &Global) -> anyhow::Result<Exit> {
    let mut signals = Signals::listen()?;
    let (client, _) = args.server.connect().await?;
    let updates = client.follow();
    if args.json || !takes_screens() {
        let style =
            plain::Style { json: args.json, zone: args.look.zone(), ..plain::Style::default() };
        // A reader that hangs holds up this task, and must not hold up the end.
        let printing =
            tokio::spawn(async move { plain::follow(updates, &style, &mut stdout()).await });
        tokio::select! {
            printed = printing => printed??,
            _ = signals.next() => {}
        }
    } else {
        let (colour, ascii, zone) = (global.color.enabled(true), args.look.ascii, args.look.zone());
        screen_is_on(true);
        monitor::run(updates, Options { colour, ascii, zone, ..Options::default() }).await?;
    }
    Ok(Exit::Ok)
}
