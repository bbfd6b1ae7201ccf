//! The envelope of everything that is printed as JSON lines: `v`, `event`, `seq`, `time`, `at_ms`, `client`, and what
//! belongs to the event. `docs/API.md` describes it.

use pblink_serve::consumers::Passed;
use pblink_serve::control::{LineRecord, Outage, Rfc3339, VERSION};
use pblink_server::Event;
use serde_json::{Map, Value};

use super::json;

/// Returns an event as a line, without its end.
///
/// # Errors
/// When it cannot be serialised.
pub(crate) fn event(event: &Event) -> serde_json::Result<String> {
    let client = event.kind.id().map(str::to_owned);
    // The event has its own name and number.
    wrap("", event.at_ms, client, fields(event)?)
}

/// Returns a line of a client as a line, without its end.
///
/// # Errors
/// When it cannot be serialised.
pub(crate) fn line(line: &LineRecord) -> serde_json::Result<String> {
    wrap("line_in", line.at_ms, Some(line.client.clone()), fields(line)?)
}

/// Returns an outage as a line, without its end.
///
/// # Errors
/// When it cannot be serialised.
pub(crate) fn outage(outage: &Outage) -> serde_json::Result<String> {
    let mut object = fields(outage)?;
    object.insert("seq".to_owned(), outage.number.into());
    wrap("outage", outage.began_ms, Some(outage.client.clone()), object)
}

/// Returns a line that passed between a client and its application as a line, without its end.
///
/// # Errors
/// When it cannot be serialised.
pub(crate) fn passed(passed: &Passed) -> serde_json::Result<String> {
    let client = passed.client().to_owned();
    let (event, at_ms, mut object) = match passed {
        Passed::Received { line, .. } => ("line_in", line.at_ms, fields(&LineRecord::from(line))?),
        Passed::Sent { .. } => ("line_out", now_ms(), Map::new()),
    };
    // As programs know them from before the envelope.
    object.insert("id".to_owned(), client.clone().into());
    object.insert("line".to_owned(), passed.text().into());
    object.insert("text".to_owned(), passed.text().into());
    wrap(event, at_ms, Some(client), object)
}

/// Returns an object of this name as a line, without its end.
///
/// # Errors
/// When it cannot be serialised.
pub(crate) fn wrap(
    event: &str,
    at_ms: u64,
    client: Option<String>,
    mut object: Map<String, Value>,
) -> serde_json::Result<String> {
    object.insert("v".to_owned(), VERSION.into());
    if !event.is_empty() {
        object.insert("event".to_owned(), event.into());
    }
    object.insert("time".to_owned(), Rfc3339(at_ms).to_string().into());
    object.insert("at_ms".to_owned(), at_ms.into());
    if let Some(client) = client {
        object.insert("client".to_owned(), client.into());
    }
    json::line(&object)
}

/// Returns the fields of a value.
///
/// # Errors
/// When it cannot be serialised.
pub(crate) fn fields(value: &impl serde::Serialize) -> serde_json::Result<Map<String, Value>> {
    Ok(match serde_json::to_value(value)? {
        Value::Object(object) => object,
        other => Map::from_iter([("value".to_owned(), other)]),
    })
}

/// Returns the wall clock in milliseconds since the Unix epoch; 0 before it.
pub(crate) fn now_ms() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, |now| now.as_millis() as u64)
}

#[cfg(test)]
mod tests {
    use pblink_server::EventKind;

    use super::*;

    #[test]
    fn everything_has_the_same_envelope() {
        let kind = EventKind::Connected { id: "a".into(), peer: "p".into() };
        let event = super::event(&Event { seq: 7, at_ms: 1_772_366_400_007, kind }).unwrap();
        let record = LineRecord {
            offset: 9,
            client: "a".into(),
            epoch: 1,
            seq: 3,
            kind: pblink_serve::log::Kind::Line,
            time: String::new(),
            at_ms: 1_772_366_400_007,
            written_ms: None,
            text: "x".into(),
        };
        for (json, name, seq) in [(event, "connected", 7), (line(&record).unwrap(), "line_in", 3)] {
            let value: Value = serde_json::from_str(&json).unwrap();
            assert_eq!(
                (&value["v"], &value["event"], &value["seq"]),
                (&1.into(), &name.into(), &seq.into())
            );
            assert_eq!(value["time"], "2026-03-01T12:00:00.007Z");
            assert_eq!(
                (&value["at_ms"], &value["client"]),
                (&1_772_366_400_007_u64.into(), &"a".into())
            );
        }
    }
}
