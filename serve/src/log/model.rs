//! The values that the log keeps: lines, sessions, lines to boards, cursors and events.

use std::sync::Arc;

use pblink_server::Delivery;
use serde::{Deserialize, Serialize};

use super::json::{hex, promise};

/// A line from a client, as the log keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Its place in the log. Offsets count up from 1, without gaps, over all clients.
    pub offset: u64,
    /// The client's id.
    pub client: Arc<str>,
    /// Times that the client's program was seen to begin anew before it, and 1. For classic links it
    /// distinguishes rows; a board does not know it.
    pub epoch: u64,
    /// Its place among the lines and reports of its epoch, from 1. Over a secure link the board has given it, and 0 is a line
    /// that was sent as best effort.
    pub seq: u64,
    /// Wall clock of its arrival in the log, in milliseconds since the Unix epoch. For people: the order is the
    /// offset.
    pub at_ms: u64,
    /// Line or report.
    pub kind: Kind,
    /// When the board's program wrote it, in milliseconds since the Unix epoch: only over a secure link.
    pub written_ms: Option<u64>,
    /// The text, without its newline.
    pub text: Arc<str>,
}

impl Line {
    /// Bytes that a line counts for beside its text.
    pub(super) const OVERHEAD: u64 = 96;

    /// Returns the bytes that the line counts for when the log is kept within its size.
    pub(super) fn weight(&self) -> u64 {
        self.text.len() as u64 + Self::OVERHEAD
    }
}

/// The kind of a [`Line`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Written by the board's program.
    Line,
    /// A report of the ESP8266. It has a row since its number is acknowledged; consumers pass over it.
    Report,
}

/// The session of a client between two connections, and between two processes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SessionRow {
    /// The state of the link, as [`SessionState::encode`](pblink_server::SessionState::encode) writes it. `None`: the
    /// client has never sent a line.
    #[serde(with = "hex", default, skip_serializing_if = "Option::is_none")]
    pub state: Option<Vec<u8>>,
    /// The epoch of its last line.
    pub epoch: u64,
    /// The place of its last line in its epoch.
    pub seq: u64,
    /// The row number of the last line to it, done or not.
    pub last_row: u64,
    /// The offset of the last line from it, reports apart; 0 if none is known. The line may have been deleted since.
    pub last_line: u64,
    /// Wall clock of its arrival, in milliseconds since the Unix epoch.
    pub last_line_ms: u64,
}

/// A line to a client that is not done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutboxRow {
    /// The client's id.
    pub client: Arc<str>,
    /// Its place among all lines to this client, from 1.
    pub row: u64,
    /// Wall clock of its arrival in the log, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// The text, without its newline.
    pub text: Arc<str>,
    /// Its promise.
    #[serde(with = "promise")]
    pub delivery: Delivery,
}

/// The name under which a sender may repeat a request without sending its lines twice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRow {
    /// The client's id.
    pub client: Arc<str>,
    /// The key.
    pub key: Arc<str>,
    /// The row of the last line that came with it.
    pub row: u64,
    /// Wall clock, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// A digest of the lines that came with it; 0: not known.
    pub digest: i64,
}

/// The place that a consumer has reached.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Cursor {
    /// The consumer's name.
    pub consumer: Arc<str>,
    /// The client whose lines it has consumed up to there; empty for those of all clients.
    pub client: Arc<str>,
    /// The offset of the last line that needs no second look.
    pub offset: u64,
}

/// An event, as the log keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventRow {
    /// Its place among all events, from 1.
    pub id: u64,
    /// Wall clock, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// The event as JSON, without its number.
    pub json: String,
    /// Its class: each has a limit of its own.
    pub class: EventClass,
}

/// The kind of an event where room is short.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventClass {
    /// Events of links and server. Kept for as long as retention says.
    #[default]
    Other,
    /// A hundred boards that report would push an outage out within hours.
    Report,
    /// Whoever finds the port could push out everything.
    Stranger,
}

impl EventRow {
    /// Returns true if the event is one of this client.
    pub(super) fn is_of(&self, client: &str) -> bool {
        let event = serde_json::from_str::<serde_json::Value>(&self.json);
        event.is_ok_and(|event| event["id"] == client)
    }
}

/// Everything that becomes durable together, or not at all.
///
/// Servers that share a log send it to each other as JSON, in which what is empty is left out, and what is not known is passed
/// over.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Commit {
    /// Clients that were forgotten: their sessions go, before anything else is stored.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub forgotten: Vec<Arc<str>>,
    /// Lines, in the order of their offsets, which continue those of the last commit.
    #[serde(skip_serializing_if = "Vec::is_empty", with = "lines")]
    pub lines: Vec<Line>,
    /// Sessions as they are from here on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sessions: Vec<(Arc<str>, SessionRow)>,
    /// Lines to clients that come in.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub outbox: Vec<OutboxRow>,
    /// Undetermined lines that go, by client and row. One that is to be sent is among `outbox` at the same
    /// time, with a new row.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub released: Vec<(Arc<str>, u64)>,
    /// Lines to clients that go: for each client, up to and including this row.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub done: Vec<(Arc<str>, u64)>,
    /// Lines to clients that are undetermined from here on: for each client, up to and including this row.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub undetermined: Vec<(Arc<str>, u64)>,
    /// Keys of requests.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<KeyRow>,
    /// Cursors as they are from here on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cursors: Vec<Cursor>,
    /// Consumers whose cursors go.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub removed: Vec<Arc<str>>,
    /// Events, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<EventRow>,
    /// Wall clock (ms since the Unix epoch) at which the server was alive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alive_ms: Option<u64>,
    /// Rest of the time, in milliseconds, for which nothing is deleted for its age.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hold_ms: Option<u64>,
}

impl Commit {
    /// Returns true if there is nothing to store.
    pub fn is_empty(&self) -> bool {
        self.forgotten.is_empty()
            && self.lines.is_empty()
            && self.sessions.is_empty()
            && self.outbox.is_empty()
            && self.released.is_empty()
            && self.done.is_empty()
            && self.undetermined.is_empty()
            && self.keys.is_empty()
            && self.cursors.is_empty()
            && self.removed.is_empty()
            && self.events.is_empty()
            && self.alive_ms.is_none()
            && self.hold_ms.is_none()
    }
}

/// The contents of a log when it is opened.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loaded {
    /// The log's name: a random id, and a generation that each restore from a backup raises.
    pub name: LogName,
    /// Offset of the oldest line that is there, or of the next one if there is none.
    pub first: u64,
    /// Offset of the next line.
    pub next: u64,
    /// Id of the next event.
    pub next_event: u64,
    /// All sessions.
    pub sessions: Vec<(Arc<str>, SessionRow)>,
    /// All lines to clients that are not done, in the order of their rows.
    pub outbox: Vec<OutboxRow>,
    /// Lines to clients that a restore from a backup has brought, or that were sent to a board which has lost its memory: nobody
    /// knows whether they have arrived. They are held until someone has them sent or dropped, see [`Commit::released`].
    pub undetermined: Vec<OutboxRow>,
    /// Keys of requests.
    pub keys: Vec<KeyRow>,
    /// All cursors.
    pub cursors: Vec<Cursor>,
    /// Wall clock (ms since the Unix epoch) at which a server was last known to be alive; 0: never.
    pub alive_ms: u64,
    /// Rest of the time, in milliseconds, for which nothing was to be deleted for its age.
    pub hold_ms: u64,
}

/// The marks of the last server in a log that was opened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Past {
    /// When a server was last known to be alive, in milliseconds since the Unix epoch; 0: never.
    pub alive_ms: u64,
    /// Number of the newest event in the log; 0: there never was one.
    pub last_event: u64,
    /// Clients whose sessions could not be read, with the reason: their links begin anew.
    pub damaged: Vec<(String, String)>,
}

/// The identity of a log: offsets of another one mean nothing here.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LogName {
    /// A random id, in hex digits.
    pub id: String,
    /// 1, and one more after each restore from a backup.
    pub generation: u64,
}

impl std::fmt::Display for LogName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.id, self.generation)
    }
}

/// Lines, each as a list: there are so many of them that names would be most of it.
mod lines {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::{Kind, Line};

    #[derive(Serialize, Deserialize)]
    struct Listed(u64, Arc<str>, u64, u64, u64, Kind, Option<u64>, Arc<str>);

    pub(super) fn serialize<S: Serializer>(lines: &[Line], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(lines.iter().map(|line| {
            let (client, text) = (Arc::clone(&line.client), Arc::clone(&line.text));
            let Line { offset, epoch, seq, at_ms, kind, written_ms, .. } = *line;
            Listed(offset, client, epoch, seq, at_ms, kind, written_ms, text)
        }))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Line>, D::Error> {
        let lines = Vec::<Listed>::deserialize(from)?.into_iter();
        let line = |Listed(offset, client, epoch, seq, at_ms, kind, written_ms, text)| Line {
            offset,
            client,
            epoch,
            seq,
            at_ms,
            kind,
            written_ms,
            text,
        };
        Ok(lines.map(line).collect())
    }
}
