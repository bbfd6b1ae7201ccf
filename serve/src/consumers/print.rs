//! `print`: lines are printed.

use pblink_server::Connection;
use tokio::sync::mpsc;

use super::{Passed, tell};

/// Tells of each line, until the server stops.
pub(super) async fn run(connection: Connection, passed: mpsc::Sender<Passed>) {
    while let Ok(line) = connection.read_line().await {
        tell(&connection, true, &line, &passed).await;
    }
}
