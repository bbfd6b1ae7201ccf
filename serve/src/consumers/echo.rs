//! `echo`: each line goes back to whom it came from.

use pblink_server::Connection;

use super::write;

/// Returns each line, until the server stops.
///
/// A line is acknowledged when its client has acknowledged the returned one: a server that dies before has
/// acknowledged nothing, and gets the line again. One that is too long to be returned is acknowledged, too.
pub(super) async fn run(connection: Connection) {
    while let Ok(line) = connection.recv().await {
        if write(&connection, line.text()).await.is_none() {
            return;
        }
        // A server that was shut down meanwhile acknowledges nothing: the client sends it again.
        let _ = line.accept();
    }
}
