//! Events as they happen: what a server reports about its links.
//!
//! These types are also the JSON of `pblink serve`'s control API, so their field names are public.

use pblink_protocol::app::happening::RestartCause;
use pblink_protocol::layer::Layer;
use pblink_protocol::report::Report;
use serde::{Deserialize, Serialize};

/// One thing that happened, in the order in which it happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Counts up from 1 for as long as the server lives, so that a reader sees a gap when it lagged.
    pub seq: u64,
    /// Wall clock, milliseconds since the Unix epoch. For display only: nothing is timed with it.
    pub at_ms: u64,
    /// The kind of the event.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// The kind of an event, and the data that belong to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum EventKind {
    /// The server accepts connections at `address`.
    Listening {
        /// Local address with port.
        address: String,
    },
    /// The server stopped.
    Stopped,
    /// No server was running. The one that comes next says so, from what the last one has left.
    ServerWasDown {
        /// Wall clock of its begin, milliseconds since the Unix epoch.
        began_ms: u64,
        /// Its length in milliseconds.
        lasted_ms: u64,
        /// True if the last server was stopped, false if it ended otherwise: it was killed, or the machine lost its
        /// power. The begin is then the last time at which it was known to be alive.
        stopped: bool,
    },
    /// The wall clock was set by more than a minute: times before and after it do not compare.
    ClockStepped {
        /// The time that it should have been, milliseconds since the Unix epoch.
        from_ms: u64,
        /// The time that it was instead.
        to_ms: u64,
    },
    /// The session of a client could not be read from the store: its link began anew. A line that was under way may come
    /// twice.
    SessionDamaged {
        /// The client's id.
        id: String,
        /// Its fault, in words.
        why: String,
    },
    /// A client connected for the first time.
    Connected {
        /// The client's id.
        id: String,
        /// Its address.
        peer: String,
    },
    /// A link went down. Lines are kept, and continue after the outage.
    OutageBegan {
        /// The client's id.
        id: String,
        /// Why the server thinks so.
        cause: Cause,
        /// The layer that is most likely down.
        layer: Layer,
    },
    /// A link that was down is up again.
    OutageEnded {
        /// The client's id.
        id: String,
        /// Its address.
        peer: String,
        /// Length of the outage in milliseconds.
        lasted_ms: u64,
        /// Connections of this client so far, this one included.
        connects: u64,
    },
    /// A connection was closed before it became a link.
    Refused {
        /// The id it gave, if it gave one that can be shown.
        id: Option<String>,
        /// Its address.
        peer: String,
        /// Why.
        reason: Refusal,
        /// The number of connections that this stands for. The first for a reason and an address comes at once,
        /// with its port; those that follow are counted, and come in one event each ten seconds, with
        /// the id that the last one gave.
        #[serde(default = "once")]
        times: u64,
    },
    /// Clients that were neither expected nor connected were forgotten, to make room for another.
    Forgotten {
        /// Their number.
        clients: u64,
    },
    /// A line that is not a valid message, acknowledgement or keepalive was ignored.
    InvalidLine {
        /// The client's id.
        id: String,
        /// The start of the line, made printable.
        start: String,
    },
    /// A line was dropped without an acknowledgement because too many wait to be accepted; the client
    /// repeats it. No correct client brings this about, unless many fill the memory of all.
    QueueFull {
        /// The client's id.
        id: String,
    },
    /// The ESP8266's report, as forwarded by the board.
    Report {
        /// The client's id.
        id: String,
        /// The report; its fields stand beside the id in JSON.
        #[serde(flatten)]
        report: Report,
    },
    /// A board reported (or a simulated board showed) which of its layers went down or came back.
    Board {
        /// The client's id.
        id: String,
        /// The layer.
        layer: Layer,
        /// True if it works.
        up: bool,
        /// One short sentence: what happened.
        detail: String,
    },
    /// Another board has the keys of one that is here: someone has copied them, or two boards were given the same. The one that
    /// is here stays.
    TwoBoards {
        /// The client's id.
        id: String,
    },
    /// Lines to a client are *undetermined*: it has lost its memory, or the server has an older one, and nobody knows whether
    /// it has them. They are not sent again by themselves.
    Undetermined {
        /// The client's id.
        id: String,
        /// Their number.
        lines: u64,
        /// The number of the last.
        up_to: u64,
    },
    /// Lines of a client were acknowledged to it, and are not in this server's memory: it was restored from a backup, or another
    /// server has them.
    LinesMissing {
        /// The client's id.
        id: String,
        /// The number of the first, in the board's epoch.
        from: u64,
        /// The number of the last.
        to: u64,
    },
    /// The program of a client's STM32 has started, over a secure link. One that has no keys does not say so.
    BoardRestarted {
        /// The client's id.
        id: String,
        /// Its cause, as the chip knows it.
        cause: RestartCause,
    },
    /// A line of the application, for the log.
    Note {
        /// The client's id, if it concerns one.
        id: Option<String>,
        /// The text.
        text: String,
    },
}

/// Returns the number of refusals that an event of an older server stands for.
const fn once() -> u64 {
    1
}

impl EventKind {
    /// The names of all kinds, as `event` in their JSON.
    pub const NAMES: [&'static str; 19] = [
        "listening",
        "stopped",
        "server_was_down",
        "clock_stepped",
        "session_damaged",
        "connected",
        "outage_began",
        "outage_ended",
        "refused",
        "forgotten",
        "invalid_line",
        "queue_full",
        "report",
        "board",
        "two_boards",
        "undetermined",
        "lines_missing",
        "board_restarted",
        "note",
    ];

    /// Returns the name of its kind, as `event` in its JSON.
    pub fn name(&self) -> &'static str {
        let place = match self {
            Self::Listening { .. } => 0,
            Self::Stopped => 1,
            Self::ServerWasDown { .. } => 2,
            Self::ClockStepped { .. } => 3,
            Self::SessionDamaged { .. } => 4,
            Self::Connected { .. } => 5,
            Self::OutageBegan { .. } => 6,
            Self::OutageEnded { .. } => 7,
            Self::Refused { .. } => 8,
            Self::Forgotten { .. } => 9,
            Self::InvalidLine { .. } => 10,
            Self::QueueFull { .. } => 11,
            Self::Report { .. } => 12,
            Self::Board { .. } => 13,
            Self::TwoBoards { .. } => 14,
            Self::Undetermined { .. } => 15,
            Self::LinesMissing { .. } => 16,
            Self::BoardRestarted { .. } => 17,
            Self::Note { .. } => 18,
        };
        Self::NAMES[place]
    }

    /// Returns the id of the client that this event concerns, if it concerns one.
    pub fn id(&self) -> Option<&str> {
        match self {
            Self::Listening { .. }
            | Self::Stopped
            | Self::ServerWasDown { .. }
            | Self::ClockStepped { .. }
            | Self::Forgotten { .. } => None,
            Self::Refused { id, .. } | Self::Note { id, .. } => id.as_deref(),
            Self::SessionDamaged { id, .. }
            | Self::Connected { id, .. }
            | Self::OutageBegan { id, .. }
            | Self::OutageEnded { id, .. }
            | Self::InvalidLine { id, .. }
            | Self::QueueFull { id }
            | Self::Report { id, .. }
            | Self::TwoBoards { id }
            | Self::Undetermined { id, .. }
            | Self::LinesMissing { id, .. }
            | Self::BoardRestarted { id, .. }
            | Self::Board { id, .. } => Some(id),
        }
    }
}

/// Why an outage began, as seen from the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Cause {
    /// Nothing came for the time-out: WiFi is gone, or the ESP8266 crashed.
    Silent,
    /// The client closed the connection.
    ClosedByPeer,
    /// The connection was reset.
    Reset,
    /// The client takes no bytes although it is alive.
    SlowReader,
    /// The client sent a line longer than the limit.
    LineTooLong,
    /// The same client connected anew while the old connection was silent.
    TakenOver,
    /// The application closed the connection.
    ClosedByApplication,
    /// The client is not expected any more: [`Server::set_expected`](crate::Server::set_expected).
    NotExpected,
    /// Its keys were changed or revoked: [`Server::set_keys`](crate::Server::set_keys).
    KeysChanged,
    /// The server is shutting down.
    Shutdown,
    /// The server ended without being stopped: it was killed, or its machine lost the power.
    ServerDied,
}

impl std::fmt::Display for Cause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Silent => "silent for the time-out",
            Self::ClosedByPeer => "closed by the client",
            Self::Reset => "connection reset",
            Self::SlowReader => "client does not read",
            Self::LineTooLong => "line too long",
            Self::TakenOver => "client connected anew",
            Self::ClosedByApplication => "closed by the application",
            Self::NotExpected => "no longer in the list of clients",
            Self::KeysChanged => "its keys were changed or revoked",
            Self::Shutdown => "server shut down",
            Self::ServerDied => "server was killed or lost its power",
        })
    }
}

/// Why a connection was closed before it became a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Refusal {
    /// The id is not in the list of expected clients.
    UnknownId,
    /// A client with this id is connected and alive.
    Duplicate,
    /// No complete hello came within the time-out, or 5 s.
    HelloTimeout,
    /// The hello is not UTF-8, is empty, or holds control characters.
    BadHello,
    /// The id holds characters that cannot be seen or that turn text round, or begins or ends with a
    /// blank: it could not be distinguished from another.
    UnclearId,
    /// The hello is longer than the limit.
    HelloTooLong,
    /// The connection ended before its hello.
    ClosedEarly,
    /// The limit of connections or of clients is reached.
    TooMany,
    /// This address has as many connections as it may have, or as many without a hello.
    TooManyFromAddress,
    /// It has not proven within 10 s that it is the board of this id: it has other keys, or none that are known.
    Unproven,
    /// It speaks the classic link, which this id may not.
    NotSecure,
}

impl Refusal {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::UnknownId,
        Self::Duplicate,
        Self::HelloTimeout,
        Self::BadHello,
        Self::UnclearId,
        Self::HelloTooLong,
        Self::ClosedEarly,
        Self::TooMany,
        Self::TooManyFromAddress,
        Self::Unproven,
        Self::NotSecure,
    ];
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::UnknownId => "unknown id",
            Self::Duplicate => "this id is connected already",
            Self::HelloTimeout => "sent no hello in time",
            Self::BadHello => "hello is not an id",
            Self::UnclearId => "id has invisible characters, or a blank at an end",
            Self::HelloTooLong => "hello is too long",
            Self::ClosedEarly => "closed before its hello",
            Self::TooMany => "too many connections",
            Self::TooManyFromAddress => "too many connections from this address",
            Self::Unproven => "did not prove to be this board: it has other keys",
            Self::NotSecure => "speaks the classic link, which this id may not",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Cause, EventKind, Layer, Refusal, Report, RestartCause};

    #[test]
    fn a_kind_has_the_name_of_its_json() {
        let (id, peer) = ("1".to_owned(), "p".to_owned());
        let report = Report { connects: 1, number: 1, mem_free: 1 };
        let all = [
            EventKind::Listening { address: peer.clone() },
            EventKind::Stopped,
            EventKind::ServerWasDown { began_ms: 1, lasted_ms: 1, stopped: true },
            EventKind::ClockStepped { from_ms: 1, to_ms: 2 },
            EventKind::SessionDamaged { id: id.clone(), why: peer.clone() },
            EventKind::Connected { id: id.clone(), peer: peer.clone() },
            EventKind::OutageBegan { id: id.clone(), cause: Cause::Silent, layer: Layer::Wifi },
            EventKind::OutageEnded {
                id: id.clone(),
                peer: peer.clone(),
                lasted_ms: 1,
                connects: 2,
            },
            EventKind::Refused { id: None, peer, reason: Refusal::BadHello, times: 1 },
            EventKind::Forgotten { clients: 1 },
            EventKind::InvalidLine { id: id.clone(), start: "x".to_owned() },
            EventKind::QueueFull { id: id.clone() },
            EventKind::Report { id: id.clone(), report },
            EventKind::Board {
                id: id.clone(),
                layer: Layer::Wifi,
                up: true,
                detail: "x".to_owned(),
            },
            EventKind::TwoBoards { id: id.clone() },
            EventKind::Undetermined { id: id.clone(), lines: 1, up_to: 1 },
            EventKind::LinesMissing { id: id.clone(), from: 1, to: 1 },
            EventKind::BoardRestarted { id, cause: RestartCause::IndependentWatchdog },
            EventKind::Note { id: None, text: "x".to_owned() },
        ];
        for (kind, name) in all.iter().zip(EventKind::NAMES) {
            let json = serde_json::to_value(kind).expect("strings and numbers");
            assert_eq!((kind.name(), json["event"].as_str()), (name, Some(name)));
        }
        assert_eq!(all.len(), EventKind::NAMES.len());
    }

    #[test]
    fn all_refusals_are_listed() {
        for (index, reason) in Refusal::ALL.into_iter().enumerate() {
            // A new one does not compile until it has a place here, and in the list.
            let place = match reason {
                Refusal::UnknownId => 0,
                Refusal::Duplicate => 1,
                Refusal::HelloTimeout => 2,
                Refusal::BadHello => 3,
                Refusal::UnclearId => 4,
                Refusal::HelloTooLong => 5,
                Refusal::ClosedEarly => 6,
                Refusal::TooMany => 7,
                Refusal::TooManyFromAddress => 8,
                Refusal::Unproven => 9,
                Refusal::NotSecure => 10,
            };
            assert_eq!(place, index);
        }
    }
}
