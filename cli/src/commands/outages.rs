//! `pblink outages`

use pblink_serve::control::{End, Outage};

use crate::exit::{Exit, Failed};
use crate::look::TimeArgs;
use crate::output::times::Zone;
use crate::output::{envelope, events, stdout, units};
use crate::runtime;
use crate::server::{ServerArgs, patiently, to_error};

/// Arguments of `pblink outages`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pblink outages                                what happened in the last 24 h
  pblink outages kitchen --since 7d
  pblink outages --since 2026-03-01T00:00:00Z --csv > march.csv
  pblink outages --json | jq 'select(.lasted_ms > 60000)'

Times are local, with the date where it is not today, and always with it where standard output is not a terminal; JSON and CSV \
have UTC. An outage that lasts has no end; the cause is what the server saw, the layer what is likely down.

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
    /// The times.
    #[command(flatten)]
    pub times: TimeArgs,
}

/// Runs the verb.
pub fn run(args: Args) -> anyhow::Result<Exit> {
    let outages = runtime::block_on(async {
        let (client, _) = args.server.connect().await?;
        if args.csv {
            let csv = client.outages_csv(Some(&args.since), args.id.as_deref());
            let csv = patiently(client.url(), csv).await;
            return csv.map_err(|error| wrong(&error));
        }
        let list = client.outages(Some(&args.since), args.id.as_deref());
        let list = patiently(client.url(), list).await;
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
    let zone = args.times.zone_of_lines();
    let mut text = String::new();
    for outage in outages {
        text += &if args.json { envelope::outage(outage)? } else { line(outage, &zone) };
        text.push('\n');
    }
    if outages.is_empty() && !args.json {
        text = format!("no outages since {}\n", events::clean(&args.since));
    }
    Ok(text)
}

/// Returns an outage in one line.
fn line(outage: &Outage, zone: &Zone) -> String {
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
        zone.at(outage.began_ms),
        events::id(&outage.client)
    )
}
