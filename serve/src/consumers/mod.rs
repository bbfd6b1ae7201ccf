//! Consumers of the lines that boards send: `demo`, `echo` and `print`, one file each.

mod demo;
mod echo;
mod lanes;
mod print;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::hub::Hub;
use crate::log::{From, Line, Log};

pub use print::Printed;

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
        /// Whoever wants to know that it is printed.
        printed: Option<Printed>,
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
        if let Self::Received { line, printed: Some(printed) } = self {
            printed.note(line.offset);
        }
    }
}

/// Runs `app` on the lines of the hub's log, and hands out the lines that pass (`echo` does not: its clients
/// see them). Ends when the log has ended, or when `ending` is cancelled and all lines that are there were handed
/// out. `required`: lines are kept until `print` has printed them.
pub async fn run(
    hub: Arc<Hub>,
    log: Log,
    app: App,
    required: bool,
    passed: mpsc::Sender<Passed>,
    ending: CancellationToken,
) {
    match app {
        App::Print => print::run(log, app.name(), required, passed, ending, |_| {}).await,
        App::Echo => lanes::run(log, app.name(), true, From::Now, ending, echo::run).await,
        App::Demo => demo::run(hub, log, required, passed, ending).await,
    }
}
