//! `pblink tail`

use std::io::{ErrorKind, Write};
use std::time::Duration;

use pblink_serve::control::{Client, ClientError, LinePage, LineQuery};

use crate::exit::{Exit, Failed};
use crate::look::TimeArgs;
use crate::output::diagnostics::warning;
use crate::output::envelope;
use crate::output::events;
use crate::runtime;
use crate::server::{ServerArgs, patiently, to_error};
use crate::signals::{Signal, Signals};

/// Arguments of `pblink tail`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pblink tail                                   the lines of all boards, as they come
  pblink tail kitchen attic --since 1h          those of two boards, from an hour ago on
  pblink tail --since 24h --no-follow > day.txt what is there, and no more
  pblink tail --json | jq -r 'select(.client == \"kitchen\") | .text'

It reads the server's log and goes on where it was when the server is restarted. Lines that were deleted before they were \
read are reported. Nothing is acknowledged or moved by it: any number of them may run.

Times are local, with the date where it is not today, and always with it where standard output is not a terminal.

Exit codes: 0 it is done (--no-follow, ctrl-C, nobody reads), 1 standard output cannot be written, 2 wrong command line, \
3 wrong configuration, 4 no server answers at the start.")]
pub struct Args {
    /// Ids of clients; without any, all.
    #[arg(value_name = "ID")]
    pub ids: Vec<String>,
    /// Where the server is.
    #[command(flatten)]
    pub server: ServerArgs,
    /// Begin this long ago, such as `1h`, at a time such as `2026-03-01T12:00:00Z`, or with `all`. Default: with the
    /// lines that come.
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Print JSON, one object per line.
    #[arg(long)]
    pub json: bool,
    /// The times.
    #[command(flatten)]
    pub times: TimeArgs,
    /// End when all that is there is printed.
    #[arg(long)]
    pub no_follow: bool,
}

/// Lines of one request.
const LIMIT: usize = 1000;

/// The longest wait of one request.
const WAIT: Duration = Duration::from_secs(10);

/// Pause before a server that went away is tried again.
const PAUSE: Duration = Duration::from_secs(1);

/// Runs the verb.
pub fn run(args: Args) -> anyhow::Result<Exit> {
    runtime::block_on(async {
        let mut signals = Signals::listen()?;
        let (client, _) = args.server.connect().await?;
        let follows = !args.no_follow;
        // A reader that hangs holds up this task, and must not hold up the end.
        let tailing = tokio::spawn(async move { tail(&args, &client).await });
        tokio::select! {
            done = tailing => done?,
            asked = signals.next() => Ok(match asked {
                // Whoever looks long enough ends it so.
                Signal::Interrupt if follows => Exit::Ok,
                _ => Exit::Interrupted,
            }),
        }
    })?
}

/// A place in the server's log.
struct Place {
    after: Option<u64>,
    log: Option<String>,
}

async fn tail(args: &Args, client: &Client) -> anyhow::Result<Exit> {
    let mut out = std::io::stdout();
    let mut place = Place { after: None, log: None };
    let mut away = false;
    loop {
        let query = query(args, &place);
        let page = client.lines(&query);
        // Later ones wait for lines.
        let page = match query.wait.is_zero() {
            true => patiently(client.url(), page).await,
            false => page.await,
        };
        match page {
            Ok(page) => {
                if std::mem::take(&mut away) {
                    warning("the server is reached again");
                }
                if !print(args, &page, &mut out)? {
                    return Ok(Exit::Ok);
                }
                let done = page.lines.is_empty() && page.after >= page.head;
                place = Place { after: Some(page.after), log: Some(page.log) };
                if args.no_follow && done {
                    return Ok(Exit::Ok);
                }
            }
            Err(ClientError::Refused { status: 410, message }) => {
                warning(format_args!("{message}"));
                // From the oldest that is there.
                place = Place { after: None, log: place.log.clone() };
                place.after = oldest(client).await;
            }
            Err(ClientError::Refused { status: 409, .. }) => {
                warning("the server has another log now: beginning with its oldest line");
                place = Place { after: Some(0), log: None };
            }
            Err(ClientError::Refused { status: 503, .. } | ClientError::Unreachable { .. })
                if place.after.is_some() && !args.no_follow =>
            {
                if !std::mem::replace(&mut away, true) {
                    warning("cannot reach the server; retrying");
                }
                tokio::time::sleep(PAUSE).await;
            }
            Err(ClientError::Refused { status: 400, message }) => {
                return Err(Failed::with(Exit::Usage, message.replace("`since`", "--since")));
            }
            Err(error) => return Err(to_error(&error)),
        }
    }
}

fn query<'a>(args: &'a Args, place: &'a Place) -> LineQuery<'a> {
    let since = args.since.as_deref().filter(|since| *since != "all");
    LineQuery {
        after: place.after,
        since: if place.after.is_none() { since } else { None },
        end: place.after.is_none() && args.since.is_none() && !args.no_follow,
        // One client is looked for by the server, several here.
        client: if let [id] = &args.ids[..] { Some(id) } else { None },
        log: place.log.as_deref(),
        limit: LIMIT,
        // The first answer comes at once, and says where the log ends.
        wait: if args.no_follow || place.after.is_none() { Duration::ZERO } else { WAIT },
    }
}

/// Returns the offset before the oldest line.
async fn oldest(client: &Client) -> Option<u64> {
    let query = LineQuery { limit: 1, ..LineQuery::default() };
    client.lines(&query).await.ok().map(|page| page.first - 1)
}

/// Prints lines; false: nobody reads them.
fn print(args: &Args, page: &LinePage, out: &mut impl Write) -> anyhow::Result<bool> {
    let zone = args.times.zone_of_lines();
    let mut text = String::new();
    for line in &page.lines {
        if !args.ids.is_empty() && !args.ids.contains(&line.client) {
            continue;
        }
        if args.json {
            text += &envelope::line(line)?;
        } else {
            let (time, id) = (zone.at(line.at_ms), events::id(&line.client));
            text += &format!("{time} {id} → {}", events::clean(&line.text));
        }
        text.push('\n');
    }
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(error.into()),
    }
}
