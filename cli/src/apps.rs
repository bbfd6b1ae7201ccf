//! What `pblink serve` does with the lines of its clients: `demo`, `echo` and `log`.

use std::sync::Arc;
use std::time::Duration;

use pblink_server::{Connection, Delivery};
use tokio::sync::mpsc;

use crate::hub::Hub;
use crate::settings::App;

/// Pause between two lines of the demo: the seed's.
const DEMO_EVERY: Duration = Duration::from_secs(5);

/// A line that passed between a client and its application, for those who want to see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passed {
    /// The client's id.
    pub id: String,
    /// From the client (true) or to it.
    pub received: bool,
    /// The line.
    pub line: String,
}

/// Runs `app` for each client of the hub's present server, and tells of the lines that pass (`echo` does
/// not: its clients see them). `demo` and `log` wait for whoever takes `passed`. Ends when the server
/// stops.
pub async fn run(hub: Arc<Hub>, app: App, passed: mpsc::Sender<Passed>) {
    let server = hub.server();
    while let Ok(connection) = server.next_client().await {
        tokio::spawn(serve(connection, app, passed.clone()));
    }
}

/// One client's application. It ends when the server stops: the errors say nothing else.
async fn serve(connection: Connection, app: App, passed: mpsc::Sender<Passed>) {
    match app {
        App::Log => {
            while let Ok(line) = connection.read_line().await {
                tell(&connection, true, &line, &passed).await;
            }
        }
        App::Echo => {
            while let Ok(line) = connection.read_line().await {
                if write(&connection, &line).await.is_none() {
                    return;
                }
            }
        }
        App::Demo => demo(connection, passed).await,
    }
}

async fn tell(connection: &Connection, received: bool, line: &str, passed: &mpsc::Sender<Passed>) {
    let (id, line) = (connection.id().to_owned(), line.to_owned());
    let _ = passed.send(Passed { id, received, line }).await;
}

/// Whether the line was sent; `None` when the server has stopped.
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

/// The seed's demo: every five seconds a list of three, a count and the last two numbers of what the
/// client sent.
async fn demo(connection: Connection, passed: mpsc::Sender<Passed>) {
    let mut data = serde_json::json!([0, 0, 0]);
    let mut count = 0_u64;
    let mut timer = tokio::time::interval(DEMO_EVERY);
    timer.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            // Only the reading may be dropped half way: it loses nothing.
            line = connection.read_line() => {
                let Ok(line) = line else { return };
                tell(&connection, true, &line, &passed).await;
                match serde_json::from_str::<serde_json::Value>(&line) {
                    Ok(list) if list.as_array().is_some_and(|list| list.len() == 3) => data = list,
                    _ => tracing::info!(id = connection.id(), "not a list of three: {line}"),
                }
            }
            _ = timer.tick() => {
                data[0] = count.into();
                count += 1;
                let line = data.to_string();
                match write(&connection, &line).await {
                    Some(true) => tell(&connection, false, &line, &passed).await,
                    Some(false) => {}
                    None => return,
                }
            }
        }
    }
}
