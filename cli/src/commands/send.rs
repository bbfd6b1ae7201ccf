//! `pblink send`

use std::io::{IsTerminal, Read, stdin};
use std::time::Duration;

use clap::builder::PossibleValuesParser;
use pblink_serve::control::{Client, Outgoing, Token};
use tokio::time::Instant;

use crate::duration;
use crate::exit::{Exit, Failed};
use crate::output::diagnostics::{note, say};
use crate::output::{json, stdout};
use crate::runtime;
use crate::server::{ServerArgs, to_error};
use crate::signals::Signals;

/// Arguments of `pblink send`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pblink send kitchen 'light on'
  pblink send kitchen - < schedule.txt          each line of the file, in order
  pblink send kitchen reboot --no-wait          it is in the server's log; the board gets it when it can
  pblink send kitchen 'light on' --timeout 1h || echo \"kitchen is away\"

The line is in the server's log before this ends, and goes to the board as soon as it can: an outage, a restart of the \
server or an end of this command does not lose it. Without --no-wait it waits until the board has acknowledged it.

The server must be one of the same user, or its token given: see --token-file.

Exit codes: 0 acknowledged (with --no-wait: in the log), 1 refused by the server, 2 wrong command line, 3 no token or a \
wrong one, 4 no server answers, 7 in the log, and not acknowledged in time, 130 interrupted.")]
pub struct Args {
    /// Id of the client.
    pub id: String,
    /// The line, or `-` for the lines of standard input.
    pub line: String,
    /// Where the server is.
    #[command(flatten)]
    pub server: ServerArgs,
    /// Do not wait for the acknowledgement.
    #[arg(long)]
    pub no_wait: bool,
    /// Longest wait for the acknowledgement, such as `30s`; a plain number is seconds.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration::parse_or_seconds)]
    pub timeout: Duration,
    /// Delivery of the lines: each exactly once and in order, exactly once in any order, or at most once.
    #[arg(long, value_name = "HOW", default_value = "guaranteed",
        value_parser = PossibleValuesParser::new(["guaranteed", "unordered", "best_effort"]))]
    pub delivery: String,
    /// Key of this request: one with the same key within a day sends nothing again. Default: a new one.
    #[arg(long, value_name = "KEY")]
    pub key: Option<String>,
    /// Print the server's answer as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Lines of one request. A board gets no more at a time.
const LINES: usize = 500;

/// Bytes of one request.
const BYTES: usize = 128 * 1024;

/// The longest wait of one request; a longer one is several.
const WAIT: Duration = Duration::from_secs(10);

/// Pause before a full outbox is tried again.
const PAUSE: Duration = Duration::from_millis(500);

/// Time after which it says what it waits for.
const SILENCE: Duration = Duration::from_secs(1);

/// The most bytes of standard input.
const MAX_INPUT: u64 = 64 << 20;

/// Runs the verb.
pub fn run(args: Args) -> anyhow::Result<Exit> {
    let lines = lines(&args.line)?;
    runtime::block_on(async {
        let mut signals = Signals::listen()?;
        tokio::select! {
            done = send(&args, &lines) => done,
            _ = signals.next() => Ok(Exit::Interrupted),
        }
    })?
}

/// Returns the lines to send.
fn lines(line: &str) -> anyhow::Result<Vec<String>> {
    if line != "-" {
        return Ok(vec![line.to_owned()]);
    }
    if stdin().is_terminal() {
        note("reading lines from the terminal; ctrl-D ends them");
    }
    let usage = |why: &str| Failed::with(Exit::Usage, format!("standard input {why}"));
    let mut bytes = Vec::new();
    stdin().lock().take(MAX_INPUT + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_INPUT {
        return Err(usage("has more than 64 MB: send it in parts"));
    }
    let text = String::from_utf8(bytes).map_err(|_| usage("is not UTF-8 text"))?;
    let lines: Vec<_> = text.lines().map(str::to_owned).collect();
    if lines.is_empty() { Err(usage("has no line")) } else { Ok(lines) }
}

async fn send(args: &Args, lines: &[String]) -> anyhow::Result<Exit> {
    let (client, _) = args.server.connect().await?;
    let key = match &args.key {
        Some(key) => key.clone(),
        None => Token::generate()?.as_str().to_owned(),
    };
    let deadline = Instant::now() + args.timeout;
    let mut said = false;
    let mut rest = lines;
    let mut part = 0;
    while !rest.is_empty() {
        let (lines, after) = rest.split_at(batch(rest));
        // Each part has a key of its own, so that it can be repeated alone.
        let key = if part == 0 && after.is_empty() { key.clone() } else { format!("{key}.{part}") };
        let request = Request { client: &client, args, lines, key: &key, deadline };
        if !request.put(after.is_empty(), &mut said).await? {
            return Err(Failed::with(
                Exit::Late,
                format!(
                    "\"{}\" has not acknowledged within {} s; the lines are in the server's log, and go to it when it \
                     is back: `pblink status` shows its link",
                    args.id,
                    args.timeout.as_secs_f32()
                ),
            ));
        }
        rest = after;
        part += 1;
    }
    Ok(Exit::Ok)
}

/// Returns how many of these lines go into one request.
fn batch(lines: &[String]) -> usize {
    let mut bytes = 0;
    let fit = lines.iter().take(LINES).take_while(|line| {
        bytes += line.len();
        bytes <= BYTES
    });
    fit.count().max(1)
}

/// Lines of one request.
struct Request<'a> {
    client: &'a Client,
    args: &'a Args,
    lines: &'a [String],
    key: &'a str,
    deadline: Instant,
}

impl Request<'_> {
    /// Puts the lines into the log, and waits for the acknowledgement of the `last` ones. Returns false if there is none
    /// in time.
    async fn put(&self, last: bool, said: &mut bool) -> anyhow::Result<bool> {
        use pblink_serve::control::ClientError::{Refused, Unreachable};
        // The first answer comes soon, so that it can be said what is waited for.
        let mut step = SILENCE;
        let waits = last && !self.args.no_wait;
        let mut sent = false;
        loop {
            let left = self.deadline.saturating_duration_since(Instant::now());
            let wait = if waits { left.min(step) } else { Duration::ZERO };
            let outgoing = Outgoing {
                client: &self.args.id,
                lines: self.lines,
                delivery: &self.args.delivery,
                key: self.key,
                wait,
            };
            match self.client.send(&outgoing).await {
                Ok(answer) if answer.acknowledged || !waits => {
                    if last && self.args.json {
                        stdout::print(format!("{}\n", json::line(&answer)?).as_bytes())?;
                    }
                    return Ok(true);
                }
                Ok(_) => sent = true,
                // Its board has to take some first.
                Err(Refused { status: 429, .. }) if !left.is_zero() => {
                    tokio::time::sleep(PAUSE.min(left)).await;
                }
                // A server that is restarted comes back; with the key nothing is sent twice.
                Err(Unreachable { .. } | Refused { status: 503, .. })
                    if sent && !left.is_zero() =>
                {
                    tokio::time::sleep(PAUSE.min(left)).await;
                }
                Err(error) => return Err(to_error(&error)),
            }
            if left.is_zero() {
                return Ok(false);
            }
            if !std::mem::replace(said, true) {
                say(format_args!(
                    "waiting for \"{}\" to acknowledge; ctrl-C leaves it to the server",
                    self.args.id
                ));
            }
            step = WAIT;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_of_a_size_that_a_board_takes_at_a_time() {
        let lines = |n: usize, bytes: usize| vec!["x".repeat(bytes); n];
        assert_eq!(batch(&lines(3, 10)), 3);
        assert_eq!(batch(&lines(2000, 10)), 500);
        assert_eq!(batch(&lines(500, 1024)), 128);
        assert_eq!(batch(&lines(2, BYTES + 1)), 1, "the server says that it is too long");
    }
}
