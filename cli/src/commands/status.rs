//! `pblink status`

use pblink_serve::control::{Likely, LinkInfo, Observed, RefusedConnection};
use pblink_server::LinkState;

use crate::exit::Exit;
use crate::output::{envelope, events, stdout, units};
use crate::runtime;
use crate::server::{ServerArgs, patiently, to_error};

/// Arguments of `pblink status`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pblink status
  pblink status kitchen || mail -s 'kitchen is down' me
  pblink status --json | jq -r 'select(.waiting > 0) | .client'

One line for each link: its state as the server sees it and for how long, what is likely down, the last line and its age, \
lines that wait for the board.

Exit codes: 0 all links are up, 1 no link has this id, 2 wrong command line, 3 wrong configuration, 4 no server answers, \
6 a link is down, or was never up (of a client that is \
not expected only if its id is given).")]
pub struct Args {
    /// Id of a client; without it, all.
    pub id: Option<String>,
    /// Where the server is.
    #[command(flatten)]
    pub server: ServerArgs,
    /// Print JSON, one object per line.
    #[arg(long)]
    pub json: bool,
}

/// Runs the verb.
pub fn run(args: Args) -> anyhow::Result<Exit> {
    let links = runtime::block_on(async {
        let (client, _) = args.server.connect().await?;
        let links = patiently(client.url(), async {
            match &args.id {
                Some(id) => client.link_info(id).await.map(|link| vec![link]),
                None => client.link_infos().await,
            }
        });
        links.await.map_err(|error| to_error(&error))
    })??;
    let mut text = String::new();
    let width = links.iter().map(|link| events::id(&link.status.id).chars().count()).max();
    for link in &links {
        if args.json {
            let (client, at_ms) = (link.status.id.clone(), envelope::now_ms());
            text += &envelope::wrap("status", at_ms, Some(client), envelope::fields(link)?)?;
        } else {
            text += &line(link, width.unwrap_or(0));
        }
        text.push('\n');
    }
    if links.is_empty() && !args.json {
        text.push_str("no links yet: no client is expected, and none has connected\n");
    }
    stdout::print(text.as_bytes())?;
    // One that is not expected (any more) counts for those who ask for it.
    let counts = |link: &&LinkInfo| link.expected || args.id.is_some();
    let up = links.iter().filter(counts).all(|link| link.status.state == LinkState::Up);
    Ok(if up { Exit::Ok } else { Exit::Down })
}

fn line(link: &LinkInfo, width: usize) -> String {
    let status = &link.status;
    let state = match link.observed {
        Observed::Up => "up",
        Observed::Refused => "refused",
        Observed::NeverConnected => "never connected",
        Observed::NoSignal => "no signal",
        Observed::ClosedByOtherSide => "closed by the other side",
        Observed::Reset => "connection reset",
        Observed::NotReading => "takes no bytes",
        Observed::ClosedHere => "closed by the server",
        _ => events::state_name(status.state),
    };
    let likely = match link.likely {
        Some(Likely::Wires) => ", likely wires",
        Some(Likely::Esp8266) => ", likely ESP8266",
        Some(Likely::WifiOrPower) => ", likely WiFi or power",
        Some(Likely::Server) => ", likely server",
        _ => "",
    };
    let likely = if link.expected { likely } else { ", not expected" };
    let since = units::age(status.since_ms);
    let id = events::id(&status.id);
    let mut text = format!("{id:width$}  {state} for {since}{likely}");
    if let Some(RefusedConnection { reason, peer, .. }) = &link.refused {
        text += &format!("; the last try, from {}, was refused: {reason}", events::clean(peer));
    }
    match &link.last_line {
        Some(last) => {
            text += &format!("; {} ago: {}", units::age(last.age_ms), events::clean(last.shown()));
        }
        None => text += "; no line yet",
    }
    if link.waiting > 0 {
        text += &format!("; {} to it", units::lines(link.waiting));
    }
    text
}
