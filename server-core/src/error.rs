//! Why reading or writing ends without a line.

use pblink_protocol::tcp::line::BadText;

/// The server was shut down: this link will not come back. Unread and unacknowledged lines are in
/// the [`SavedSessions`](crate::SavedSessions) that the shutdown returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the server was shut down; ask the new server for this client")]
pub struct Closed;

/// Why a line was not written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// It cannot be sent as one line.
    #[error(transparent)]
    Text(#[from] BadText),
    /// It is longer than the builder's `max_written_line`.
    #[error(
        "the line has {len} bytes, and at most {max} can be sent (a board behind an ESP8266 takes \
         1024); split it, or raise max_written_line if this client takes more"
    )]
    TooLong {
        /// Its length in bytes.
        len: usize,
        /// The limit in bytes.
        max: usize,
    },
    /// The server was shut down before it took the line.
    #[error("the server was shut down; the line was not sent: write it to the new server")]
    Closed,
    /// The server was shut down before the line was acknowledged. The line is in the
    /// [`SavedSessions`](crate::SavedSessions), and a server that is built from them delivers it:
    /// writing it again would double it.
    #[error(
        "the server was shut down before the client acknowledged the line; the saved sessions hold \
         it: do not write it again"
    )]
    Kept,
}
