//! The control API of `pblink serve`: HTTP and server-sent events on 127.0.0.1.
//!
//! `pblink monitor`, curl and other programs all read the same things here. `docs/API.md` has all of it:
//!
//! | path | answer |
//! |---|---|
//! | `/healthz`, `/readyz` | `ok`; `readyz`: 503 while lines have to wait |
//! | `/metrics` | Prometheus text format |
//! | `/api/v1/server` | [`ServerAnswer`] |
//! | `/api/v1/links` | list of [`LinkInfo`] |
//! | `/api/v1/links/{id}` | one [`LinkInfo`], or 404 |
//! | `DELETE /api/v1/links/{id}` | all that is kept of a client that is not connected goes for good |
//! | `/api/v1/outbox?client=ID` | lines that a restore has left undetermined: [`HeldLine`]; `POST` sends, `DELETE` drops them: [`Decided`] |
//! | `POST /api/v1/links/{id}/lines` | lines to a client: [`Accepted`] |
//! | `GET /api/v1/links/{id}/lines` | those that wait for it: [`WaitingLine`] |
//! | `/api/v1/lines?after=OFFSET&client=ID&limit=N&wait=30s` | [`LinePage`], CSV, or server-sent events |
//! | `/api/v1/consumers`, `GET`, `PUT`, `DELETE /api/v1/consumers/{name}` | [`ConsumerList`], [`ConsumerInfo`] |
//! | `POST /api/v1/consumers/{name}/skip?client=ID` | passes over the line at which a consumer fails: [`Passed`] |
//! | `POST /api/v1/consumers/{name}/rename?to=NAME` | gives it another name: [`ConsumerInfo`] |
//! | `/api/v1/events?since=SEQ` | server-sent events: history after `SEQ`, then live |
//! | `/api/v1/outages?since=TIME&client=ID&after=REVISION` | [`OutageList`]; CSV for `Accept: text/csv` |
//! | `/api/v1/reports?since=TIME&client=ID&after=REVISION` | [`ReportList`]; CSV for `Accept: text/csv` |
//! | `/api/v1/session` | trades the token for a browser's cookie |
//!
//! `TIME` is a length back from now (`24h`), RFC 3339 (`2026-03-01T12:00:00Z`) or milliseconds since 1970. An
//! outage that lasts has `ended`, `ended_ms` and `lasted_ms` null. `after` gives what is new or has changed
//! since an answer with that `revision`; revisions start again with every run of the server. With a log on disk it
//! knows what happened in earlier runs, and the numbers of events go on.
//!
//! Reading is free on this machine; all else needs the [`Token`], see [`Access`]. The API knows the server through [`Source`], so that `serve`, `demo` and tests
//! can each stand behind it. Events pass through a [`History`], which never makes the server wait:
//! a reader that is too slow loses events and learns their number. Outages and reports are derived from them
//! in the history itself ([`Records`]), so that all readers see the same, however late they come.

mod answers;
mod client;
mod consumer;
mod history;
mod http;
mod local;
mod metrics;
mod records;
mod token;

pub use crate::times::Rfc3339;
pub use answers::{
    Accepted, Decided, EventList, HeldLine, LastLine, Likely, LinePage, LineRecord, LinkInfo,
    LogInfo, Observed, Refused, RefusedConnection, ServerAnswer, VERSION, WaitingLine,
};
pub use client::{Client, ClientError, EventQuery, LineQuery, Outgoing};
pub use consumer::{ConsumerInfo, ConsumerKind, ConsumerList, Failing, Passed, Stalled};
pub use history::{EventStream, History, Notice};
#[cfg(feature = "nats")]
pub use http::Visitors;
pub use http::{Access, BindError, ControlServer, routes};
#[cfg(feature = "nats")]
pub(crate) use http::{CONNECTIONS, no_leader};
pub use local::follow_source;
pub use metrics::metrics;
pub use records::{
    End, Filter, Finding, LinkReports, Outage, OutageList, Records, ReportList, Sample,
};
#[cfg(feature = "nats")]
pub(crate) use token::random_hex;
pub use token::{Token, TokenError};

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use pblink_server::{Event, EventKind, LinkStatus, Refusal};
use serde::{Deserialize, Serialize};

pub use crate::log::GatewayInfo;
use crate::log::Log;

/// Address on which the control API listens by default.
pub const DEFAULT_ADDRESS: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8124);

/// Interval at which a follower asks for the counters, which no event announces.
const POLL: Duration = Duration::from_secs(1);

/// Delay before a follower asks again after an event that changes a link's state. Not at once: a
/// history of a thousand events would otherwise cause a thousand polls.
const POLL_SOON: Duration = Duration::from_millis(200);

/// Updates that wait for a reader. A full queue holds the follower up, never the server.
const QUEUE: usize = 256;

/// Source of what the control API shows. All calls return at once.
pub trait Source: Send + Sync + 'static {
    /// Returns the server's description.
    fn info(&self) -> ServerInfo;

    /// Returns all links, expected ones that never connected included.
    fn links(&self) -> Vec<LinkStatus>;

    /// Returns one link.
    fn link(&self, id: &str) -> Option<LinkStatus> {
        self.links().into_iter().find(|link| link.id == id)
    }

    /// Returns the history: events, outages and reports.
    fn history(&self) -> &History;

    /// Returns the log of lines, if there is one.
    fn log(&self) -> Option<&Log> {
        None
    }

    /// Returns the last connection of a link's client that was refused, if none was admitted since.
    fn last_refused(&self, _id: &str) -> Option<RefusedConnection> {
        None
    }

    /// Returns the gateway by which the client of a link has come, if servers share the log.
    fn gateway_of(&self, _link: &LinkStatus) -> Option<String> {
        None
    }

    /// Returns the number of refused connections, by reason.
    fn refused(&self) -> Vec<(Refusal, u64)> {
        Vec::new()
    }
}

/// The server itself, as `/api/v1/server` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerInfo {
    /// Version of the server program.
    pub version: String,
    /// Address that the boards connect to.
    pub listen: String,
    /// The link's time-out in milliseconds.
    pub timeout_ms: u64,
    /// The application that handles lines, such as `echo`.
    pub app: String,
    /// Wall clock of the start, milliseconds since the Unix epoch. It also distinguishes one run of the
    /// server from the next: without a log on disk event numbers start again with every run, and with one those
    /// of the last second before a kill may be given again.
    pub started_at_ms: u64,
    /// Time since the start, in milliseconds.
    pub uptime_ms: u64,
    /// Links that are up.
    pub links_up: u64,
    /// Links, expected ones that never connected included.
    pub links_total: u64,
    /// Number of the newest event of an earlier run that this one knows from its log; 0 if it knows none. Whoever
    /// has seen that one has only those that follow to ask for.
    #[serde(default)]
    pub recalled: u64,
    /// Servers that share the log, the one that leads first; none if it is this one's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gateways: Vec<GatewayInfo>,
}

/// Update for a follower. Updates come in order.
#[derive(Debug, Clone)]
pub enum Update {
    /// The server answers: sent after each connect, and about once a second from then on.
    Server(ServerInfo),
    /// All links, about once a second.
    Links(Vec<LinkStatus>),
    /// The last line of each client that has sent one, by id, right after the links.
    LastLines(Vec<(String, LastLine)>),
    /// The gateway by which each client has come, by id, right after the links; none if the log is the server's own.
    Gateways(Vec<(String, String)>),
    /// The consumers of the log, right after the last lines; none if the server keeps no log.
    Consumers(Vec<ConsumerInfo>),
    /// Outages that began or changed: all that the server knows after the first connect to one of its runs, then
    /// about once a second those that are new or have changed.
    Outages(Vec<Outage>),
    /// Reports that came: all that the server knows after the first connect to one of its runs, then about once a
    /// second new ones.
    Reports(Vec<LinkReports>),
    /// Something happened. Outages and reports need not be derived from this.
    Event(Arc<Event>),
    /// This many events were missed.
    Missed(u64),
    /// The server cannot be reached; the follower tries again by itself.
    Lost {
        /// Reason, in a few words.
        reason: String,
        /// Time until the next try.
        retry_in: Duration,
    },
}

/// Returns true if an event changes a link's state, which waiting for the next poll would show late.
fn changes_state(kind: &EventKind) -> bool {
    use EventKind::{Board, Connected, OutageBegan, OutageEnded};
    matches!(kind, Connected { .. } | OutageBegan { .. } | OutageEnded { .. } | Board { .. })
}
