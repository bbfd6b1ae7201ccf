//! Events as readable lines, and text from the network made safe to show.

use std::borrow::Cow;

use pblink_protocol::tcp::line::{Escaped, check_id};
use pblink_server::{Cause, Event, EventKind, Layer, LinkState, Refusal, Report};

use super::cells::width;
use super::times::Zone;
use super::units;

/// Formats an event as one readable line: its time, then what happened.
pub fn line(event: &Event, zone: &Zone) -> String {
    format!("{} {}", zone.at(event.at_ms), describe(&event.kind))
}

/// Describes an event and its client in one line that is safe to print.
pub fn describe(kind: &EventKind) -> String {
    match (kind, kind.id()) {
        // The id is what was refused, not a link to which something happened.
        (EventKind::Refused { peer, reason, times, .. }, id) => {
            clean(&refused(id, peer, *reason, *times)).into_owned()
        }
        (_, Some(id)) => format!("{}: {}", self::id(id), what(kind)),
        (_, None) => what(kind),
    }
}

/// Describes an event without the client's id.
pub fn what(kind: &EventKind) -> String {
    let text = match kind {
        EventKind::Listening { address } => format!("server listens at {address}"),
        EventKind::Stopped => "server stopped".into(),
        EventKind::ServerWasDown { lasted_ms, stopped: true, .. } => {
            format!("no server was running for {}: it had been stopped", units::span(*lasted_ms))
        }
        EventKind::ServerWasDown { lasted_ms, stopped: false, .. } => {
            let span = units::span(*lasted_ms);
            format!("no server was running for about {span}: it had been killed, or lost its power")
        }
        EventKind::ClockStepped { from_ms, to_ms } => {
            let span = units::span(to_ms.abs_diff(*from_ms));
            let way = if to_ms > from_ms { "forward" } else { "back" };
            format!("the clock was set {way} by {span}: nothing is deleted for its age for an hour")
        }
        EventKind::SessionDamaged { why, .. } => {
            format!("session in the log cannot be read ({why}): the link begins anew")
        }
        EventKind::Connected { peer, .. } => format!("connected from {peer}"),
        EventKind::OutageBegan { cause, layer, .. } => {
            format!("outage began, {} down ({cause})", layer_name(*layer))
        }
        EventKind::OutageEnded { lasted_ms, connects, .. } => {
            format!("outage ended after {} (connect {connects})", units::span(*lasted_ms))
        }
        EventKind::Refused { peer, reason, times, .. } => refused(None, peer, *reason, *times),
        EventKind::Forgotten { clients: 1 } => {
            "forgot a client that was gone, for a new one".into()
        }
        EventKind::Forgotten { clients } => {
            format!("forgot {clients} clients that were gone, for new ones")
        }
        EventKind::InvalidLine { start, .. } => format!("invalid line ignored: {start}"),
        EventKind::QueueFull { .. } => {
            "line not acknowledged, the application does not read".into()
        }
        EventKind::Report { report: Report { connects, number, mem_free }, .. } => {
            format!(
                "report {number}, {} free, connects {connects}",
                units::bytes((*mem_free).into())
            )
        }
        EventKind::Board { layer, up, detail, .. } => {
            format!("{} {}: {detail}", layer_name(*layer), if *up { "up" } else { "down" })
        }
        EventKind::TwoBoards { .. } => {
            "another board has the same keys: copied, or given to two; give one of them others with: pblink config push"
                .into()
        }
        EventKind::Undetermined { lines: 1, .. } => {
            "it is not known whether a line to it arrived: it has lost its memory, or the server has an older one".into()
        }
        EventKind::Undetermined { lines, .. } => {
            format!("it is not known which of {lines} lines to it arrived: it has lost its memory, or the server has an older one")
        }
        EventKind::LinesMissing { from, to, .. } => format!(
            "lines {from} to {to} of it were acknowledged and are not in the log: it was restored from a backup, or another \
             server has them"
        ),
        EventKind::BoardRestarted { cause, .. } => format!("STM32 started: {cause}"),
        EventKind::Note { text, .. } => text.clone(),
        // A kind that this version has no words for yet: its JSON says it all.
        other => serde_json::to_string(other).unwrap_or_default(),
    };
    clean(&text).into_owned()
}

/// Describes refused connections: who, from where, why, and what to do.
fn refused(id: Option<&str>, peer: &str, reason: Refusal, times: u64) -> String {
    let id = id.map(|id| format!("\"{}\"", self::id(id)));
    let who = match (id, times) {
        (Some(id), 0..=1) => format!("{id} from {peer}"),
        (None, 0..=1) => format!("a connection from {peer}"),
        (Some(id), _) => format!("{times} more connections from {peer}, the last as {id}"),
        (None, _) => format!("{times} more connections from {peer}"),
    };
    format!("refused {who}: {}", refusal(reason))
}

/// Returns the reason of a refusal, and what to do.
fn refusal(reason: Refusal) -> Cow<'static, str> {
    Cow::Borrowed(match reason {
        Refusal::UnknownId => {
            "not in server.clients; add it with: pblink config set server.clients …"
        }
        Refusal::Duplicate => {
            "a client with this id is connected; give each board an id of its own"
        }
        Refusal::HelloTimeout => "it sent no id in time; only boards should connect to this port",
        Refusal::BadHello => {
            "it sent something that is no id; only boards should connect to this port"
        }
        Refusal::UnclearId => {
            "its id has invisible characters, or a blank at an end; choose another with: \
             pblink config set board.id …"
        }
        Refusal::HelloTooLong => "its id is too long; only boards should connect to this port",
        Refusal::ClosedEarly => "it closed the connection before it sent its id",
        Refusal::TooMany => "too many connections; close some",
        Refusal::TooManyFromAddress => "too many connections from this address; close some",
        Refusal::Unproven => {
            "it does not have the keys of this id; compare the fingerprints of `pblink keys list` and `pblink config \
             pull`, and give the board keys with: pblink config push"
        }
        Refusal::NotSecure => {
            "it speaks without keys, and this id may not; give the board keys with: pblink config push, or list the id \
             in link.classic"
        }
        other => return Cow::Owned(other.to_string()),
    })
}

/// Returns the layer's name as users know it. "Coprocessor" is what it is, "ESP8266" is what is printed on it.
pub fn layer_name(layer: Layer) -> &'static str {
    match layer {
        Layer::Wires => "wires",
        Layer::Coprocessor => "ESP8266",
        Layer::Wifi => "WiFi",
        Layer::Server => "server",
    }
}

/// Returns the cause in at most 13 characters, where its sentence does not fit.
pub fn cause_name(cause: Cause) -> &'static str {
    match cause {
        Cause::Silent => "silent",
        Cause::ClosedByPeer => "client closed",
        Cause::Reset => "reset",
        Cause::SlowReader => "slow reader",
        Cause::LineTooLong => "line too long",
        Cause::TakenOver => "taken over",
        Cause::ClosedByApplication => "app closed",
        Cause::NotExpected => "not listed",
        Cause::Shutdown => "shutdown",
        Cause::ServerDied => "killed",
        _ => "other",
    }
}

/// Returns the state with the layer that is down.
pub fn state_name(state: LinkState) -> &'static str {
    match state {
        LinkState::Waiting => "waiting",
        LinkState::Up => "up",
        LinkState::Down { layer: Layer::Wires, .. } => "wires down",
        LinkState::Down { layer: Layer::Coprocessor, .. } => "ESP8266 down",
        LinkState::Down { layer: Layer::Wifi, .. } => "WiFi down",
        LinkState::Down { layer: Layer::Server, .. } => "server down",
    }
}

/// Makes an id safe for a terminal: in one that no link can have, what cannot be seen is escaped.
pub fn id(id: &str) -> Cow<'_, str> {
    if check_id(id).is_ok() {
        return clean(id);
    }
    Cow::Owned(clean(&Escaped(id).to_string()).into_owned())
}

/// The most ids that a message names.
const NAMED: usize = 5;

/// Returns the first few of some ids, and how many more there are, as messages name them.
pub(crate) fn ids(all: &[&str]) -> String {
    let named: Vec<_> = all.iter().take(NAMED).map(|name| id(name)).collect();
    match all.len().saturating_sub(NAMED) {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

/// Makes text from the network safe for a terminal: every character that is not visible, or that
/// changes how its neighbours are shown, becomes `�`. So each character left takes one or two
/// cells, and no two different ids look the same by an invisible character.
pub fn clean(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|b| (b' '..=b'~').contains(&b)) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().map(|c| if width(c) == 0 { '\u{fffd}' } else { c }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_the_network_cannot_control_the_terminal() {
        assert_eq!(clean("a\x1b[2Jb\r\n\u{9b}\u{202e}\u{200b}e\u{301}"), "a�[2Jb�����e�");
        assert_eq!(clean("küche 厨房"), "küche 厨房");
    }

    #[test]
    fn ids_that_look_alike_are_told_apart() {
        assert_eq!(id("küche 2"), "küche 2");
        assert_eq!(id("kitchen\u{a0}2"), r"kitchen\u{a0}2");
        assert_eq!(id("kitchen "), r"kitchen\u{20}");
        assert_eq!(
            id("a\u{2028}\u{2800}\u{202e}\u{7f}\u{9b}"),
            r"a\u{2028}\u{2800}\u{202e}\u{7f}\u{9b}"
        );
    }

    #[test]
    fn a_refusal_names_who_was_refused_why_and_what_to_do() {
        let event = |id: Option<&str>, times| EventKind::Refused {
            id: id.map(str::to_owned),
            peer: "192.168.0.7:4444".into(),
            reason: Refusal::UnknownId,
            times,
        };
        let remedy = "not in server.clients; add it with: pblink config set server.clients …";
        for (kind, who) in [
            (event(Some("kitchen"), 1), "\"kitchen\" from 192.168.0.7:4444"),
            (event(Some("a\nb"), 0), r#""a\u{a}b" from 192.168.0.7:4444"#),
            (event(None, 1), "a connection from 192.168.0.7:4444"),
            (
                event(Some("kitchen"), 999),
                "999 more connections from 192.168.0.7:4444, the last as \"kitchen\"",
            ),
            (event(None, 2), "2 more connections from 192.168.0.7:4444"),
        ] {
            assert_eq!(describe(&kind), format!("refused {who}: {remedy}"));
        }
        for reason in Refusal::ALL {
            assert!(matches!(refusal(reason), Cow::Borrowed(_)), "{reason} has words of its own");
        }
    }

    #[test]
    fn what_a_board_tells_and_what_became_of_its_lines_has_words() {
        let id = || "kitchen".to_owned();
        let restarted = EventKind::BoardRestarted {
            id: id(),
            cause: pblink_server::RestartCause::IndependentWatchdog,
        };
        assert_eq!(describe(&restarted), "kitchen: STM32 started: watchdog: its program hung");
        for kind in [
            EventKind::TwoBoards { id: id() },
            EventKind::Undetermined { id: id(), lines: 1, up_to: 7 },
            EventKind::Undetermined { id: id(), lines: 2, up_to: 7 },
            EventKind::LinesMissing { id: id(), from: 3, to: 5 },
        ] {
            let words = describe(&kind);
            assert!(words.starts_with("kitchen: ") && !words.contains('{'), "{words}");
        }
    }

    #[test]
    fn an_event_is_one_line() {
        let kind = EventKind::Note { id: Some("a\nb".into()), text: "x\ny".into() };
        let event = Event { seq: 1, at_ms: 1_700_000_000_000, kind };
        assert_eq!(line(&event, &Zone::utc()), r"2023-11-14 22:13:20Z a\u{a}b: x�y");
    }
}
