//! Values of the log's calls: its limits, its state, pages of lines, lines to clients, steps of consumers.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use pblink_server::{BadText, Delivery};
use tokio::sync::oneshot;

use super::engine::EngineError;
use super::model::Line;
use crate::times::Rfc3339;

/// Limits of what the log keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// Lines and events that are older are deleted. Default 7 days.
    pub age: Duration,
    /// Bytes of lines that stay. Default 1 GB.
    pub bytes: u64,
    /// The least time between two commits, which spares an SD card and costs latency. Default 0.
    pub commit_every: Duration,
}

impl Default for Keep {
    fn default() -> Self {
        Self {
            age: Duration::from_secs(7 * 24 * 3600),
            bytes: 1_000_000_000,
            commit_every: Duration::ZERO,
        }
    }
}

/// The state of the log, for people and metrics.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Status {
    /// Commits so far.
    pub commits: u64,
    /// Lines that these have brought.
    pub lines: u64,
    /// Why lines have to wait, if they have to.
    pub held: Option<String>,
    /// The consumers, by name.
    pub consumers: Vec<ConsumerStatus>,
    /// Lines to clients that are not done.
    pub waiting: u64,
}

/// A consumer and the place that it has reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerStatus {
    /// Its name.
    pub name: Arc<str>,
    /// Lines are kept until it has them.
    pub required: bool,
    /// It runs in this process.
    pub running: bool,
    /// Offset of the last line of the unbroken row of those that it has consumed.
    pub offset: u64,
    /// Lines behind that.
    pub lag: u64,
    /// Lines on which it fails again and again, one for each client, by client; at most 100 of them. See
    /// [`Log::skip`](super::Log::skip).
    pub failing: Vec<FailingLine>,
    /// Clients that wait because of such a line.
    pub failing_clients: u64,
    /// The reason why it cannot go on at all, while it cannot. All lines wait.
    pub stalled: Option<Stall>,
}

/// The reason why a consumer cannot go on, such as a broker that is away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stall {
    /// Wall clock at which it began, in milliseconds since the Unix epoch.
    pub since_ms: u64,
    /// The last failure, in words.
    pub why: String,
    /// Wall clock at which it tries again, in milliseconds since the Unix epoch.
    pub next_ms: u64,
}

/// A line on which a consumer fails again and again. Only the lines of its client wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailingLine {
    /// The client's id.
    pub client: Arc<str>,
    /// The line's offset.
    pub offset: u64,
    /// Wall clock at which it began, in milliseconds since the Unix epoch.
    pub since_ms: u64,
    /// The failure, in words.
    pub why: String,
}

impl fmt::Display for FailingLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { client, offset, since_ms, why } = self;
        let (client, since) = (client.escape_debug(), Rfc3339(*since_ms));
        write!(f, "fails at {offset}, a line of \"{client}\", since {since}: {why}")
    }
}

/// Why a consumer is not renamed or removed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConsumerError {
    /// No consumer has this name.
    #[error("there is no consumer \"{}\"", .0.escape_debug())]
    Unknown(String),
    /// Another one has the new name.
    #[error(
        "there is a consumer \"{}\" already, which has come to offset {offset}: remove that one first, or choose \
         another name", .name.escape_debug()
    )]
    Taken {
        /// The name.
        name: String,
        /// The other one's place.
        offset: u64,
    },
    /// It runs in this process.
    #[error(
        "consumer \"{}\" is a part of the server that runs: stop the server first, and change its configuration",
        .0.escape_debug()
    )]
    Running(String),
    /// The disk has no room.
    #[error("the disk of the log is full: free some space; it is done as soon as there is room")]
    DiskFull,
    /// The server is stopping, or its log has failed.
    #[error("the server is stopping")]
    Stopped,
    /// The store cannot be read or written.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// Some lines of the log, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The lines.
    pub lines: Vec<Line>,
    /// There is no line up to this offset that belongs here and is not in `lines`: where to go on.
    pub seen: u64,
}

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PageError {
    /// Lines behind this offset were deleted.
    #[error("lines up to offset {} were deleted by retention; the oldest that is there is {first}", first - 1)]
    Gone {
        /// The oldest line that is there.
        first: u64,
    },
    /// The log has not come so far: the offset is of another log, or of one that was restored from a backup.
    #[error("offset {after} is beyond the end of this log ({head}): it belongs to another one")]
    Beyond {
        /// The offset that was asked for.
        after: u64,
        /// The newest line's.
        head: u64,
    },
    /// The store cannot be read.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// Why a line is not in the log, and will not be sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// It cannot be sent as one line.
    #[error(transparent)]
    Text(#[from] BadText),
    /// It is longer than a client takes.
    #[error("the line has {len} bytes, and at most {max} can be sent: split it")]
    TooLong {
        /// Its length in bytes.
        len: usize,
        /// The limit in bytes.
        max: usize,
    },
    /// As many lines wait for this client as may.
    #[error(
        "{waiting} lines wait for \"{client}\" already: send again when it has acknowledged some"
    )]
    OutboxFull {
        /// The client's id.
        client: String,
        /// Lines that wait.
        waiting: usize,
    },
    /// The key came with other lines before.
    #[error(
        "the key \"{}\" came with other lines to \"{}\" within the last 24 h, and nothing is added: give these a key \
         of their own", .key.escape_debug(), .client.escape_debug()
    )]
    KeyReused {
        /// The client's id.
        client: String,
        /// The key.
        key: String,
    },
    /// The disk has no room for it.
    #[error("the disk of the log is full: free some space, and send again")]
    DiskFull,
    /// The store that servers share does not answer now.
    #[error("the store of the log does not answer now: send again")]
    Unavailable,
    /// The server is stopping, or its log has failed.
    #[error("the server is stopping")]
    Stopped,
}

/// Lines to clients that are in the log.
#[derive(Debug)]
pub struct Sent {
    /// Row of the last line, among all lines to this client.
    pub row: u64,
    /// The key was known: the lines are those of an earlier request, and were not added again.
    pub repeated: bool,
    /// Ready when the client has acknowledged the last line, and the log knows it. An error: the server stops;
    /// the next one delivers the lines.
    pub done: oneshot::Receiver<()>,
}

/// A line to be put into the log for a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// The client's id.
    pub client: Arc<str>,
    /// The text, without a newline.
    pub text: Arc<str>,
    /// Its promise.
    pub delivery: Delivery,
}

/// A step of a consumer, which becomes durable as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// The consumer's name.
    pub consumer: Arc<str>,
    /// All lines of all clients up to here are consumed.
    pub offset: u64,
    /// Lines of these clients are consumed up to there, ahead of `offset`.
    pub clients: Vec<(Arc<str>, u64)>,
    /// Lines to clients that follow from the lines that were consumed.
    pub outgoing: Vec<Outgoing>,
}

/// Where a new consumer begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum From {
    /// With the lines that come from now on.
    #[default]
    Now,
    /// With the oldest line of the log.
    Oldest,
}

/// Relation of a consumer to this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It runs here.
    Here {
        /// Lines are kept until it has them.
        required: bool,
    },
    /// It runs elsewhere, and has only its place here. It holds nothing back.
    Elsewhere,
}

/// The place of a consumer that has registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// All lines up to here are consumed.
    pub offset: u64,
    /// Lines of these clients are consumed up to there.
    pub clients: Vec<(Arc<str>, u64)>,
}
