//! Simulated boards in real time, for `demo` and `simulate`.

use pblink_protocol::app::secure::SecureEvent;
use pblink_protocol::app::{AppEvent, ResetCause};
use pblink_protocol::config::{Config, ConfigError};
use pblink_protocol::time::Instant;
use pblink_server::{EventKind, Layer};
use pblink_simulator::live::{self, Clock, Command, Event};
use pblink_simulator::{Pair, PairEvent, PairOptions};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// The network's name in a simulated board's settings. The radio is simulated: any name will do.
const NETWORK: &str = "simulated";

/// A running simulated board. Dropping it switches the board off.
#[derive(Debug)]
pub struct Board {
    /// Its id.
    pub id: String,
    commands: mpsc::Sender<Command>,
    task: JoinHandle<Pair>,
}

impl Board {
    /// Switches a board on that connects to `server` (`host:port`), and reports to `report`. `report`
    /// returns false to switch it off. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// If the values make no configuration that a board could use.
    pub fn start(
        id: &str,
        server: &str,
        timeout_ms: u32,
        report_s: u32,
        options: PairOptions,
        report: impl FnMut(&Pair, Event) -> bool + Send + 'static,
    ) -> Result<Self, ConfigError> {
        let config = Config {
            id: id
                .try_into()
                .map_err(|_| ConfigError::Id(pblink_protocol::tcp::line::BadId::TooLong))?,
            port: pblink_protocol::config::DEFAULT_PORT,
            // Where it really connects to is the socket's business.
            server: "server".try_into().map_err(|_| ConfigError::Server)?,
            timeout_ms,
            report_s,
            ssid: NETWORK.try_into().map_err(|_| ConfigError::Ssid)?,
            password: Default::default(),
        };
        let clock = Clock::start();
        let pair = Pair::new(&config, options, Instant::ZERO)?;
        let (commands, receiver) = mpsc::channel(16);
        let task = tokio::spawn(live::run(pair, clock, server.to_owned(), receiver, report));
        Ok(Self { id: id.to_owned(), commands, task })
    }

    /// Gives a command. One that comes while sixteen others wait is dropped.
    pub fn command(&self, command: Command) {
        let _ = self.commands.try_send(command);
    }

    /// Switches it off, and gives back what is left.
    pub async fn stop(self) -> Option<Pair> {
        drop(self.commands);
        self.task.await.ok()
    }
}

/// Returns the event that the monitor and the log show for an event of a board; `None` for what is not worth a line.
pub fn event(id: &str, event: &Event, was_down: Option<Layer>) -> Option<EventKind> {
    let board =
        |layer, up, detail: String| Some(EventKind::Board { id: id.to_owned(), layer, up, detail });
    match event {
        // On the way back up, one layer after the other is "the one that is down": only what gets
        // worse is worth a line, and that it works again.
        Event::Down(Some(down)) if was_down.is_some_and(|was| depth(*down) >= depth(was)) => None,
        Event::Down(Some(down)) => {
            let detail = match down {
                Layer::Wires => "the boards do not talk",
                Layer::Coprocessor => "the ESP8266 does not run",
                Layer::Wifi => "no network",
                Layer::Server => "no server",
            };
            board(*down, false, detail.to_owned())
        }
        Event::Down(None) => board(was_down.unwrap_or(Layer::Server), true, "works".to_owned()),
        Event::Pair(PairEvent::App(AppEvent::Reset(cause))) => {
            let part = match cause {
                ResetCause::Exchange(_) | ResetCause::Garbled => Layer::Wires,
                _ => Layer::Coprocessor,
            };
            board(part, false, format!("resetting the ESP8266: {cause}"))
        }
        Event::Pair(PairEvent::App(AppEvent::BadWifi)) => {
            board(Layer::Wifi, false, "cannot join the network; retrying".to_owned())
        }
        Event::Pair(PairEvent::App(AppEvent::BadServer)) => {
            board(Layer::Server, false, "the server cannot be reached; retrying".to_owned())
        }
        Event::Pair(PairEvent::Secure(SecureEvent::NoAnswer)) => board(
            Layer::Server,
            false,
            "the server does not prove itself: it has no keys of this board, or others; retrying"
                .to_owned(),
        ),
        Event::Pair(PairEvent::Secure(SecureEvent::Closed(reason))) => board(
            Layer::Server,
            false,
            format!("the server has closed the link for a minute (reason {reason})"),
        ),
        Event::Pair(PairEvent::PowerCycled) => {
            board(Layer::Coprocessor, false, "lost power".to_owned())
        }
        Event::Pair(_) | Event::Here | Event::Failed(_) => None,
    }
}

/// Ranks a layer by its distance from the board.
fn depth(down: Layer) -> u8 {
    match down {
        Layer::Coprocessor => 0,
        Layer::Wires => 1,
        Layer::Wifi => 2,
        Layer::Server => 3,
    }
}
