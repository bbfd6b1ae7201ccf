//! A message to a board as JSON: lines, and their delivery. The control API and the MQTT consumer take the same.

use pblink_server::Delivery;
use serde::Deserialize;

/// Lines to a board, as someone wants them sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) lines: Vec<String>,
    pub(crate) delivery: Option<Delivery>,
}

/// The form of the JSON.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    line: Option<String>,
    lines: Option<Vec<String>>,
    delivery: Option<String>,
}

impl Message {
    /// Reads it from JSON.
    ///
    /// # Errors
    /// The mistake, and the right form.
    pub(crate) fn from_json(body: &[u8]) -> Result<Self, String> {
        let form =
            "send {\"line\": \"…\"} or {\"lines\": [\"…\", …]}, with \"delivery\" if you like";
        let message: Form = serde_json::from_slice(body)
            .map_err(|why| format!("this is not the JSON of a line ({why}); {form}"))?;
        let lines = match (message.line, message.lines) {
            (Some(line), None) => vec![line],
            (None, Some(lines)) => lines,
            _ => return Err(form.to_owned()),
        };
        let delivery = message.delivery.as_deref().map(read_delivery).transpose()?;
        Ok(Self { lines, delivery })
    }
}

/// Reads the name of a delivery.
///
/// # Errors
/// The names that there are.
pub(crate) fn read_delivery(name: &str) -> Result<Delivery, String> {
    match name {
        "guaranteed" => Ok(Delivery::ORDERED),
        "unordered" => Ok(Delivery::UNORDERED),
        "best_effort" => Ok(Delivery::BestEffort),
        other => Err(format!(
            "`delivery` is {other:?}; give guaranteed (in order), unordered or best_effort"
        )),
    }
}
