//! `demo`: what the seed's demo does.

use std::time::Duration;

use pblink_server::Connection;
use tokio::sync::mpsc;

use super::{Passed, tell, write};

/// Pause between two lines of the demo: the seed's.
const DEMO_EVERY: Duration = Duration::from_secs(5);

/// The seed's demo: every five seconds a list of three, a count and the last two numbers of what the
/// client sent.
pub(super) async fn run(connection: Connection, passed: mpsc::Sender<Passed>) {
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
