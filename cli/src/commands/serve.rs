//! `pblink serve`

mod announce;
mod api;
mod consumers;
mod keys;
mod manager;
mod mqtt;
mod place;
#[cfg(feature = "nats")]
mod ports;
mod reach;
mod reload;
mod standby;
mod station;

use std::io::{IsTerminal, stdin, stdout};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use pblink_serve::consumers::{App, Passed};
use pblink_serve::control::{self, ControlServer, Source};
use pblink_serve::hub::Hub;
use pblink_serve::log::Log;
use pblink_serve::service::Sockets;
use pblink_server::{SavedSessions, Server};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::address::{Control, GatewayAddress, Listen};
use crate::descriptors;
use crate::exit::{Exit, Failed};
use crate::global::Global;
use crate::look::LookArgs;
use crate::monitor;
use crate::output::diagnostics::{LogArgs, newline, note, say, screen_is_on, set_level, warning};
use crate::output::feed::Feed;
use crate::output::printer::Form;
use crate::output::stdout::unbuffered;
use crate::runtime;
use crate::settings::{Settings, limits};
use crate::signals::{Signal, Signals, Terminal, survive_file_limit};
use crate::state::State;
use announce::Announced;
use manager::Reporter;
use reload::Running;
#[cfg(feature = "nats")]
use standby::Place;
use standby::{Held, Outcome};
use station::Station;

/// Time that applications and printer have for what was acknowledged, once the server is to stop.
const PATIENCE: Duration = Duration::from_secs(5);

/// Time after which the last program of the user was ended, once there are no more lines.
const PROGRAMS: Duration = Duration::from_secs(6);

/// Time that the printer has for what is reported once the server has stopped.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Arguments of `pblink serve`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pblink serve                                  as pblink.toml says; without it, on this machine only
  pblink serve --client kitchen --listen 0.0.0.0:8123
                                                serve this board, refuse others
  pblink serve --any-client                     print the lines of whoever connects
  pblink serve --app demo                       send each board a list of three every 5 s
  pblink serve --exec 'python3 board.py'        run a program for each board
  pblink serve --exec-all ./all.py --exec-ack   run one program for all boards, exactly once
  pblink serve --mqtt mqtt://localhost          and use a broker; docs/MQTT.md has the topics
  pblink serve --store nats://10.0.0.5:4222     share the log with other servers; docs/SCALE.md
  pblink serve --screen                         and show the links, as pblink monitor does
  pblink serve --json | jq 'select(.event == \"report\")'

Unless it listens for this machine only, the server is announced on its network as _pblink._tcp, and this machine's \
name with .local behind it can be server.host of boards with our firmware; --no-mdns stops that.

Flags override pblink.toml, and that overrides the defaults. Without pblink.toml, or without a list of \
clients, it listens on 127.0.0.1 only, where no board can reach it: --listen, --any-client or a list of \
clients in pblink.toml open it. What happens is printed line by line; `pblink monitor` shows it on a screen.

A line is acknowledged to its board when it is in the log, a file in the folder that --state names: a server \
that is killed at any moment loses none, and what was not printed is printed when it runs again. With \
--state off it is acknowledged when it is printed. If standard output is a pipe whose reader has gone away, the \
server stops; if a disk is full, lines wait until there is room.

Programs of --exec are started by `sh -c` when their board has sent a line. They find its id in PBLINK_CLIENT, the \
log's name in PBLINK_LOG_NAME, the control API's address in PBLINK_SERVER, and print lines for the board; their stderr \
is reported. A line is done when the program has read it: what it had read and not worked on when it died is lost to \
it, unless --exec-ack is given. One that ends is started again, after 1 s, later 60 s; a line on which it ends again and \
again is never passed over, and only its board waits. docs/SERVER.md says more.

ctrl-C and SIGTERM stop the server cleanly, and so does a terminal that is closed: it waits up to 5 s for lines that are \
still to be printed. Programs get the rest of their lines, then the end of their input, SIGTERM after 2 s, SIGKILL after 5 s. \
A second signal does not wait.

SIGHUP makes it read pblink.toml again (with --screen it stops). server.clients, server.log and the sections [[entity]] take effect at once: links of \
clients that are not listed any more are closed, all others stay. Other keys that have changed are named in a warning; they need a \
new start. A file with a mistake changes nothing.

With --store several servers share a log. Each has a copy in its own folder, and takes boards and questions: one leads, and the \
others pass on to it what comes to them. When it ends or dies, another leads within some four seconds, with all that was \
acknowledged. docs/SCALE.md says more.

Under systemd it reports start, life and end, and takes sockets and secrets: docs/SERVICE.md has the unit.

Exit codes: 0 stopped by a signal or by `q`, 1 standard output or the log cannot be written, 2 wrong flags, 3 wrong \
configuration, 4 the address cannot be listened on, 130 stopped by a second signal.")]
pub struct Args {
    /// Configuration file. Without it the one that `pblink config path` prints, if there is one.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Address and port to listen on, such as `0.0.0.0:8123`, `localhost:8123` or `[::]:8123`; either
    /// alone does.
    #[arg(long, value_name = "ADDR:PORT")]
    pub listen: Option<Listen>,
    /// Time without data after which a link counts as down, such as `2s`; a plain number is
    /// milliseconds. The boards must use the same value.
    #[arg(long = "timeout", alias = "timeout-ms", value_name = "TIME",
        value_parser = limits::TIMEOUT.parser())]
    pub timeout_ms: Option<u32>,
    /// Id of a client that is expected; may be repeated. Others are refused.
    #[arg(long = "client", value_name = "ID")]
    pub clients: Vec<String>,
    /// Serve clients with any id, expected or not.
    #[arg(long)]
    pub any_client: bool,
    /// Application that takes the lines. Default: server.app of pblink.toml, else print.
    #[arg(long, value_parser = app_parser())]
    pub app: Option<App>,
    /// Programs that take the lines.
    #[command(flatten)]
    pub program: consumers::ProgramArgs,
    /// Address and port of the control API, for `pblink monitor` and other programs, or `off`.
    #[arg(long, value_name = "ADDR:PORT|off")]
    pub control: Option<Control>,
    /// Also use this broker, such as `mqtt://localhost`: lines of boards are published there, and messages from there
    /// go to boards. Default: mqtt.url of pblink.toml; `off` goes without.
    #[arg(long, value_name = "URL|off")]
    pub mqtt: Option<mqtt::Url>,
    /// Share the log with other servers, through these NATS servers: `nats://10.0.0.5:4222`, with commas between several. One
    /// server leads, and the others stand by. Default: store.url of pblink.toml; `off` goes without.
    #[arg(long, value_name = "URL|off")]
    pub store: Option<String>,
    /// Address and port at which the other gateways reach this one while it leads, to pass on boards and questions that have come
    /// to them; either alone does. `off` passes nothing on. Default: store.address of pblink.toml, else the address at which
    /// NATS sees this machine, and the port for boards + 2.
    #[arg(long, value_name = "ADDR:PORT|off")]
    pub gateway_address: Option<GatewayAddress>,
    /// Name of this server among those that share a log. Default: store.gateway of pblink.toml, else this machine's with the port.
    #[arg(long, value_name = "NAME")]
    pub gateway: Option<String>,
    /// Do not announce the server on its network (as _pblink._tcp, by multicast DNS).
    #[arg(long)]
    pub no_mdns: bool,
    /// Folder of the log, or `off` to keep lines in memory only. Without it: what pblink.toml says, else
    /// $XDG_STATE_HOME/pblink/PORT, or what systemd gives a service.
    #[arg(long, value_name = "DIR|off")]
    pub state: Option<State>,
    /// File with the token of the control API; made if it is not there. Default: PBLINK_TOKEN, then
    /// `control.token_file` of pblink.toml, then a file in the state folder, or $XDG_RUNTIME_DIR/pblink.
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// Show the screen of `pblink monitor` instead of printing; `q` stops the server, after a question. Without a
    /// terminal, or on one that cannot show screens (TERM is dumb or not set), it prints.
    #[arg(long, conflicts_with = "json")]
    pub screen: bool,
    /// Print everything as JSON, one object per line.
    #[arg(long)]
    pub json: bool,
    /// Diagnostics.
    #[command(flatten)]
    pub log: LogArgs,
    /// The look.
    #[command(flatten)]
    pub look: LookArgs,
}

/// Offers the apps by name, each with what it does.
fn app_parser() -> impl TypedValueParser<Value = App> {
    let values = App::ALL.map(|app| {
        let value = PossibleValue::new(app.name()).help(app.help());
        if app == App::Print { value.alias(App::OLD_PRINT) } else { value }
    });
    PossibleValuesParser::new(values).try_map(|name| name.parse::<App>())
}

/// The end of one run of the server.
#[cfg_attr(not(feature = "nats"), expect(dead_code, reason = "a build without stores has one end"))]
enum Ended {
    /// The verb ends with it.
    Exit(Exit),
    /// Another server that shares the log leads, or may lead; its name, if it is known.
    Replaced(Option<String>),
}

/// Runs the verb.
pub fn run(args: Args, global: &Global) -> anyhow::Result<Exit> {
    let mut settings = Settings::load(args.config.as_deref())?;
    args.log.start()?;
    // It changes the environment, which only a process with one thread may do.
    let given =
        Sockets::of_this_process().map_err(|why| Failed::with(Exit::Network, why.to_string()))?;
    let mut held = Held::new(given);
    loop {
        let round = serve(&args, settings.clone(), &mut held, global);
        match runtime::block_on(round)?? {
            Ended::Exit(exit) => return Ok(exit),
            Ended::Replaced(Some(by)) => {
                warning(format_args!("gateway {by} leads now: this one stands by"));
            }
            Ended::Replaced(None) => warning(
                "another gateway may lead, since the store has not answered for a while: this one stands by",
            ),
        }
        held.again = true;
        // A mistake in the file must not take a server away that others count on.
        match Settings::load(args.config.as_deref()) {
            Ok(now) => settings = now,
            Err(error) => warning(format_args!("the settings stay as they were: {error:#}")),
        }
    }
}

async fn serve(
    args: &Args,
    settings: Settings,
    held: &mut Held,
    global: &Global,
) -> anyhow::Result<Ended> {
    // Before anything is announced: a signal that comes then is to find the way out.
    let mut signals = Signals::listen()?;
    let terminal = Terminal::at_start();
    set_level(settings.server.log);
    survive_file_limit()?;
    let inherited = descriptors::soft();
    let descriptors = descriptors::raise();
    let standing = standby::stand_by(args, &settings, held, (&mut signals, terminal));
    let (lead, mut place, sockets) = match standing.await? {
        Outcome::Alone(sockets) => (None, None, sockets),
        Outcome::Leads(lead, place, sockets) => (Some(lead), Some(place), sockets),
        Outcome::Asked => return Ok(Ended::Exit(Exit::Ok)),
    };
    // Before its first reading: a change behind that is seen.
    let mut watched = keys::Watched::new(&settings);
    let Station { hub, log, mut consumers, state, loaded } =
        station::open(args, &settings, descriptors, (sockets.boards, lead)).await?;
    let control = api::start(args, &settings, &hub, state.as_deref(), sockets.control).await?;
    greet(&hub, control.as_ref());
    let entrance = place.as_mut().map(|place| place.open(&hub, control.as_ref()));
    let announcement = Announced::start(args, &hub);
    let (passed, lines) = mpsc::channel(64);
    let screen = args.screen && monitor::takes_screens() && stdin().is_terminal();
    let ending = CancellationToken::new();
    // Whoever looks at a terminal has seen enough; a file or a program wants every line.
    let required = !log.is_durable() || !stdout().is_terminal();
    let address = control.as_ref().map(ControlServer::address);
    consumers::complete(&mut consumers, required, address, inherited);
    // Known before the first line comes: a line must not pass a consumer that is about to start.
    for consumer in &consumers {
        consumer.register(&log).await;
    }
    let entities = consumers.iter().find_map(mqtt::entities);
    let running =
        pblink_serve::consumers::run(hub.clone(), log.clone(), consumers, passed, ending.clone());
    let running = tokio::spawn(running);
    log.attach(Server::clone(&hub.server())).await;
    let mut output = if screen {
        let options = monitor::Options {
            colour: global.color.enabled(true),
            ascii: args.look.ascii,
            zone: args.look.times.zone(),
            lines: Some(Arc::new(log.clone())),
            ending: Some("Stop the server?".to_owned()),
            ..monitor::Options::default()
        };
        tokio::spawn(show(hub.clone(), lines, options))
    } else {
        let form = Form::new(args.json, args.look.times.zone_of_lines());
        print(Feed::new(hub.events(), lines, form))?
    };
    let mut ended = None;
    let mut failed = None;
    let mut running_with = Running::new(args, settings, hub.clone(), loaded, entities);
    let mut reporter = Reporter::of_this_process(hub.clone(), log.clone());
    reporter.ready();
    loop {
        tokio::select! {
            why = log.failed() => failed = Some(why),
            result = &mut output => ended = Some(result.map_err(std::io::Error::other).flatten()),
            changed = watched.look() => {
                if changed {
                    running_with.reload_keys();
                }
                running_with.note_proven();
                continue;
            }
            () = reporter.time_to_report() => {
                reporter.alive();
                continue;
            }
            asked = signals.next() => match asked {
                // The same signal ends the screen, and it gives the terminal back.
                _ if screen => {
                    ended = Some((&mut output).await.map_err(std::io::Error::other).flatten());
                }
                Signal::HangUp if !terminal.is_gone() => {
                    reporter.reloading();
                    running_with.reload();
                    watched.follow(running_with.of_keys());
                    reporter.ready();
                    continue;
                }
                Signal::Interrupt => newline(),
                Signal::HangUp | Signal::Terminate => {}
            },
        }
        break;
    }
    reporter.stopping();
    drop(entrance);
    if screen {
        signals.screen_has_ended();
    }
    // At once: nobody is to look for a server that is about to end.
    let finishing = async {
        let finishing = finish(&hub, &log, control, (output, running), ended, &ending);
        tokio::join!(finishing, announcement.stop()).0
    };
    let (saved, result) = tokio::select! {
        done = finishing => done,
        _ = signals.next() => return Ok(Ended::Exit(Exit::Interrupted)),
    };
    report(&saved, &log);
    #[cfg(feature = "nats")]
    if let Some(Place { replaced, .. }) = place
        && failed.is_some()
        && replaced.happened()
    {
        return Ok(Ended::Replaced(replaced.by().map(str::to_owned)));
    }
    if let Some(why) = failed {
        let what = format!("the log cannot be written: {why}; the server has stopped");
        return Err(Failed::with(Exit::Failure, what));
    }
    result.map(|()| Ended::Exit(Exit::Ok)).map_err(|error| {
        let what = match error.kind() {
            std::io::ErrorKind::BrokenPipe => {
                "whoever read standard output has gone away".to_owned()
            }
            _ if screen => format!("the screen cannot be shown: {error}"),
            _ => format!("standard output cannot be written: {error}"),
        };
        Failed::with(Exit::Failure, format!("{what}; the server has stopped"))
    })
}

/// Prints on a thread of its own: a reader that hangs blocks it, and must hold up neither a connection nor
/// the end of the program.
fn print(feed: Feed) -> std::io::Result<JoinHandle<std::io::Result<()>>> {
    let mut out = unbuffered()?;
    let runtime = tokio::runtime::Handle::current();
    Ok(tokio::task::spawn_blocking(move || runtime.block_on(feed.print(&mut out))))
}

/// Stops the server, and waits until what was acknowledged is printed, but not for ever. Returns what is
/// left, and how the output ended.
async fn finish(
    hub: &Hub,
    log: &Log,
    control: Option<ControlServer>,
    (output, running): (JoinHandle<std::io::Result<()>>, JoinHandle<()>),
    ended: Option<std::io::Result<()>>,
    ending: &CancellationToken,
) -> (SavedSessions, std::io::Result<()>) {
    let deadline = Instant::now() + PATIENCE;
    let saved = hub.stop_within(PATIENCE).await;
    // Consumers end behind the last line, and programs of the user within 5 s.
    ending.cancel();
    let programs = Instant::now() + PROGRAMS;
    let result = match ended {
        Some(result) => result,
        // That the server has stopped is printed, too.
        None => match timeout_at(deadline.max(Instant::now() + LAST_WORDS), output).await {
            Ok(result) => result.map_err(std::io::Error::other).flatten(),
            Err(_) => {
                warning(format_args!(
                    "standard output did not take the last lines within {} s: they are not acknowledged, and \
                     their boards send them again",
                    PATIENCE.as_secs()
                ));
                Ok(())
            }
        },
    };
    // Whoever is still not done goes on in the next server.
    let _ = timeout_at(programs, running).await;
    log.stop().await;
    if let Some(control) = control {
        control.shutdown().await;
    }
    (saved, result)
}

/// Reports the lines that the server could not get rid of.
fn report(saved: &SavedSessions, log: &Log) {
    let lines = |n: u64| if n == 1 { "1 line".to_owned() } else { format!("{n} lines") };
    let waiting = log.status().waiting;
    if waiting > 0 && log.is_durable() {
        note(format_args!(
            "{} to boards in the log: sent when the server runs again",
            lines(waiting)
        ));
    } else if waiting > 0 {
        warning(format_args!("{} to boards not acknowledged by them", lines(waiting)));
    }
    if saved.unread() > 0 {
        warning(format_args!(
            "{} from boards not taken: not acknowledged, the boards send them again",
            lines(saved.unread() as u64)
        ));
    }
}

/// Shows the links until the user has enough.
async fn show(
    hub: Arc<Hub>,
    mut lines: mpsc::Receiver<Passed>,
    options: monitor::Options,
) -> std::io::Result<()> {
    // The applications wait for whoever takes their lines; the screen shows their number.
    tokio::spawn(async move {
        while let Some(line) = lines.recv().await {
            line.accept();
        }
    });
    screen_is_on(true);
    let updates = control::follow_source(hub);
    let shown = monitor::run(updates, options).await;
    screen_is_on(false);
    shown.map(|_| ())
}

/// Reports the server's address on stderr: stdout is for what happens.
fn greet(hub: &Hub, control: Option<&ControlServer>) {
    let info = hub.info();
    say(format_args!(
        "serving boards at {} (time-out {} ms, app {})",
        info.listen, info.timeout_ms, info.app
    ));
    if let Some(control) = control {
        let address = control.address();
        say(format_args!(
            "control API at http://{address}/ , a page for browsers too; `pblink monitor` shows the links"
        ));
        if !address.ip().is_loopback() {
            note(
                "others can reach the control API: they need its token, which goes over the network unencrypted; docs/WEB.md \
                 has a proxy with TLS",
            );
        }
    }
}
