//! Why a server does not start, and why reading or writing ends without a line.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use pblink_protocol::tcp::line::{BadId, BadText};

/// Why a server could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}{}", hint(.source))]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The error of the system.
        source: io::Error,
    },
    /// The socket that was given cannot be listened on.
    #[error("cannot listen on the socket that was given: {source}")]
    Adopt {
        /// The error of the system.
        source: io::Error,
    },
    /// An expected id is not a valid one.
    #[error("\"{}\" cannot be a client's id: {why}", .id.escape_debug())]
    BadId {
        /// The id.
        id: String,
        /// The fault in it.
        why: BadId,
    },
    /// The time-out is out of range.
    #[error("the time-out is {0:?}; it must be between 50 ms and 1 hour")]
    Timeout(Duration),
    /// A limit is zero, or larger than 16 MiB (lengths) or 2²⁴ (counts).
    #[error("{0} must be between 1 and 16777216")]
    Limit(&'static str),
    /// The saved sessions come from a server with another time-out or `max_line`, or are for one that
    /// [commits](crate::Builder::commits).
    #[error(
        "the saved sessions have another time-out or max_line than this server, or this one commits: use \
         the same values, and restore one that commits from its store"
    )]
    Restore,
}

fn hint(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::AddrInUse => "; another program uses this port: stop it, or take another",
        io::ErrorKind::PermissionDenied => "; ports below 1024 need privileges: take a higher one",
        io::ErrorKind::AddrNotAvailable => "; this machine has no such address",
        _ => "",
    }
}

/// This link will not come back. Either the server was shut down: unread and unacknowledged lines are in
/// the [`SavedSessions`](crate::SavedSessions) that the shutdown returned. Or it has forgotten a client
/// that it did not expect and that was gone, to [make room](crate::Builder::max_clients) for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the server was shut down, or has forgotten this client; ask the server for it again")]
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
    /// As many lines as may be are waiting or unacknowledged: only from
    /// [`Connection::post`](crate::Connection::post), which does not wait.
    #[error("64 lines to this client are not acknowledged yet; write again when some are")]
    Full,
    /// The link was [`Closed`] before it took the line.
    #[error(
        "the server was shut down, or has forgotten this client; the line was not sent: ask the server \
         for the client again"
    )]
    Closed,
    /// The client was neither expected nor connected, and was forgotten to make room for another. It has
    /// not acknowledged the line.
    #[error("the client is gone and was forgotten before it acknowledged the line")]
    Forgotten,
    /// The server was shut down before the line was acknowledged. The line is in the
    /// [`SavedSessions`](crate::SavedSessions), and a server that is built from them delivers it:
    /// writing it again would duplicate it.
    #[error(
        "the server was shut down before the client acknowledged the line; the saved sessions hold \
         it: do not write it again"
    )]
    Kept,
    /// Nobody knows whether the client has the line: it, or the server, has lost its memory meanwhile. It is not sent again.
    #[error(
        "nobody knows whether the client has the line, since its board lost its power or the server's memory is an \
         older one; write it again only if it may come twice"
    )]
    Undetermined,
}
