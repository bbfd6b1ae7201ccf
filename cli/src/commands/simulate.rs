//! `pblink simulate`

mod board_keys;
mod chance;
mod failure;
mod minimise;
mod scenario;
mod tries;

use std::io::{Write, stdout};
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pblink_protocol::app::AppEvent;
use pblink_protocol::delivery::Delivery;
use pblink_protocol::layer::Layer;
use pblink_protocol::time::Duration as LinkDuration;
use pblink_server::{Event, EventKind};
use pblink_simulator::live::{self, Command};
use pblink_simulator::scene::Link;
use pblink_simulator::{Flaw, Ledger, PairEvent, PairKeys, PairOptions, ProgramOptions, Totals};
use serde::Serialize;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use crate::address::parse_server;
use crate::boards::{self, Board};
use crate::duration::{self, Unit};
use crate::exit::{Exit, Failed};
use crate::global::Global;
use crate::keys::Contents;
use crate::look::TimeArgs;
use crate::output::diagnostics::{newline, note, say};
use crate::output::envelope;
use crate::output::events::{self, clean};
use crate::output::printer::{Form, print_event};
use crate::output::times::wall_ms;
use crate::runtime;
use crate::settings::limits::{self, Limits};
use crate::settings::{BoardArg, Settings};
use crate::signals::{Signal, Signals};
use tries::Tries;

/// Arguments of `pblink simulate`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pblink simulate
  pblink simulate --server 192.168.0.42:8123 --client test --count 100 --every 200ms
  pblink simulate --server [::1]:8123 --client 1 --count 10 --json | tail -n 1 | jq
  pblink keys issue kitchen --to kitchen.toml && pblink simulate --key kitchen.toml
  pblink simulate --scenario list
  pblink simulate --scenario tcp-cut-loses-nothing
  pblink simulate --seed 77 --for 1h --link secure
  pblink simulate --seed 77 --for 1h --minimise small.toml

The server may be `pblink serve` or any other that speaks the link, the published micropython-iot \
included. Each line is a list: its number, the board's clock in ms, and a text. The ledger at the \
end accounts for all of them; if the server returns lines (`pblink serve --app echo`), for the \
returned ones too.

With --key it speaks the secure link: every line arrives once and in order, whatever happens to its ESP8266 and the server.

With --scenario boards, network and server are in memory, and time is not that of the clock: a scene has faults, and says what must hold. \
Its form is in simulator/README.md. What fails is named with its seed, and the time of the first wrong line.

With --seed surroundings and faults are chance, and follow from the number: hundreds of faults in an hour, which takes seconds. --minimise takes out of one that fails, or of a scene, all that it needs not to fail in the same way, and writes the rest as a scene: a few faults in a few seconds. It takes minutes; ctrl-C ends it with the smallest so far.

While it cannot reach the server, it says why and how often: a closed port, an unknown name and a refused id are told apart. \
ctrl-C, SIGTERM and SIGHUP stop it, after up to 5 s for what is on its way.

Flags override pblink.toml (server.host, server.port, server.timeout_ms, board.id), and that overrides \
the defaults: 127.0.0.1:8123, 2s, 1.

Exit codes: 0 all lines arrived once and in order, 2 wrong flags, 3 wrong configuration, 5 the ledger is not clean, or not as the scene asks, \
130 interrupted twice.")]
#[command(group = clap::ArgGroup::new("world").args(["scenario", "seed"]))]
pub struct Args {
    /// Configuration file. Without it the one that `pblink config path` prints, if there is one.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Address of the server.
    #[arg(long, value_name = "HOST:PORT", value_parser = parse_server)]
    pub server: Option<String>,
    /// Which of several boards.
    #[command(flatten)]
    pub board: BoardArg,
    /// The id by which the server knows the board.
    #[arg(long, value_name = "ID", conflicts_with = "board")]
    pub client: Option<String>,
    /// File with the board's keys, as `pblink keys issue --to FILE` writes it: the board has its id, and speaks the secure link.
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
    /// Run a scene in memory instead: the name of one that is built in, or a file. `list` lists those that are built in.
    #[arg(long, value_name = "SCENE", conflicts_with_all = [
        "config", "server", "board", "client", "key", "count", "every", "no_wait", "timeout_ms", "padding", "report_s", "limit",
        "utc",
    ])]
    pub scenario: Option<String>,
    /// Run boards, network and server in memory, with faults by chance: this number decides all of it.
    #[arg(long, value_name = "NUMBER", conflicts_with_all = [
        "config", "server", "board", "client", "key", "count", "every", "no_wait", "timeout_ms", "padding", "report_s", "utc",
    ])]
    pub seed: Option<u32>,
    /// Of the boards of --seed: `classic`, `secure` (checksums in place of cryptography), or `secure-real`.
    #[arg(long, value_name = "LINK", requires = "seed", default_value = "classic")]
    pub link: Link,
    /// Write the smallest scene that fails in the same way as that of --seed or --scenario into this file, which must be new: NAME.toml.
    #[arg(long, value_name = "FILE", requires = "world")]
    pub minimise: Option<PathBuf>,
    /// Plant a fault in the system itself: for tests of scenes.
    #[arg(long, value_name = "FLAW", requires = "world", hide = true)]
    pub flaw: Option<Flaw>,
    /// Stop after this many lines. Default: go on until ctrl-C.
    #[arg(long, value_name = "K", value_parser = COUNT.parser_of::<u64>())]
    pub count: Option<u64>,
    /// Time between two lines; a plain number is milliseconds.
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = EVERY.parser())]
    pub every: u32,
    /// Do not wait for the acknowledgement of one line before the next is sent.
    #[arg(long)]
    pub no_wait: bool,
    /// Time without data after which the link counts as down, such as `2s`; a plain number is
    /// milliseconds. The server must use the same.
    #[arg(long = "timeout", alias = "timeout-ms", value_name = "TIME",
        value_parser = limits::TIMEOUT.parser())]
    pub timeout_ms: Option<u32>,
    /// Bytes of text to add to each line.
    #[arg(long, value_name = "BYTES", default_value = "0",
        value_parser = PADDING.parser_of::<u16>())]
    pub padding: u16,
    /// Time between reports of the ESP8266, such as `10s`; a plain number is seconds, 0 none.
    #[arg(long = "report", alias = "report-s", value_name = "TIME", default_value = "0",
        value_parser = limits::REPORT.parser())]
    pub report_s: u32,
    /// Write for this time (20s, 3min; with --seed 1min to 1h, by default 1h), and then wait for what is on its way, until nothing has come for 5 s; without a link not at all.
    #[arg(long = "for", value_name = "TIME", value_parser = duration::parse)]
    pub limit: Option<Duration>,
    /// Print everything as JSON, one object per line; the ledger comes last.
    #[arg(long)]
    pub json: bool,
    /// The times.
    #[command(flatten)]
    pub times: TimeArgs,
}

/// The time for what is on its way when no more is written.
const PATIENCE: Duration = Duration::from_secs(5);

/// Of `--every`, in milliseconds.
const EVERY: Limits =
    Limits { least: 1, most: 3_600_000, default: 1000, unit: Some(Unit::Milliseconds) };

/// Of `--count`.
const COUNT: Limits = Limits::number(0, u32::MAX, 0);

/// Of `--padding`, in bytes.
const PADDING: Limits = Limits::number(0, 900, 0);

/// The result of a run.
#[derive(Debug, Serialize)]
struct Summary {
    /// Lines to the server; what is missing was never acknowledged.
    to_server: Totals,
    /// Lines that the server returned, if it returns lines.
    returned: Option<Totals>,
    /// Other lines from the server.
    other_lines: u64,
    resets: u32,
}

/// Runs the verb.
pub fn run(args: Args, _global: &Global) -> anyhow::Result<Exit> {
    if let Some(scene) = &args.scenario {
        return scenario::run(scene, &args);
    }
    if let Some(seed) = args.seed {
        return chance::run(seed, &args);
    }
    let mut settings = Settings::load(args.config.as_deref())?;
    let keys = args.key.as_deref().map(board_keys::read).transpose()?;
    if args.client.is_none() && (keys.is_none() || args.board.board.is_some()) {
        settings.choose_board(args.board.board.as_deref())?;
    }
    if let Some(Contents { keys, .. }) = &keys {
        let named = args.client.as_deref().or(args.board.board.as_deref());
        settings.board.id = board_keys::id_of(keys, named)?;
    }
    let id = args.client.as_ref().unwrap_or(&settings.board.id);
    if keys.is_none() && args.server.is_none() && settings.is_keyed(id) {
        let id = events::id(id);
        note(format_args!(
            "by pblink.toml {id} has keys, and without them its server refuses it: `pblink keys issue ID --to FILE` makes \
             some for --key FILE, and link.classic lists ids that do without"
        ));
    }
    let keys = keys.zip(args.key.as_deref()).map(|(keys, file)| board_keys::kept(keys, file));
    runtime::block_on(simulate(args, settings, keys))?
}

async fn simulate(args: Args, settings: Settings, keys: Option<PairKeys>) -> anyhow::Result<Exit> {
    let server = args.server.clone().unwrap_or_else(|| settings.server_address());
    let client = args.client.as_ref().unwrap_or(&settings.board.id);
    let timeout_ms = args.timeout_ms.unwrap_or(settings.server.timeout_ms);
    let options = PairOptions {
        seed: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros() as u64,
        program: ProgramOptions {
            every: LinkDuration::from_millis(args.every.into()),
            count: args.count,
            delivery: if args.no_wait { Delivery::UNORDERED } else { Delivery::ORDERED },
            padding: args.padding.into(),
            reads: true,
            remembers: true,
        },
        keys,
        ..PairOptions::default()
    };
    let mut signals = Signals::listen()?;
    let (sender, mut events) = mpsc::channel(1024);
    let report = move |pair: &pblink_simulator::Pair, event: live::Event| {
        let echo = match &event {
            live::Event::Pair(PairEvent::Read(line)) => pair.program().echo_of(line),
            _ => None,
        };
        // A board does not wait for its spectators: when nobody reads any more, it is switched off.
        sender.try_send((event, echo, pair.acked())).is_ok()
    };
    let board = Board::start(client, &server, timeout_ms, args.report_s, options, report)
        .map_err(|e| Failed::with(Exit::Usage, e.to_string()))?;
    let mut run = Run::new(&server, client, &args);
    let mut limit = args.limit.map(|limit| Instant::now() + limit);
    let mut patience: Option<Instant> = None;
    let (mut interrupted, mut over) = (false, false);
    let mut done: Option<Instant> = None;
    let mut tick = tokio::time::interval(Duration::from_millis(50));
    loop {
        if run.is_done(interrupted || over) {
            // What the server returns comes a little after its acknowledgement.
            let linger = if run.returns { Duration::ZERO } else { Duration::from_secs(1) };
            let until = *done.get_or_insert_with(|| Instant::now() + linger);
            if run.returns || Instant::now() >= until {
                break;
            }
        }
        let end = [limit, patience].into_iter().flatten().min();
        let time = async {
            match end {
                Some(at) => sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        // `pblink simulate | head` has what it wanted.
        let closed = run.closed;
        tokio::select! {
            event = events.recv() => {
                let Some((event, echo, acked)) = event else { break };
                let before = run.arrived();
                run.on_event(event, echo, acked);
                if over && !interrupted && run.arrived() > before {
                    patience = Some(Instant::now() + PATIENCE);
                }
            }
            asked = async {
                // A reader that is gone stops it as a signal does.
                if closed && !interrupted { None } else { Some(signals.next().await) }
            } => {
                if interrupted {
                    return Ok(Exit::Interrupted);
                }
                if asked == Some(Signal::Interrupt) {
                    newline();
                }
                interrupted = true;
                board.command(Command::StopProgram);
                patience = Some(Instant::now() + PATIENCE);
                if !closed {
                    say("waiting up to 5 s for what is on its way; ctrl-C again to stop at once");
                }
            }
            () = time => {
                // Without a link nothing is on its way.
                if patience.is_some() || run.down.is_some() {
                    break;
                }
                over = true;
                limit = None;
                board.command(Command::StopProgram);
                patience = Some(Instant::now() + PATIENCE);
            }
            // Acknowledgements make no events.
            _ = tick.tick() => board.command(Command::Look),
        }
    }
    let pair = board.stop().await;
    run.acked(pair.as_ref().map_or(0, pblink_simulator::Pair::acked));
    let totals = run.finish(pair.map_or(0, |pair| pair.resets()));
    Ok(if totals { Exit::Ok } else { Exit::Lines })
}

/// State of the run so far.
struct Run {
    id: String,
    count: Option<u64>,
    form: Form,
    written: u64,
    acked: u64,
    returned: Ledger,
    returns: bool,
    others: u64,
    down: Option<Layer>,
    tries: Tries,
    seq: u64,
    /// Nobody reads what is printed.
    closed: bool,
}

impl Run {
    fn new(server: &str, client: &str, args: &Args) -> Self {
        Self {
            id: client.to_owned(),
            count: args.count,
            form: Form::new(args.json, args.times.zone_of_lines()),
            written: 0,
            acked: 0,
            returned: Ledger::default(),
            returns: false,
            others: 0,
            down: Some(Layer::Coprocessor),
            tries: Tries::new(server, client),
            seq: 0,
            closed: false,
        }
    }

    fn on_event(&mut self, event: live::Event, echo: Option<u64>, acked: u64) {
        self.acked = self.acked.max(acked);
        match &event {
            live::Event::Pair(PairEvent::Wrote(number)) => {
                self.written += 1;
                self.returned.wrote(*number);
                self.print(&format!("→ line {number}"), "wrote", serde_json::json!(number));
            }
            live::Event::Pair(PairEvent::Read(line)) => {
                match echo {
                    Some(number) => {
                        self.returns = true;
                        self.returned.got(number);
                    }
                    None => self.others += 1,
                }
                self.print(&format!("← {}", clean(line)), "read", serde_json::json!(line));
            }
            live::Event::Failed(failure) => {
                if let Some(detail) = self.tries.on_failure(Instant::now(), failure.clone()) {
                    let id = self.id.clone();
                    self.print_event(EventKind::Board {
                        id,
                        layer: Layer::Server,
                        up: false,
                        detail,
                    });
                }
            }
            // Its reason was said already.
            live::Event::Pair(PairEvent::App(AppEvent::BadServer)) => {}
            _ => {
                if let Some(kind) = boards::event(&self.id, &event, self.down) {
                    self.print_event(kind);
                }
                if let live::Event::Down(down) = event {
                    self.down = down;
                    if down.is_none() {
                        self.tries.on_success();
                    }
                }
            }
        }
    }

    fn print_event(&mut self, kind: EventKind) {
        self.seq += 1;
        let printed = print_event(&Event { seq: self.seq, at_ms: wall_ms(), kind }, &self.form);
        self.closed |= printed.is_err();
    }

    fn acked(&mut self, acked: u64) {
        self.acked = self.acked.max(acked);
    }

    fn print(&mut self, text: &str, event: &str, value: serde_json::Value) {
        let object = match &self.form {
            Form::Json => {
                let mut object = serde_json::Map::new();
                object.insert("value".to_owned(), value);
                Some(self.wrap(event, object))
            }
            Form::Text(_) => None,
        };
        let mut out = stdout().lock();
        let printed = if let Some(object) = object {
            object.map_err(Into::into).and_then(|line| writeln!(out, "{line}"))
        } else {
            writeln!(out, "{} {text}", events::id(&self.id))
        };
        self.closed |= printed.and_then(|()| out.flush()).is_err();
    }

    /// Returns an object of this board as a line; it gets the next number.
    fn wrap(
        &mut self,
        event: &str,
        mut object: serde_json::Map<String, serde_json::Value>,
    ) -> serde_json::Result<String> {
        self.seq += 1;
        object.insert("seq".to_owned(), self.seq.into());
        // As programs know it from before the envelope.
        object.insert("id".to_owned(), self.id.clone().into());
        envelope::wrap(event, envelope::now_ms(), Some(self.id.clone()), object)
    }

    /// Returns the lines and acknowledgements that have come.
    fn arrived(&self) -> u64 {
        self.acked + self.returned.totals().arrived
    }

    /// Returns true if all that was written has arrived, and, unless it was `stopped`, all that was asked for is written.
    fn is_done(&self, stopped: bool) -> bool {
        let written = stopped || self.count.is_some_and(|count| self.written >= count);
        let returned = !self.returns || self.returned.totals().missing == 0;
        written && self.acked >= self.written && returned
    }

    /// Prints the ledger. Returns true if it is clean.
    fn finish(mut self, resets: u32) -> bool {
        let acked = self.acked.min(self.written);
        let to_server = Totals {
            written: self.written,
            arrived: acked,
            missing: self.written - acked,
            ..Totals::default()
        };
        let returned = self.returns.then(|| self.returned.totals());
        let ledger = matches!(self.form, Form::Json).then(|| {
            let summary = Summary { to_server, returned, other_lines: self.others, resets };
            envelope::fields(&summary).and_then(|summary| self.wrap("ledger", summary))
        });
        let mut out = stdout().lock();
        let _ = if let Some(ledger) = ledger {
            writeln!(out, "{}", ledger.unwrap_or_default())
        } else {
            let clean = to_server.missing == 0;
            writeln!(
                out,
                "ledger: {} lines written, {} acknowledged, {} not{}; {} other lines received; \
                 {resets} resets{}",
                to_server.written,
                to_server.arrived,
                to_server.missing,
                returned.map_or(String::new(), |r| format!(
                    "; returned {}, missing {}, duplicates {}, out of order {}",
                    r.arrived, r.missing, r.duplicated, r.reordered
                )),
                self.others,
                if clean && returned.is_none_or(|r| r.is_clean()) {
                    ": clean"
                } else {
                    ": NOT CLEAN"
                },
            )
        };
        to_server.is_clean() && returned.is_none_or(|r| r.is_clean())
    }
}
