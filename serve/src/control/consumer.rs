//! Consumers of the log, as the control API shows them.

use serde::{Deserialize, Serialize};

use crate::log::{ConsumerStatus, FailingLine, Stall};
use crate::times::Rfc3339;

/// The beginning of the names under which the log keeps those that come by HTTP: no part of the server has such a name.
const HTTP: &str = "http:";

/// The longest name in bytes.
const NAME: usize = 64;

/// A consumer of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsumerInfo {
    /// Its name.
    pub name: String,
    /// `http`: it keeps its cursor here by `PUT`. `server`: it is a part of the server.
    pub kind: ConsumerKind,
    /// Lines are kept until it has them.
    pub required: bool,
    /// It runs in the server.
    pub running: bool,
    /// Offset of the last line that it has consumed.
    pub offset: u64,
    /// Lines behind that.
    pub lag: u64,
    /// Lines on which it fails again and again, one for each client, by client; at most 100 of them.
    #[serde(default)]
    pub failing: Vec<Failing>,
    /// Clients whose lines wait because of such a line.
    #[serde(default)]
    pub failing_clients: u64,
    /// The reason why it cannot go on at all, while it cannot. All lines wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stalled: Option<Stalled>,
}

/// The reason why a consumer cannot go on, such as a broker that is away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stalled {
    /// Time at which it began, RFC 3339 in UTC.
    pub since: String,
    /// The same in milliseconds since the Unix epoch.
    pub since_ms: u64,
    /// The last failure, in words.
    pub why: String,
    /// Time at which it tries again, RFC 3339 in UTC.
    pub next: String,
    /// The same in milliseconds since the Unix epoch.
    pub next_ms: u64,
}

impl Stalled {
    fn of(stall: &Stall) -> Self {
        Self {
            since: Rfc3339(stall.since_ms).to_string(),
            since_ms: stall.since_ms,
            why: stall.why.clone(),
            next: Rfc3339(stall.next_ms).to_string(),
            next_ms: stall.next_ms,
        }
    }
}

/// A line on which a consumer fails again and again. The lines of its client wait.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failing {
    /// The client's id.
    pub client: String,
    /// The line's offset.
    pub offset: u64,
    /// Time at which it began, RFC 3339 in UTC.
    pub since: String,
    /// The same in milliseconds since the Unix epoch.
    pub since_ms: u64,
    /// The failure, in words.
    pub why: String,
}

/// A line that a consumer passes over because someone asked for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Passed {
    /// The consumer's name.
    pub consumer: String,
    /// The client's id.
    pub client: String,
    /// The line's offset.
    pub offset: u64,
}

impl ConsumerInfo {
    /// Returns what is shown of a consumer of the log.
    pub fn of(status: &ConsumerStatus) -> Self {
        let http = status.name.strip_prefix(HTTP);
        Self {
            name: http.unwrap_or(&status.name).to_owned(),
            kind: if http.is_some() { ConsumerKind::Http } else { ConsumerKind::Server },
            required: status.required,
            running: status.running,
            offset: status.offset,
            lag: status.lag,
            failing: status.failing.iter().map(Failing::of).collect(),
            failing_clients: status.failing_clients,
            stalled: status.stalled.as_ref().map(Stalled::of),
        }
    }

    /// Returns the name under which the log keeps a consumer of this kind.
    pub fn key(kind: ConsumerKind, name: &str) -> String {
        match kind {
            ConsumerKind::Http => format!("{HTTP}{name}"),
            ConsumerKind::Server => name.to_owned(),
        }
    }

    /// Returns the consumer of this name: one that comes by HTTP takes precedence over a part of the server.
    pub fn find(consumers: &[ConsumerStatus], name: &str) -> Option<Self> {
        let key = |kind| Self::key(kind, name);
        let (http, server) = (key(ConsumerKind::Http), key(ConsumerKind::Server));
        let by = |key: &str| consumers.iter().find(|consumer| *consumer.name == *key);
        by(&http).or_else(|| by(&server)).map(Self::of)
    }

    /// Checks a name that a consumer is to have.
    ///
    /// # Errors
    /// The rule for names, if this is none.
    pub fn check_name(name: &str) -> Result<(), &'static str> {
        let fits = |b: u8| b.is_ascii_alphanumeric() || b"_.-".contains(&b);
        match (1..=NAME).contains(&name.len()) && name.bytes().all(fits) {
            true => Ok(()),
            false => Err("a consumer's name has 1 to 64 letters, digits and the signs _ . -"),
        }
    }
}

impl Failing {
    fn of(line: &FailingLine) -> Self {
        Self {
            client: line.client.to_string(),
            offset: line.offset,
            since: Rfc3339(line.since_ms).to_string(),
            since_ms: line.since_ms,
            why: line.why.clone(),
        }
    }
}

/// The kind of a consumer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConsumerKind {
    /// A program somewhere, with its cursor here.
    Http,
    /// A part of the server.
    Server,
}

/// All consumers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsumerList {
    /// The log's name.
    pub log: String,
    /// Offset of the newest line.
    pub head: u64,
    /// The consumers, by name.
    pub consumers: Vec<ConsumerInfo>,
}
