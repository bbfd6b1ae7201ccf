//! The answers of the control API about lines, links, consumers and the server.

use pblink_server::{Cause, Delivery, Event, Layer, LinkState, LinkStatus, Refusal};
use serde::{Deserialize, Serialize};

use super::{ServerInfo, Source};
use crate::log::{Kind, Line, Log, OutboxRow};
use crate::times::Rfc3339;

/// Version of the JSON. What is added does not raise it.
pub const VERSION: u32 = 1;

/// A line of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineRecord {
    /// Its place in the log.
    pub offset: u64,
    /// The client's id.
    pub client: String,
    /// Times that the client's program was seen to begin anew, and 1.
    pub epoch: u64,
    /// Its place in its epoch, from 1.
    pub seq: u64,
    /// Line or report.
    pub kind: Kind,
    /// Wall clock of its arrival, RFC 3339 in UTC.
    pub time: String,
    /// The same in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// When the board's program wrote it, in milliseconds since the Unix epoch; null: only the secure link says that.
    #[serde(default)]
    pub written_ms: Option<u64>,
    /// The text, without its newline.
    pub text: String,
}

impl From<&Line> for LineRecord {
    fn from(line: &Line) -> Self {
        Self {
            offset: line.offset,
            client: line.client.to_string(),
            epoch: line.epoch,
            seq: line.seq,
            kind: line.kind,
            time: Rfc3339(line.at_ms).to_string(),
            at_ms: line.at_ms,
            written_ms: line.written_ms,
            text: line.text.to_string(),
        }
    }
}

/// Lines of the log, in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinePage {
    /// The log's name: offsets of another one mean nothing here.
    pub log: String,
    /// Offset of the oldest line that is there.
    pub first: u64,
    /// Offset of the newest line.
    pub head: u64,
    /// Where to go on: the `after` of the next request. It goes on even if no line fits.
    pub after: u64,
    /// The lines.
    pub lines: Vec<LineRecord>,
}

/// Lines to a client that the log has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// Row of the last line, among all lines to this client.
    pub row: u64,
    /// Lines of the request.
    pub lines: u64,
    /// The key was known: nothing was added.
    pub repeated: bool,
    /// The client has acknowledged all of them.
    pub acknowledged: bool,
}

/// A link: its status, what the server itself has seen of it, and what is likely behind that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkInfo {
    /// State and counters.
    #[serde(flatten)]
    pub status: LinkStatus,
    /// False if clients are expected, and this one is not among them: it may be one that is not listed any more.
    #[serde(default = "yes")]
    pub expected: bool,
    /// State as the server knows it: it sees TCP only.
    pub observed: Observed,
    /// The last connection with this id that the server has refused since it admitted one.
    #[serde(default)]
    pub refused: Option<RefusedConnection>,
    /// Layer that is likely down: a guess, corrected by what the board reports when it is back.
    pub likely: Option<Likely>,
    /// Lines to the client that it has not acknowledged, those included that are not sent yet.
    pub waiting: u64,
    /// The last line from it.
    pub last_line: Option<LastLine>,
    /// The gateway by which it has come, if servers share the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<String>,
}

/// A connection that the server has refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedConnection {
    /// The reason.
    pub reason: Refusal,
    /// Its address.
    pub peer: String,
    /// Time, RFC 3339 in UTC.
    pub time: String,
    /// The same in milliseconds since the Unix epoch.
    pub at_ms: u64,
}

impl RefusedConnection {
    pub(crate) fn new(reason: Refusal, peer: String, at_ms: u64) -> Self {
        Self { reason, peer, time: Rfc3339(at_ms).to_string(), at_ms }
    }
}

/// Returns the value of a field that an older server does not have.
const fn yes() -> bool {
    true
}

/// The last line of a client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastLine {
    /// Its place in the log.
    pub offset: u64,
    /// Wall clock of its arrival, RFC 3339 in UTC.
    pub time: String,
    /// The same in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// Milliseconds since then.
    pub age_ms: u64,
    /// The text; null if the line was deleted before this run of the server.
    pub text: Option<String>,
}

impl LastLine {
    /// Returns the text, for people.
    pub fn shown(&self) -> &str {
        self.text.as_deref().unwrap_or("(deleted)")
    }
}

/// State of a link as the server has seen it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Observed {
    /// Connected.
    Up,
    /// Not connected, and its last try was refused.
    Refused,
    /// Never connected.
    NeverConnected,
    /// Connected, and silent for longer than the time-out.
    NoSignal,
    /// The other side closed the connection.
    ClosedByOtherSide,
    /// The connection was reset.
    Reset,
    /// The other side takes no bytes.
    NotReading,
    /// The server closed the connection.
    ClosedHere,
    /// Any other.
    #[serde(other)]
    Other,
}

/// Layer that is likely down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Likely {
    /// The wires between STM32 and ESP8266.
    Wires,
    /// The ESP8266.
    Esp8266,
    /// The WiFi, or the board's power.
    WifiOrPower,
    /// The server.
    Server,
    /// Any other.
    #[serde(other)]
    Other,
}

impl LinkInfo {
    /// Returns all about a link that its source and a clock add to its status.
    pub fn of(status: LinkStatus, source: &dyn Source, now_ms: u64) -> Self {
        let (log, refused) = (source.log(), source.last_refused(&status.id));
        let expected = !source.history().is_stranger(&status.id);
        let lines = log.map(|log| log.client(&status.id)).unwrap_or_default();
        let last_line = lines.last.map(|line| LastLine {
            offset: line.offset,
            time: Rfc3339(line.at_ms).to_string(),
            at_ms: line.at_ms,
            age_ms: now_ms.saturating_sub(line.at_ms),
            text: line.text.as_deref().map(str::to_owned),
        });
        let (observed, likely) = match status.state {
            LinkState::Up => (Observed::Up, None),
            // All layers of a board that is refused work.
            _ if refused.is_some() => (Observed::Refused, None),
            LinkState::Waiting => (Observed::NeverConnected, None),
            LinkState::Down { layer, cause } => (observed(cause), Some(likely(layer))),
        };
        // Without a log it is the session that has them.
        let waiting = if log.is_some() { lines.waiting as u64 } else { status.unacked };
        let gateway = source.gateway_of(&status);
        Self { status, expected, observed, refused, likely, waiting, last_line, gateway }
    }
}

fn observed(cause: Cause) -> Observed {
    match cause {
        Cause::Silent => Observed::NoSignal,
        Cause::ClosedByPeer => Observed::ClosedByOtherSide,
        Cause::Reset => Observed::Reset,
        Cause::SlowReader => Observed::NotReading,
        Cause::LineTooLong
        | Cause::TakenOver
        | Cause::ClosedByApplication
        | Cause::NotExpected
        | Cause::Shutdown => Observed::ClosedHere,
        _ => Observed::Other,
    }
}

fn likely(layer: Layer) -> Likely {
    match layer {
        Layer::Wires => Likely::Wires,
        Layer::Coprocessor => Likely::Esp8266,
        Layer::Wifi => Likely::WifiOrPower,
        Layer::Server => Likely::Server,
    }
}

/// Events of the past.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventList {
    /// Number of the newest event that there is, whether it was asked for or not.
    #[serde(default)]
    pub last: u64,
    /// The events, oldest first. They are numbered over all runs of a server whose log outlives it.
    pub events: Vec<Event>,
}

/// A line to a client that a restore from a backup has left: nobody knows whether it was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldLine {
    /// The client's id.
    pub client: String,
    /// Its place among all lines to this client.
    pub row: u64,
    /// Time of its arrival in the log, RFC 3339 in UTC.
    pub time: String,
    /// The same in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// The text.
    pub text: String,
}

impl From<OutboxRow> for HeldLine {
    fn from(row: OutboxRow) -> Self {
        Self {
            client: row.client.to_string(),
            row: row.row,
            time: Rfc3339(row.at_ms).to_string(),
            at_ms: row.at_ms,
            text: row.text.to_string(),
        }
    }
}

/// A line that waits for a client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitingLine {
    /// The client's id.
    pub client: String,
    /// Its place among all lines to this client; undetermined ones are counted by themselves.
    pub row: u64,
    /// Time of its arrival in the log, RFC 3339 in UTC.
    pub time: String,
    /// The same in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// `guaranteed`, `unordered` or `best_effort`.
    pub delivery: String,
    /// A restore from a backup has left it: it is held until someone has it sent or dropped.
    pub undetermined: bool,
    /// The text.
    pub text: String,
}

impl WaitingLine {
    /// Returns what is shown of a line.
    pub fn of(row: &OutboxRow, undetermined: bool) -> Self {
        let delivery = match row.delivery {
            Delivery::Guaranteed { ordered: true } => "guaranteed",
            Delivery::Guaranteed { ordered: false } => "unordered",
            Delivery::BestEffort => "best_effort",
        };
        Self {
            client: row.client.to_string(),
            row: row.row,
            time: Rfc3339(row.at_ms).to_string(),
            at_ms: row.at_ms,
            delivery: delivery.to_owned(),
            undetermined,
            text: row.text.to_string(),
        }
    }
}

/// The outcome of a decision on undetermined lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decided {
    /// Lines that were sent, or dropped.
    pub lines: u64,
}

/// The log at a glance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogInfo {
    /// Its name: id and generation.
    pub name: String,
    /// It outlives the server.
    pub durable: bool,
    /// Offset of the oldest line.
    pub first: u64,
    /// Offset of the newest line.
    pub head: u64,
    /// Commits since the start.
    pub commits: u64,
    /// Why lines have to wait at their boards, if they have to.
    pub held: Option<String>,
    /// Lines to clients that are not done.
    pub waiting: u64,
}

impl LogInfo {
    /// Returns the state of a log.
    pub fn of(log: &Log) -> Self {
        let status = log.status();
        Self {
            name: log.name().to_string(),
            durable: log.is_durable(),
            first: log.first(),
            head: log.head(),
            commits: status.commits,
            held: status.held,
            waiting: status.waiting,
        }
    }
}

/// The server, as `/api/v1/server` describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerAnswer {
    /// `pblink`.
    pub program: String,
    /// Version of the JSON.
    pub api: u32,
    /// The server.
    #[serde(flatten)]
    pub info: ServerInfo,
    /// Its log.
    pub log: Option<LogInfo>,
    /// The file in which programs of the server's own user find its token. Only told on its own machine.
    pub token_file: Option<String>,
}

/// A refusal of the control API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// The mistake, and its remedy.
    pub error: String,
    /// The log's name, where offsets are concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<String>,
    /// Offset of the oldest line that is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<u64>,
    /// Offset of the newest line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<u64>,
}
