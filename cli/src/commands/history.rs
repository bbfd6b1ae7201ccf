//! `pblink history`

use pblink_serve::control::{ClientError, EventQuery, Finding, LinkInfo, Outage};
use pblink_server::{Event, EventKind};

use crate::exit::{Exit, Failed};
use crate::look::TimeArgs;
use crate::output::{envelope, events, stdout, units};
use crate::runtime;
use crate::server::{ServerArgs, patiently, to_error};

/// Arguments of `pblink history`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pblink history kitchen
  pblink history kitchen --since 7d --no-reports
  pblink history kitchen --json > kitchen.jsonl

One timeline of a link: connects, outages with their causes, reports of the ESP8266, and at the end the counts of lines. \
With a log on disk it goes on from before the last start of the server. Times are local, with the date where it is not today, and \
always with it where standard output is not a terminal.

Exit codes: 0 done, 1 no link has this id, 2 wrong command line, 3 wrong configuration, 4 no server answers.")]
pub struct Args {
    /// Id of the client.
    pub id: String,
    /// Where the server is.
    #[command(flatten)]
    pub server: ServerArgs,
    /// Begin this long ago, such as `24h`, or at a time such as `2026-03-01T12:00:00Z`.
    #[arg(long, value_name = "TIME", default_value = "24h")]
    pub since: String,
    /// Leave out reports of the ESP8266.
    #[arg(long)]
    pub no_reports: bool,
    /// Print JSON, one object per line; the last one is a summary.
    #[arg(long)]
    pub json: bool,
    /// The times.
    #[command(flatten)]
    pub times: TimeArgs,
}

/// Runs the verb.
pub fn run(args: Args) -> anyhow::Result<Exit> {
    let text = runtime::block_on(async {
        let (client, _) = args.server.connect().await?;
        let wrong = |error: ClientError| match error {
            ClientError::Refused { status: 400, message } => {
                Failed::with(Exit::Usage, message.replace("`from`", "--since"))
            }
            error => to_error(&error),
        };
        let (link, events, outages) = patiently(client.url(), async {
            let link = client.link_info(&args.id).await.map_err(wrong)?;
            let query = EventQuery {
                from: Some(&args.since),
                client: Some(&args.id),
                ..EventQuery::default()
            };
            let events = client.past_events(&query).await.map_err(wrong)?;
            let outages = client.outages(Some(&args.since), Some(&args.id)).await.map_err(wrong)?;
            anyhow::Ok((link, events, outages))
        })
        .await?;
        timeline(&args, &events.events, &outages.outages, &link)
    })??;
    stdout::print(text.as_bytes())
}

fn timeline(
    args: &Args,
    events: &[Event],
    outages: &[Outage],
    link: &LinkInfo,
) -> anyhow::Result<String> {
    let zone = args.times.zone_of_lines();
    let mut text = String::new();
    for event in events {
        if args.no_reports && matches!(event.kind, EventKind::Report { .. }) {
            continue;
        }
        if args.json {
            text += &envelope::event(event)?;
        } else {
            text += &format!("{} {}", zone.at(event.at_ms), events::what(&event.kind));
            text += finding(event, outages);
        }
        text.push('\n');
    }
    let status = &link.status;
    if args.json {
        for outage in outages {
            text += &envelope::outage(outage)?;
            text.push('\n');
        }
        let (client, at_ms) = (Some(status.id.clone()), envelope::now_ms());
        text += &envelope::wrap("summary", at_ms, client, envelope::fields(link)?)?;
    } else {
        text += &format!(
            "{}: {} for {}; {} connects, {} outages, {} from it, {} to it, {} waiting",
            events::id(&status.id),
            events::state_name(status.state),
            units::age(status.since_ms),
            status.connects,
            status.outages,
            units::lines(status.lines_in),
            units::lines(status.lines_out),
            link.waiting
        );
    }
    text.push('\n');
    Ok(text)
}

/// Returns what the first report after an outage has shown about it.
fn finding(event: &Event, outages: &[Outage]) -> &'static str {
    let EventKind::OutageEnded { lasted_ms, .. } = event.kind else { return "" };
    let began_ms = event.at_ms.saturating_sub(lasted_ms);
    // Begin and length are taken from two looks at the clock.
    let same = |outage: &&Outage| outage.began_ms.abs_diff(began_ms) < 1000;
    match outages.iter().find(same).and_then(|outage| outage.finding) {
        Some(Finding::Esp8266Restarted) => "; the ESP8266 had restarted",
        Some(Finding::Esp8266KeptRunning) => "; the ESP8266 had kept running",
        _ => "",
    }
}
