//! Events as readable lines, and text from the network made safe to show.

use std::borrow::Cow;

use pblink_protocol::tcp::line::{Escaped, check_id};
use pblink_server::{Cause, Event, EventKind, Layer, LinkState, Report};

use super::cells::width;
use super::units;

/// Formats an event as one readable line: UTC time, then what happened.
pub fn line(event: &Event) -> String {
    format!("{} {}", time(event.at_ms), describe(&event.kind))
}

/// Formats a UTC time of day: `12:34:56Z`.
pub fn time(at_ms: u64) -> String {
    let s = at_ms / 1000 % 86400;
    format!("{:02}:{:02}:{:02}Z", s / 3600, s / 60 % 60, s % 60)
}

/// Describes an event and its client in one line that is safe to print.
pub fn describe(kind: &EventKind) -> String {
    match kind.id() {
        Some(id) => format!("{}: {}", self::id(id), what(kind)),
        None => what(kind),
    }
}

/// Describes an event without the client's id.
pub fn what(kind: &EventKind) -> String {
    let text = match kind {
        EventKind::Listening { address } => format!("server listens at {address}"),
        EventKind::Stopped => "server stopped".into(),
        EventKind::Connected { peer, .. } => format!("connected from {peer}"),
        EventKind::OutageBegan { cause, layer, .. } => {
            format!("outage began, {} down ({cause})", layer_name(*layer))
        }
        EventKind::OutageEnded { lasted_ms, connects, .. } => {
            format!("outage ended after {} (connect {connects})", units::span(*lasted_ms))
        }
        EventKind::Refused { peer, reason, times: 0..=1, .. } => {
            format!("refused {peer}, {reason}")
        }
        EventKind::Refused { peer, reason, times, .. } => {
            format!("refused {peer} {times} more times, {reason}")
        }
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
        EventKind::Note { text, .. } => text.clone(),
        // A kind that this version has no words for yet: its JSON says it all.
        other => serde_json::to_string(other).unwrap_or_default(),
    };
    clean(&text).into_owned()
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
        Cause::Shutdown => "shutdown",
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
    fn an_event_is_one_line() {
        let kind = EventKind::Note { id: Some("a\nb".into()), text: "x\ny".into() };
        let event = Event { seq: 1, at_ms: 1_700_000_000_000, kind };
        assert_eq!(line(&event), r"22:13:20Z a\u{a}b: x�y");
    }
}
