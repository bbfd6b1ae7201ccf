//! Consumers of the lines that boards send: `demo`, `echo` and `print`, one file each.

mod demo;
mod echo;
mod print;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use pblink_server::{Connection, Delivery, Received};
use tokio::sync::mpsc;

use crate::hub::Hub;

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
    /// From a client, which gets its acknowledgement by [`Received::accept`]. Dropped without that, it goes
    /// back to its session.
    Received(Received),
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
            Self::Received(line) => line.client(),
            Self::Sent { id, .. } => id,
        }
    }

    /// Returns the line.
    pub fn text(&self) -> &str {
        match self {
            Self::Received(line) => line.text(),
            Self::Sent { line, .. } => line,
        }
    }

    /// Acknowledges it if it is from a client: it need not be kept any longer.
    pub fn accept(self) {
        if let Self::Received(line) = self {
            // A server that was shut down meanwhile acknowledges nothing: the client sends it again.
            let _ = line.accept();
        }
    }
}

/// Runs `app` for each client of the hub's present server, and hands out the lines that pass (`echo` does
/// not: its clients see them). A line from a client is acknowledged only when whoever takes `passed` accepts
/// it. Ends when the server stops.
pub async fn run(hub: Arc<Hub>, app: App, passed: mpsc::Sender<Passed>) {
    let server = hub.server();
    while let Ok(connection) = server.next_client().await {
        tokio::spawn(serve(connection, app, passed.clone()));
    }
}

/// Runs one client's application. It ends when the server stops: the errors say nothing else.
async fn serve(connection: Connection, app: App, passed: mpsc::Sender<Passed>) {
    match app {
        App::Print => print::run(connection, passed).await,
        App::Echo => echo::run(connection).await,
        App::Demo => demo::run(connection, passed).await,
    }
}

/// Writes a line. True if it was sent; `None` when the server has stopped.
async fn write(connection: &Connection, line: &str) -> Option<bool> {
    match connection.write(line, Delivery::ORDERED).await {
        Ok(()) => Some(true),
        Err(pblink_server::WriteError::TooLong { .. }) => {
            tracing::warn!(id = connection.id(), "a line is too long to be returned to a board");
            Some(false)
        }
        Err(_) => None,
    }
}
