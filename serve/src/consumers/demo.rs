//! `demo`: what the seed's demo does.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use pblink_server::Connection;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::{Passed, write};

/// Pause between two lines of the demo: the seed's.
const DEMO_EVERY: Duration = Duration::from_secs(5);

/// Sends a list of three every five seconds: a count, and the last two numbers of what the client sent. Ends
/// when the server stops.
///
/// It reads while a line of its own is unacknowledged: a board that is away has sent its lines before it
/// acknowledges ours.
pub(super) async fn run(connection: Connection, passed: mpsc::Sender<Passed>) {
    let latest = Mutex::new(json!([0, 0, 0]));
    tokio::join!(read(&connection, &latest, &passed), send(&connection, &latest, &passed));
}

async fn read(connection: &Connection, latest: &Mutex<Value>, passed: &mpsc::Sender<Passed>) {
    while let Ok(line) = connection.recv().await {
        match serde_json::from_str::<Value>(line.text()) {
            Ok(list) if list.as_array().is_some_and(|list| list.len() == 3) => {
                *latest.lock().unwrap_or_else(PoisonError::into_inner) = list;
            }
            _ => tracing::info!(id = connection.id(), "not a list of three: {}", line.text()),
        }
        if passed.send(Passed::Received(line)).await.is_err() {
            return;
        }
    }
}

async fn send(connection: &Connection, latest: &Mutex<Value>, passed: &mpsc::Sender<Passed>) {
    let mut timer = tokio::time::interval(DEMO_EVERY);
    timer.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    for count in 0_u64.. {
        timer.tick().await;
        let mut data = latest.lock().unwrap_or_else(PoisonError::into_inner).clone();
        data[0] = count.into();
        let line = data.to_string();
        match write(connection, &line).await {
            Some(true) => {
                let sent = Passed::Sent { id: connection.id().to_owned(), line };
                // Whoever prints may have ended; the board has its line.
                let _ = passed.send(sent).await;
            }
            Some(false) => {}
            None => return,
        }
    }
}
