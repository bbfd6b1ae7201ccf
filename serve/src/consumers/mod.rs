//! Consumers of the lines that boards send: `demo`, `echo`, `exec`, `mqtt` and `print`, one file or folder each.

mod cursor;
mod demo;
mod echo;
mod entity;
mod exec;
mod lanes;
#[cfg(feature = "mqtt")]
pub mod mqtt;
mod print;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::hub::Hub;
use crate::log::{From, Line, Log, Place};

pub use cursor::Cursor;
pub use entity::{DEVICE_CLASSES, Entities, Entity, Known, STATE_CLASSES};
pub use exec::{Exec, Pace};
#[cfg(feature = "mqtt")]
pub use mqtt::Mqtt;

/// Application of `pblink serve`: its way to handle lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum App {
    /// Sends a list of three every 5 s and prints what comes back.
    Demo,
    /// Returns each line.
    Echo,
    /// Prints lines.
    Print,
}

impl App {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Print, Self::Echo, Self::Demo];

    /// Former name of [`App::Print`].
    pub const OLD_PRINT: &str = "log";

    /// Returns a description of it, for those who choose.
    pub const fn help(self) -> &'static str {
        match self {
            Self::Demo => "Sends a list of three every 5 s and prints what comes back",
            Self::Echo => "Returns each line",
            Self::Print => "Prints lines",
        }
    }

    /// Its name, as flags and `pblink.toml` have it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Demo => "demo",
            Self::Echo => "echo",
            Self::Print => "print",
        }
    }
}

impl fmt::Display for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// No [`App`] has this name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is no such app; there are print, echo and demo")]
pub struct UnknownApp;

impl FromStr for App {
    type Err = UnknownApp;

    fn from_str(name: &str) -> Result<Self, UnknownApp> {
        let name = if name == Self::OLD_PRINT { Self::Print.name() } else { name };
        Self::ALL.into_iter().find(|app| app.name() == name).ok_or(UnknownApp)
    }
}

/// A line that passed between a client and its application, for whoever prints them.
#[derive(Debug)]
pub enum Passed {
    /// From a client: [`accept`](Self::accept) says that it is printed.
    Received {
        /// The line.
        line: Line,
        /// The cursor that moves when it is printed.
        cursor: Option<Cursor>,
    },
    /// To a client.
    Sent {
        /// The client's id.
        id: String,
        /// The line.
        line: String,
    },
}

impl Passed {
    /// Returns the client's id.
    pub fn client(&self) -> &str {
        match self {
            Self::Received { line, .. } => &line.client,
            Self::Sent { id, .. } => id,
        }
    }

    /// Returns the line.
    pub fn text(&self) -> &str {
        match self {
            Self::Received { line, .. } => &line.text,
            Self::Sent { line, .. } => line,
        }
    }

    /// Notes that it is printed, and all before it: a server that is started anew begins behind it.
    pub fn accept(self) {
        if let Self::Received { line, cursor: Some(cursor) } = self {
            cursor.note(line.offset);
        }
    }
}

/// Use that a consumer makes of lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// One of those that are built in.
    App(App),
    /// Programs of the user.
    Exec(Exec),
    /// A broker.
    #[cfg(feature = "mqtt")]
    Mqtt(Mqtt),
}

/// A consumer of lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consumer {
    /// Its name, under which the log keeps its place.
    pub name: String,
    /// Its use of lines.
    pub kind: Kind,
    /// The clients whose lines it takes; none: all.
    pub clients: Vec<String>,
    /// Lines are kept until it has them.
    pub required: bool,
    /// Where it begins if it is new.
    pub from: From,
}

impl Consumer {
    /// Returns one that takes the lines of all clients from now on, named for what it does.
    pub fn new(kind: Kind, required: bool) -> Self {
        let name = match &kind {
            Kind::App(app) => app.name(),
            Kind::Exec(Exec { all: true, .. }) => "exec-all",
            Kind::Exec(_) => "exec",
            #[cfg(feature = "mqtt")]
            Kind::Mqtt(_) => "mqtt",
        };
        let (name, clients) = (name.to_owned(), Vec::new());
        Self { name, kind, clients, required, from: From::Now }
    }

    /// Takes its place in the log. Done before boards are served, lines that come before it [runs](run) are kept for
    /// it. `None`: the log has ended.
    pub async fn register(&self, log: &Log) -> Option<Place> {
        log.register(&self.name, self.required, self.from).await
    }

    fn wants(&self, client: &str) -> bool {
        self.clients.is_empty() || self.clients.iter().any(|id| id == client)
    }
}

/// Runs consumers on the lines of the hub's log, and hands out the lines that pass (`echo` and `exec` do not: their
/// clients see them). Ends when the log has ended, or when `ending` is cancelled and all lines that are there were
/// handed out; programs of the user have a few seconds for them.
pub async fn run(
    hub: Arc<Hub>,
    log: Log,
    consumers: Vec<Consumer>,
    passed: mpsc::Sender<Passed>,
    ending: CancellationToken,
) {
    let mut running = tokio::task::JoinSet::new();
    for consumer in consumers {
        let (hub, log, passed) = (Arc::clone(&hub), log.clone(), passed.clone());
        let ending = ending.clone();
        running.spawn(async move { run_one(hub, log, consumer, passed, ending).await });
    }
    drop(passed);
    while running.join_next().await.is_some() {}
}

async fn run_one(
    hub: Arc<Hub>,
    log: Log,
    consumer: Consumer,
    passed: mpsc::Sender<Passed>,
    ending: CancellationToken,
) {
    match &consumer.kind {
        Kind::App(App::Print) => print::run(log, &consumer, passed, ending, |_| {}).await,
        Kind::App(App::Echo) => lanes::run(log, &consumer, ending, echo::run).await,
        Kind::App(App::Demo) => demo::run(hub, log, &consumer, passed, ending).await,
        Kind::Exec(exec) => {
            drop(passed);
            exec::run(hub, log, &consumer, exec, ending).await;
        }
        #[cfg(feature = "mqtt")]
        Kind::Mqtt(mqtt) => {
            drop(passed);
            mqtt::run(hub, log, &consumer, mqtt, ending).await;
        }
    }
}
