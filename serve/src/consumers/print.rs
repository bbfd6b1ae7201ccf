//! `print`: lines are printed.

use pblink_server::Connection;
use tokio::sync::mpsc;

use super::Passed;

/// Hands out each line, to be accepted when it is printed, until the server stops.
pub(super) async fn run(connection: Connection, passed: mpsc::Sender<Passed>) {
    while let Ok(line) = connection.recv().await {
        if passed.send(Passed::Received(line)).await.is_err() {
            return;
        }
    }
}
