//! `pblink provision`: one board after the other gets program, settings and keys, and is checked.
//!
//! Each step is a command line of this program, as those of `pblink up` are: what it does can be done by hand. A board that is
//! done is recorded before the next one is asked for, so that the verb goes on where it was interrupted.

mod list;
mod record;
#[cfg(test)]
mod tests;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::Context;
use rustix::termios::{QueueSelector, tcflush};
use serde_json::Value;
use tokio::runtime::Runtime;
use tokio::task::spawn_blocking;

use crate::child::{shown, step};
use crate::exit::{Exit, Failed};
use crate::global::Global;
use crate::output::diagnostics::{error, newline, prompt, say};
use crate::output::envelope;
use crate::output::events;
use crate::output::stdout::print;
use crate::runtime;
use crate::settings::Settings;
use crate::signals::Signals;
use crate::typed::{has_terminal, typed_line};
use record::Record;

/// Arguments of `pblink provision`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pblink provision --from ids.csv                 one board after the other, each by its own USB or a probe
  pblink provision --from ids.csv --via probe --skip-flash
  pblink provision --from ids.csv --json >> labels.jsonl

The file has one board a line: its id, and behind a comma, if you like, a text for its label. A first line `id` or \
`id,label` is a heading; # begins a note.

For each board pblink waits until you have connected it and pressed Enter; flashes the program, writes settings and keys, reads \
all of it back, and prints a label. Each step is a command of its own: pblink config pull, flash stm32, config push, \
config check --board. A board that is done and was not exchanged for the next one is refused. \
A board that is done is noted in a file beside the list (ids.csv.done), and passed over the next time: stop whenever you \
like, and go on with the same command.

Exit codes: 0 all boards are done, 1 some are not, 2 wrong command line, 3 no pblink.toml, or a mistake in the list, 130 you \
have stopped it.")]
pub struct Args {
    /// List of the boards.
    #[arg(long, value_name = "FILE")]
    pub from: PathBuf,
    /// File in which boards are noted that are done. Without it: that of --from with .done behind.
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,
    /// Configuration file. Without it the one that `pblink config path` prints.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// A program instead of the one that was built, as in pblink flash stm32; may be repeated.
    #[arg(long, value_name = "FILE[@ADDR]")]
    pub image: Vec<String>,
    /// The boards have their program: only write settings and keys.
    #[arg(long, conflicts_with = "image")]
    pub skip_flash: bool,
    /// A file with nothing but the WiFi password. Without it: PBLINK_WIFI_PASSWORD, else the file that wifi.secrets names.
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
    /// Way to the boards: probe, dfu or auto.
    #[arg(long, value_name = "WAY")]
    pub via: Option<String>,
    /// Probe to use if there are several.
    #[arg(long, value_name = "VID:PID[:SERIAL]")]
    pub probe: Option<String>,
    /// Longest wait for a board, such as `30s`; a plain number is seconds.
    #[arg(long, value_name = "TIME")]
    pub wait: Option<String>,
    /// Ids may have keys, of other boards or revoked ones: what has the old keys is locked out.
    #[arg(long)]
    pub replace: bool,
    /// Print a line of JSON for each board instead of a label.
    #[arg(long)]
    pub json: bool,
}

/// The verb's needs of the world.
trait World {
    /// Asks the user, and returns the answer; `None` at the end of the input.
    fn ask(&mut self, question: &str) -> io::Result<Option<String>>;

    /// Runs this program with these words. Its results are the text.
    fn run(&mut self, words: &[String]) -> anyhow::Result<(Exit, String)>;

    /// Returns true once the user wants to stop.
    fn is_stopped(&mut self) -> bool;

    /// Prints a result.
    fn print(&mut self, text: &str) -> anyhow::Result<()>;
}

/// The user's terminal, and processes of this program.
struct Real<'a> {
    global: &'a Global,
    runtime: Runtime,
    signals: Signals,
    stopped: bool,
}

impl World for Real<'_> {
    fn ask(&mut self, question: &str) -> io::Result<Option<String>> {
        // Keys that were pressed while a step ran answer no question: the board is still the one before.
        let _ = tcflush(io::stdin(), QueueSelector::IFlush);
        prompt(question);
        let typed = self.runtime.block_on(async {
            tokio::select! {
                typed = spawn_blocking(typed_line) => Some(typed),
                _ = self.signals.next() => None,
            }
        });
        let Some(typed) = typed else {
            newline();
            self.stopped = true;
            return Ok(None);
        };
        let typed = typed.map_err(io::Error::other)??;
        Ok(typed.map(|line| String::from_utf8_lossy(&line).trim().to_owned()))
    }

    fn run(&mut self, words: &[String]) -> anyhow::Result<(Exit, String)> {
        let ways = (Stdio::null(), Stdio::piped());
        let step = step(words, ways, &mut self.signals, self.global);
        let (exit, out) = self.runtime.block_on(step)?;
        self.stopped |= exit == Exit::Interrupted;
        Ok((exit, out))
    }

    fn is_stopped(&mut self) -> bool {
        self.stopped
    }

    fn print(&mut self, text: &str) -> anyhow::Result<()> {
        print(text.as_bytes())?;
        io::stdout().flush().context("cannot write to stdout")
    }
}

/// Runs the verb.
pub fn run(args: Args, global: &Global) -> anyhow::Result<Exit> {
    let settings = Settings::load(args.config.as_deref())?;
    let Some(config) = settings.file() else {
        let what = "there is no pblink.toml here to configure boards with\n  `pblink config init` makes one; --config names \
                    another";
        return Err(Failed::with(Exit::Config, what));
    };
    if !has_terminal() {
        let what = "pblink provision asks for one board after the other, and there is no terminal to ask on";
        return Err(Failed::with(Exit::Usage, what));
    }
    let runtime = runtime::build().context("the system gives no threads")?;
    let signals = {
        let _inside = runtime.enter();
        Signals::listen()?
    };
    let mut real = Real { global, runtime, signals, stopped: false };
    let end = work(&args, config, &mut real);
    // A question that nobody answers any more may still wait for its answer.
    real.runtime.shutdown_background();
    end
}

/// Runs the verb without the world around it.
fn work(args: &Args, config: &Path, world: &mut dyn World) -> anyhow::Result<Exit> {
    let boards = list::read(&args.from)?;
    let path = args.record.clone().unwrap_or_else(|| {
        let mut name = args.from.clone().into_os_string();
        name.push(".done");
        name.into()
    });
    let mut record = Record::open(&path)?;
    let count = boards.len();
    for (n, board) in boards.iter().enumerate() {
        if record.has(&board.id) {
            continue;
        }
        let place = format!("{} of {count}", n + 1);
        loop {
            let id = events::id(&board.id);
            let question =
                format!("{place}: connect the board for {id}; Enter begins, s skips it, q stops: ");
            match world.ask(&question)?.as_deref() {
                Some("") => {}
                Some("s") => break,
                Some("q") | None => {
                    summary(&boards, &record);
                    return Ok(Exit::Interrupted);
                }
                Some(_) => continue,
            }
            match one(args, config, board, &record, world) {
                Ok(done) => {
                    // Noted before anybody sees its label.
                    record.add(&done)?;
                    let text = if args.json { done.json()? } else { done.label() };
                    world.print(&text)?;
                    break;
                }
                Err(_) if world.is_stopped() => {
                    summary(&boards, &record);
                    return Ok(Exit::Interrupted);
                }
                // The same board again, or the next one: the user says.
                Err(why) => error(format_args!("{why:#}")),
            }
        }
    }
    Ok(if summary(&boards, &record) { Exit::Ok } else { Exit::Failure })
}

/// Says how far it is; returns true if all boards are done.
fn summary(boards: &[list::Board], record: &Record) -> bool {
    let done = boards.iter().filter(|board| record.has(&board.id)).count();
    let left = boards.len() - done;
    match left {
        0 => say(format_args!("done: all of {}", boards.len())),
        _ => say(format_args!("done: {done} of {}; the same command goes on", boards.len())),
    }
    left == 0
}

/// Does all steps for one board.
fn one(
    args: &Args,
    config: &Path,
    board: &list::Board,
    record: &Record,
    world: &mut dyn World,
) -> anyhow::Result<record::Done> {
    let mut pushed = Value::Null;
    for (name, words) in steps(args, config, &board.id) {
        let (exit, out) = world.run(&words)?;
        if exit != Exit::Ok {
            return Err(Failed::with(
                exit,
                format!("{} failed; by hand: {}", events::id(&board.id), shown(&words)),
            ));
        }
        if name == Step::Look {
            let found: Value =
                serde_json::from_str(&out).context("config pull has printed no JSON")?;
            refuse_done(board, record, found["settings"]["id"].as_str())?;
        }
        if name == Step::Push {
            pushed = serde_json::from_str(&out).context("config push has printed no JSON")?;
        }
    }
    let text = |value: &Value| value.as_str().map(str::to_owned);
    Ok(record::Done {
        id: board.id.clone(),
        label: board.label.clone(),
        device: text(&pushed["device"]).unwrap_or_default(),
        fingerprint: text(&pushed["keys"]["fingerprint"]),
        generation: pushed["keys"]["generation"].as_u64(),
        at_ms: envelope::now_ms(),
    })
}

/// Refuses a board that is done already: it was not exchanged for the next one, and has its label.
fn refuse_done(board: &list::Board, record: &Record, found: Option<&str>) -> anyhow::Result<()> {
    let Some(found) = found.filter(|found| *found != board.id && record.has(found)) else {
        return Ok(());
    };
    let (found, id) = (events::id(found), events::id(&board.id));
    let hint = "if it is to get another id, take its line out of the file of boards that are done";
    Err(Failed::with(
        Exit::Failure,
        format!(
            "the board for {found}, which is done, is still connected; connect the one for {id}\n  {hint}"
        ),
    ))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Look,
    Flash,
    Push,
    Check,
}

/// Returns the command lines for one board.
fn steps(args: &Args, config: &Path, id: &str) -> Vec<(Step, Vec<String>)> {
    let config = config.to_string_lossy();
    // An id may begin as a flag does.
    let client = format!("--client={id}");
    let password = args.password_file.as_deref().map(Path::to_string_lossy);
    let all = [
        // It stays in its bootloader until it has been checked.
        (Step::Look, vec!["config", "pull", "--json", "--no-start"]),
        (Step::Flash, vec!["flash", "stm32", "--yes", "--no-start"]),
        (Step::Push, vec!["config", "push", "--json", "--no-start", &client]),
        (Step::Check, vec!["config", "check", "--board", &client]),
    ];
    let wanted = all.into_iter().filter(|(step, _)| *step != Step::Flash || !args.skip_flash);
    wanted
        .map(|(step, mut words)| {
            match step {
                Step::Look => {}
                Step::Flash => {
                    args.image.iter().for_each(|image| words.extend(["--image", image]));
                }
                Step::Push | Step::Check => {
                    words.extend(["--config", &config]);
                    password.iter().for_each(|file| words.extend(["--password-file", file]));
                }
            }
            if step == Step::Push && args.replace {
                words.push("--replace");
            }
            let ways = [("--via", &args.via), ("--probe", &args.probe), ("--wait", &args.wait)];
            for (flag, value) in ways {
                value.iter().for_each(|value| words.extend([flag, value]));
            }
            (step, words.into_iter().map(str::to_owned).collect())
        })
        .collect()
}
