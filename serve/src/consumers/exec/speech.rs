//! The JSON that the program for all clients reads and prints.

use std::sync::Arc;

use pblink_protocol::MAX_TEXT;
use pblink_protocol::tcp::line::check_text;
use pblink_server::Delivery;
use serde::Deserialize;
use serde_json::{Value, json};

use super::MAX_JSON;
use super::output::Printed;
use crate::hub::Hub;
use crate::log::{Line, Outgoing};
use crate::times::Rfc3339;

/// Characters of a wrong line that its error repeats.
const EXCERPT: usize = 100;

/// Something that the program says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// A line for a client.
    Line(Outgoing),
    /// It has processed the line with this offset, and all lines of the same client before it.
    Done(u64),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Object {
    client: Option<String>,
    line: Option<String>,
    delivery: Option<String>,
    done: Option<u64>,
}

/// Returns a line of the log as the program reads it.
pub(super) fn spoken(line: &Line) -> String {
    let object = json!({
        "offset": line.offset,
        "client": &*line.client,
        "epoch": line.epoch,
        "seq": line.seq,
        "time": Rfc3339(line.at_ms).to_string(),
        "at_ms": line.at_ms,
        "written_ms": line.written_ms,
        "text": &*line.text,
    });
    object.to_string()
}

/// Returns an error as the program reads it, with what it is about.
pub(super) fn complaint(error: &str, about: Value) -> String {
    let mut object = json!({ "error": error });
    if let (Value::Object(object), Value::Object(about)) = (&mut object, about) {
        object.extend(about);
    }
    object.to_string()
}

/// Returns what the program says; nothing for an empty line.
///
/// # Errors
/// An error for it to read.
pub(super) fn said(printed: Printed, hub: &Hub) -> Result<Option<Said>, String> {
    let error = |why: String| Err(complaint(&why, json!({})));
    let text = match printed {
        Printed::Line(line) if line.trim().is_empty() => return Ok(None),
        Printed::Closed => return Ok(None),
        Printed::Line(line) => line,
        Printed::TooLong => return error(format!("a line of more than {MAX_JSON} bytes")),
        Printed::NotText => return error("a line that is not valid UTF-8".to_owned()),
        Printed::Torn => return error("a line without a newline at its end".to_owned()),
    };
    let wrong = |why: &str| {
        let excerpt: String = text.chars().take(EXCERPT).collect();
        Err(complaint(why, json!({ "printed": excerpt })))
    };
    match serde_json::from_str::<Object>(&text) {
        Ok(Object { client: Some(client), line: Some(line), delivery, done: None }) => {
            let refused =
                |why: &str| Err(complaint(why, json!({ "client": &client, "line": &line })));
            let delivery = match delivery.as_deref() {
                None | Some("guaranteed") => Delivery::ORDERED,
                Some("unordered") => Delivery::UNORDERED,
                Some("best_effort") => Delivery::BestEffort,
                Some(_) => {
                    return refused("delivery is guaranteed (in order), unordered or best_effort");
                }
            };
            if let Err(why) = check_text(&line) {
                return refused(&why.to_string());
            }
            if line.ends_with('\n') {
                return refused("the line holds a newline");
            }
            if line.len() > MAX_TEXT {
                return refused(&format!("the line has more than {MAX_TEXT} bytes"));
            }
            if hub.server().link(&client).is_none() {
                return refused("there is no such client");
            }
            let (client, text) = (client.into(), line.into());
            Ok(Some(Said::Line(Outgoing { client, text, delivery })))
        }
        Ok(Object { client: None, line: None, delivery: None, done: Some(offset) }) => {
            Ok(Some(Said::Done(offset)))
        }
        Ok(_) => wrong("neither client and line nor done"),
        Err(why) => wrong(&format!("not the JSON that is expected: {why}")),
    }
}

/// Returns lines by client, those of each in their order.
pub(super) fn lines(batch: Vec<Outgoing>) -> Vec<Vec<Outgoing>> {
    let mut all: Vec<(Arc<str>, Vec<Outgoing>)> = Vec::new();
    for line in batch {
        match all.iter_mut().find(|(client, _)| *client == line.client) {
            Some((_, lines)) => lines.push(line),
            None => all.push((Arc::clone(&line.client), vec![line])),
        }
    }
    all.into_iter().map(|(_, lines)| lines).collect()
}
