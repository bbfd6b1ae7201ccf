//! `pblink serve`

use std::io::{IsTerminal, stdin, stdout};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use pblink_serve::consumers::{self, Passed};
use pblink_serve::control::{self, ControlServer, EventStream, Notice, Source};
use pblink_serve::hub::Hub;
use pblink_server::{BindError, EventKind, Server};
use tokio::sync::mpsc;

use crate::address::{Control, Listen};
use crate::exit::{Exit, Failed};
use crate::global::{Global, screen_is_on};
use crate::monitor;
use crate::output::printer::Printer;
use crate::settings::{App, Settings, limits};
use crate::signals::stop_signal;

/// Arguments of `pblink serve`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pblink serve                                  as pblink.toml says, or with defaults
  pblink serve --client kitchen --client attic  serve these two, refuse others
  pblink serve --any-client --app log           print the lines of whoever connects
  pblink serve --screen                         and show the links, as pblink monitor does
  pblink serve --json | jq 'select(.event == \"report\")'

Flags go before pblink.toml, and that before the defaults. Without pblink.toml and --client, \
any client is served. What happens is printed line by line; `pblink monitor` shows it on a screen. \
ctrl-C stops the server cleanly: acknowledgements that are due are waited for. A second ctrl-C does \
not wait.

Exit codes: 0 stopped by ctrl-C or SIGTERM, 2 wrong flags, 3 wrong configuration, 4 the address \
cannot be listened on, 130 stopped by a second ctrl-C.")]
pub struct Args {
    /// Configuration file. Without it ./pblink.toml is used if it exists.
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
    /// What to do with lines.
    #[arg(long, value_parser = app_parser())]
    pub app: Option<App>,
    /// Where `pblink monitor` and other programs find the server, or `off`.
    #[arg(long, value_name = "ADDR:PORT|off")]
    pub control: Option<Control>,
    /// Show the screen of `pblink monitor` instead of printing; `q` stops the server. Without a terminal
    /// it prints.
    #[arg(long, conflicts_with = "json")]
    pub screen: bool,
    /// Print everything as JSON, one object per line.
    #[arg(long)]
    pub json: bool,
}

/// Offers the apps by name, each with what it does.
fn app_parser() -> impl TypedValueParser<Value = App> {
    let values = App::ALL.map(|app| PossibleValue::new(app.name()).help(app.help()));
    PossibleValuesParser::new(values).try_map(|name| name.parse::<App>())
}

/// Runs the verb.
pub fn run(args: Args, global: &Global) -> anyhow::Result<Exit> {
    let settings = Settings::load(args.config.as_deref())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let exit = runtime.block_on(serve(args, settings, global));
    // A reader that hangs must not keep the process.
    runtime.shutdown_timeout(Duration::from_millis(200));
    exit
}

async fn serve(args: Args, settings: Settings, global: &Global) -> anyhow::Result<Exit> {
    let config = &settings.server;
    let timeout = Duration::from_millis(args.timeout_ms.unwrap_or(config.timeout_ms).into());
    let listen = args.listen.unwrap_or_default().or(SocketAddr::new(config.listen, config.port));
    let app = args.app.unwrap_or(config.app);
    let clients = if args.clients.is_empty() { &config.clients } else { &args.clients };
    let mut builder = Server::builder().listen(listen).timeout(timeout);
    // Without a configuration nobody has said who is expected.
    let chosen = !args.clients.is_empty() || settings.file().is_some();
    if chosen && !clients.is_empty() {
        builder =
            builder.expected(clients.iter().map(String::as_str)).allow_unknown(args.any_client);
    }
    let mut stop = std::pin::pin!(stop_signal()?);
    let server = builder.bind().await.map_err(|error| {
        let exit = match error {
            BindError::Listen { .. } => Exit::Network,
            // pblink.toml was checked when it was read, so it is a flag.
            _ => Exit::Usage,
        };
        Failed::with(exit, error.to_string())
    })?;
    let hub = Hub::new(server, timeout, app.to_string());
    let control = args.control.map_or(config.control, |control| control.0);
    let control = match control {
        None => None,
        Some(address) => {
            let source: Arc<dyn Source> = hub.clone();
            let control = ControlServer::bind(address, source).await;
            Some(control.map_err(|e| Failed::with(Exit::Network, e.to_string()))?)
        }
    };
    greet(&hub, control.as_ref());
    let (passed, lines) = mpsc::channel(64);
    tokio::spawn(consumers::run(hub.clone(), app, passed));
    let screen = args.screen && stdout().is_terminal() && stdin().is_terminal();
    let mut printing = if screen {
        let colour = global.color.enabled(true);
        tokio::spawn(show(hub.clone(), lines, colour))
    } else {
        let printing = print(hub.events(), lines, Printer { json: args.json, lines: true });
        // On a thread of its own: a reader that hangs blocks it, and must hold up neither a connection nor
        // the end of the program.
        let runtime = tokio::runtime::Handle::current();
        tokio::task::spawn_blocking(move || {
            runtime.block_on(printing);
            Ok(())
        })
    };
    tokio::select! {
        shown = &mut printing => {
            shown.map_err(std::io::Error::other).flatten()?;
            if !screen {
                return Ok(Exit::Ok);
            }
        }
        () = &mut stop => {
            if screen {
                // The same signal ends it, and it gives the terminal back.
                let _ = (&mut printing).await;
            }
        }
    }
    let ending = async {
        let saved = tokio::select! {
            saved = hub.stop() => saved,
            // What happens while the server stops is printed too.
            _ = &mut printing, if !screen => return hub.stop().await,
        };
        // The last events are still on their way to the printer.
        if !screen {
            let _ = tokio::time::timeout(Duration::from_millis(500), &mut printing).await;
        }
        if let Some(control) = control {
            control.shutdown().await;
        }
        saved
    };
    let saved = tokio::select! {
        saved = ending => saved,
        _ = tokio::signal::ctrl_c() => return Ok(Exit::Interrupted),
    };
    if saved.unacked() > 0 || saved.unread() > 0 {
        eprintln!(
            "pblink: {} lines were not acknowledged by their clients, {} were not read",
            saved.unacked(),
            saved.unread()
        );
    }
    Ok(Exit::Ok)
}

/// Shows the links until the user has enough.
async fn show(
    hub: Arc<Hub>,
    mut lines: mpsc::Receiver<Passed>,
    colour: bool,
) -> std::io::Result<()> {
    // The applications wait for whoever takes their lines; the screen shows their number.
    tokio::spawn(async move { while lines.recv().await.is_some() {} });
    screen_is_on(true);
    let updates = control::follow_source(hub);
    let shown = monitor::run(updates, monitor::Options { colour, ..Default::default() }).await;
    screen_is_on(false);
    shown.map(|_| ())
}

/// Prints what happens until the server stops.
async fn print(mut events: EventStream, mut lines: mpsc::Receiver<Passed>, mut printer: Printer) {
    let mut open = true;
    loop {
        let written = tokio::select! {
            notice = events.next() => match notice {
                Some(Notice::Event(event)) => {
                    let stopped = event.kind == EventKind::Stopped;
                    printer.event(&event).map(|()| !stopped)
                }
                Some(Notice::Lagged(n)) => {
                    tracing::warn!("{n} events were not printed: the output is read too slowly");
                    Ok(true)
                }
                None => Ok(false),
            },
            line = lines.recv(), if open => match line {
                Some(line) => printer.passed(&line).map(|()| true),
                None => { open = false; Ok(true) }
            },
        };
        // Nobody reads any more: the server goes on.
        match written {
            Ok(true) => {}
            Ok(false) => return,
            Err(_) => printer = Printer { json: false, lines: false },
        }
    }
}

/// Tells where the server is, on stderr: stdout is for what happens.
fn greet(hub: &Hub, control: Option<&ControlServer>) {
    let info = hub.info();
    eprintln!(
        "pblink: serving boards at {} (time-out {} ms, app {})",
        info.listen, info.timeout_ms, info.app
    );
    if let Some(control) = control {
        let address = control.address();
        eprintln!("pblink: control API at http://{address}/ ; `pblink monitor` shows the links");
        if !is_local(address.ip()) {
            eprintln!("pblink: the control API has no password, and others can reach it");
        }
    }
}

fn is_local(ip: IpAddr) -> bool {
    ip.is_loopback()
}
