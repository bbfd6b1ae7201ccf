//! `echo`: each line goes back to whom it came from.

use std::time::Duration;

use pblink_server::Delivery;

use super::lanes::Lane;
use crate::log::{Outgoing, SendError};

/// Pause before a line is returned again to a client for which too many wait, or while the disk is full.
const RETRY: Duration = Duration::from_millis(200);

/// Returns each line of a client: the line is done in the commit that puts its echo into the client's outbox.
pub(super) async fn run(lane: Lane) {
    while let Some(line) = lane.next().await {
        loop {
            let (client, text) = (line.client.clone(), line.text.clone());
            let echo = Outgoing { client, text, delivery: Delivery::ORDERED };
            match lane.done(line.offset, vec![echo]).await {
                Ok(()) => break,
                Err(
                    SendError::OutboxFull { .. } | SendError::DiskFull | SendError::Unavailable,
                ) => {
                    // A server that stops does not wait for a board: the line is not done, and comes again.
                    if lane.ending().is_cancelled() {
                        return;
                    }
                    tokio::time::sleep(RETRY).await;
                }
                Err(SendError::Stopped) => return,
                Err(error) => {
                    tracing::warn!(id = &*line.client, "a line cannot be returned: {error}");
                    if lane.done(line.offset, Vec::new()).await.is_err() {
                        return;
                    }
                    break;
                }
            }
        }
    }
}
