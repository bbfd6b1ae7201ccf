//! `echo`: each line goes back to whom it came from.

use pblink_server::Connection;

use super::write;

/// Returns each line, until the server stops.
///
/// A line is acknowledged before it is returned: a board that takes no lines until its own are acknowledged
/// would otherwise wait for ever.
pub(super) async fn run(connection: Connection) {
    while let Ok(line) = connection.read_line().await {
        if write(&connection, &line).await.is_none() {
            return;
        }
    }
}
