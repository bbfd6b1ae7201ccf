//! `pblink demo`: a server, simulated boards and the monitor in one terminal.

mod ledgers;
mod stage;

use std::io::{IsTerminal, stdin};
use std::sync::Arc;
use std::time::Duration;

use pblink_serve::control::{self, ControlServer, Notice, Source};
use pblink_serve::hub::Hub;
use tokio::sync::mpsc;

use crate::exit::Exit;
use crate::global::Global;
use crate::look::LookArgs;
use crate::monitor::{self, ExtraKey, Options, takes_screens};
use crate::output::diagnostics::{newline, screen_is_on};
use crate::output::printer::{Form, print_event};
use crate::runtime;
use crate::settings::limits::Limits;
use crate::signals::{Signal, Signals};
use stage::{Fault, Stage};

/// Arguments of `pblink demo`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pblink demo
  pblink demo --boards 100
  pblink demo --for 20s | cat
  pblink demo --classic        the link of the published micropython-iot

Each board is simulated down to the wires between its two chips; the server and the TCP connections \
to it are real, and so are the keys with which both prove who they are. Every now and then the network or the server goes away. On a terminal, keys do the \
same: w, c and r (? shows them). Without a terminal, on one that cannot show screens, or with --json, events are printed line by \
line, and the demo ends after --for (30s if it is not given). The ledger at the end accounts for \
every line.

Exit codes: 0 every line arrived once and in order, 2 wrong flags, 4 no server could be started, \
5 the ledger is not clean (with --classic a crashed ESP8266 may lose the two lines that it holds: \
docs/PROTOCOL.md), 130 ctrl-C while it waited for lines that were on their way.")]
pub struct Args {
    /// Number of boards to simulate.
    #[arg(long, value_name = "N", default_value = "3", value_parser = BOARDS.parser_of::<u16>())]
    pub boards: u16,
    /// End after this time (20s, 3min). Default: on a terminal never, else 30s.
    #[arg(long = "for", value_name = "TIME", value_parser = crate::duration::parse)]
    pub length: Option<Duration>,
    /// Let nothing go wrong by itself.
    #[arg(long)]
    pub calm: bool,
    /// Let the boards speak the classic link, without keys.
    #[arg(long)]
    pub classic: bool,
    /// Print everything as JSON, one object per line; the ledger comes last.
    #[arg(long)]
    pub json: bool,
    /// The look.
    #[command(flatten)]
    pub look: LookArgs,
}

/// Of `--boards`.
const BOARDS: Limits = Limits::number(1, 1000, 3);

/// Runs the verb.
pub fn run(args: Args, global: &Global) -> anyhow::Result<Exit> {
    runtime::block_on(demo(args, global))?
}

async fn demo(args: Args, global: &Global) -> anyhow::Result<Exit> {
    let screen = takes_screens() && stdin().is_terminal() && !args.json;
    let length = args.length.or((!screen).then_some(Duration::from_secs(30)));
    let mut signals = Signals::listen()?;
    let stage = Arc::new(Stage::open(args.boards, args.classic).await?);
    let source: Arc<dyn Source> = Arc::clone(stage.hub()) as Arc<Hub>;
    // So that `pblink monitor` and curl can look in too. Not worth a word if a real server is there.
    let control = ControlServer::bind(control::DEFAULT_ADDRESS, Arc::clone(&source)).await.ok();
    let script = tokio::spawn(stage::script(Arc::clone(&stage), length, args.calm));
    let end = async {
        match length {
            Some(length) => tokio::time::sleep(length).await,
            None => std::future::pending().await,
        }
    };
    let printer = if screen {
        screen_is_on(true);
        let (pressed, keys) = mpsc::channel(4);
        let updates = control::follow_source(source);
        let options = Options {
            colour: global.color.enabled(true),
            ascii: args.look.ascii,
            zone: args.look.times.zone(),
            lines: Some(Arc::new(stage.log().clone())),
            extra: extra_keys(),
            pressed: Some(pressed),
            ..Options::default()
        };
        let acting = tokio::spawn(act(Arc::clone(&stage), keys));
        // Dropping the monitor's future restores the terminal.
        let shown = tokio::select! {
            shown = monitor::run(updates, options) => shown.map(|_| ()),
            () = end => Ok(()),
        };
        acting.abort();
        screen_is_on(false);
        signals.screen_has_ended();
        shown?;
        None
    } else {
        let mut printer = tokio::spawn(print(
            Arc::clone(stage.hub()),
            Form::new(args.json, args.look.times.zone_of_lines()),
        ));
        tokio::select! {
            () = end => Some(printer),
            asked = signals.next() => {
                if asked == Signal::Interrupt {
                    newline();
                }
                Some(printer)
            }
            // `pblink demo | head` has what it wanted.
            _ = &mut printer => None,
        }
    };
    script.abort();
    let ledgers = tokio::select! {
        ledgers = stage.wind_down() => ledgers,
        _ = signals.next() => return Ok(Exit::Interrupted),
    };
    if let Some(printer) = printer {
        printer.abort();
        let _ = printer.await;
    }
    if let Some(control) = control {
        control.shutdown().await;
    }
    // The next number after those of the events.
    ledgers.print(args.json.then(|| stage.hub().history().last() + 1));
    Ok(if ledgers.is_clean() { Exit::Ok } else { Exit::Lines })
}

async fn print(hub: Arc<Hub>, form: Form) {
    let mut events = hub.events();
    while let Some(notice) = events.next().await {
        if let Notice::Event(event) = notice
            && print_event(&event, &form).is_err()
        {
            return;
        }
    }
}

fn extra_keys() -> Vec<ExtraKey> {
    [
        ('w', "WiFi off", "this board loses its network for 5 s"),
        ('c', "crash", "the ESP8266 of this board crashes"),
        ('r', "restart", "the server is gone for 2 s"),
    ]
    .into_iter()
    .map(|(key, label, help)| ExtraKey { key, label: label.to_owned(), help: help.to_owned() })
    .collect()
}

/// Carries out the keys.
async fn act(stage: Arc<Stage>, mut keys: mpsc::Receiver<monitor::Extra>) {
    while let Some(pressed) = keys.recv().await {
        let fault = match pressed.key {
            'w' => Fault::WifiOutage(pressed.link, Duration::from_secs(5)),
            'c' => Fault::Crash(pressed.link),
            _ => Fault::ServerRestart(Duration::from_secs(2)),
        };
        // A restart takes its time; other keys are not to wait for it.
        let stage = Arc::clone(&stage);
        tokio::spawn(async move { stage.cause(fault).await });
    }
}
