//! `pblink outages`

use pblink_serve::control::{End, Outage, Rfc3339};

use crate::exit::{Exit, Failed};
use crate::output::{envelope, events, stdout, units};
use crate::runtime;
use crate::server::{ServerArgs, to_error};

/// Arguments of `pblink outages`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pblink outages                                what happened in the last 24 h
  pblink outages kitchen --since 7d
  pblink outages --since 2026-03-01T00:00:00Z --csv > march.csv
  pblink outages --json | jq 'select(.lasted_ms > 60000)'

Times are UTC. An outage that lasts has no end; the cause is what the server saw, the layer what is likely down.

Exit codes: 0 done, also if there was none, 2 wrong command line, 3 wrong configuration, 4 no server answers.")]
pub struct Args {
    /// Id of a client; without it, all.
    pub id: Option<String>,
    /// Where the server is.
    #[command(flatten)]
    pub server: ServerArgs,
    /// Begin this long ago, such as `24h`, or at a time such as `2026-03-01T12:00:00Z`.
    #[arg(long, value_name = "TIME", default_value = "24h")]
    pub since: String,
    /// Print JSON, one object per line.
    #[arg(long, conflicts_with = "csv")]
    pub json: bool,
    /// Print CSV with a heading.
    #[arg(long)]
    pub csv: bool,
}

/// Runs the verb.
pub fn run(args: Args) -> anyhow::Result<Exit> {
    let outages = runtime::block_on(async {
        let (client, _) = args.server.connect().await?;
        if args.csv {
            let csv = client.outages_csv(Some(&args.since), args.id.as_deref()).await;
            return csv.map_err(|error| wrong(&error));
        }
        let list = client.outages(Some(&args.since), args.id.as_deref()).await;
        text(&args, &list.map_err(|error| wrong(&error))?.outages).map(String::into_bytes)
    })??;
    stdout::print(&outages)
}

/// Returns what a user can do about an error: a time that is none is a wrong flag.
fn wrong(error: &pblink_serve::control::ClientError) -> anyhow::Error {
    match error {
        pblink_serve::control::ClientError::Refused { status: 400, message } => {
            Failed::with(Exit::Usage, message.replace("`since`", "--since"))
        }
        error => to_error(error),
    }
}

fn text(args: &Args, outages: &[Outage]) -> anyhow::Result<String> {
    let mut text = String::new();
    for outage in outages {
        text += &if args.json { envelope::outage(outage)? } else { line(outage) };
        text.push('\n');
    }
    if outages.is_empty() && !args.json {
        text = format!("no outages since {}\n", events::clean(&args.since));
    }
    Ok(text)
}

/// Returns an outage in one line.
pub(super) fn line(outage: &Outage) -> String {
    let lasted = match outage.end {
        End::Open => "lasts".to_owned(),
        End::Reconnected(ms) => format!("lasted {}", units::span(ms)),
        End::ServerRestarted => "ended unseen: the server was restarted".to_owned(),
        End::Unseen => "ended unseen".to_owned(),
    };
    let cause = outage.cause.map_or_else(|| "begin not seen".to_owned(), |cause| cause.to_string());
    let likely = match outage.blamed() {
        Some(layer) => format!(", likely {}", events::layer_name(layer)),
        None => String::new(),
    };
    format!(
        "{} {}: {lasted} ({cause}{likely})",
        Rfc3339(outage.began_ms),
        events::id(&outage.client)
    )
}
