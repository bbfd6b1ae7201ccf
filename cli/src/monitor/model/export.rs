//! The rows of the screen, as JSON or CSV.

use pblink_serve::control::Rfc3339;
use serde_json::{Map, Value, json};

use super::Model;
use crate::monitor::file::{Export, Form};
use crate::monitor::keys::Tab;
use crate::output::json::pretty;

/// Returns the rows that the screen shows, those included for which it has no room.
pub(super) fn export(model: &Model, form: Form) -> Export {
    let (name, rows) = rows(model);
    let stamp = model.stamp();
    let text = match form {
        Form::Json => pretty(&json!(rows)),
        Form::Csv => csv(&rows),
    };
    let ending = match form {
        Form::Json => "json",
        Form::Csv => "csv",
    };
    Export { stem: format!("pblink-{name}-{stamp}"), ending, rows: rows.len(), text }
}

/// Returns the name of what the screen shows.
pub(super) fn name(model: &Model) -> &'static str {
    match model.tab() {
        _ if model.page().is_some() => "log",
        Tab::Links => "links",
        Tab::Reports => "reports",
        Tab::Outages => "outages",
        Tab::Log => "log",
        Tab::Day => "24h",
    }
}

fn rows(model: &Model) -> (&'static str, Vec<Value>) {
    let data = model.data();
    let value = |row: &dyn erased::Row| row.value();
    let log = || {
        let entries = model.log_rows().into_iter();
        let row = |entry: &crate::monitor::LogEntry| {
            let time = Rfc3339(entry.at_ms).to_string();
            json!({ "time": time, "at_ms": entry.at_ms, "id": entry.id, "text": entry.whole })
        };
        entries.map(row).collect()
    };
    let rows: Vec<Value> = match model.tab() {
        _ if model.page().is_some() => log(),
        Tab::Log => log(),
        Tab::Links => (model.link_rows().into_iter())
            .map(|i| {
                let link = &data.links[i];
                let mut row = value(link);
                row["last_line"] =
                    data.last_line(&link.id).map_or(Value::Null, |(last, _)| value(last));
                row
            })
            .collect(),
        Tab::Reports => (model.report_rows().into_iter())
            .flat_map(|i| {
                let id = &data.links[i].id;
                let samples = data.reports.get(id).map(|reports| &reports.samples);
                samples.into_iter().flatten().map(move |sample| {
                    let mut row = value(sample);
                    row["client"] = json!(id);
                    row
                })
            })
            .collect(),
        Tab::Outages => model.outage_rows().into_iter().map(|(_, outage)| value(outage)).collect(),
        Tab::Day => (model.day_rows().into_iter())
            .map(|(i, day)| {
                json!({
                    "client": data.links[i].id,
                    "outages": day.outages,
                    "down_ms": day.down_ms,
                    "longest_ms": day.longest_ms,
                    "availability": day.availability_ppm().map(|ppm| ppm as f64 / 1e6),
                })
            })
            .collect(),
    };
    (name(model), rows)
}

/// Serialising without naming each type.
mod erased {
    use serde::Serialize;
    use serde_json::Value;

    pub trait Row {
        fn value(&self) -> Value;
    }

    impl<T: Serialize> Row for T {
        /// Strings and numbers always serialise.
        fn value(&self) -> Value {
            serde_json::to_value(self).unwrap_or_default()
        }
    }
}

/// Writes a table as RFC 4180 has it. Objects within a row become columns such as `last_line.text`.
fn csv(rows: &[Value]) -> String {
    let rows: Vec<Map<String, Value>> = rows.iter().map(flat).collect();
    let mut columns: Vec<&String> = Vec::new();
    for column in rows.iter().flat_map(Map::keys) {
        if !columns.contains(&column) {
            columns.push(column);
        }
    }
    let line = |cells: Vec<String>| cells.join(",") + "\r\n";
    let mut out = line(columns.iter().map(|column| quoted(column)).collect());
    for row in &rows {
        out += &line(columns.iter().map(|column| cell(row.get(*column))).collect());
    }
    out
}

fn flat(row: &Value) -> Map<String, Value> {
    let mut out = Map::new();
    for (key, value) in row.as_object().into_iter().flatten() {
        match value {
            Value::Object(inner) => out
                .extend(inner.iter().map(|(name, value)| (format!("{key}.{name}"), value.clone()))),
            value => drop(out.insert(key.clone(), value.clone())),
        }
    }
    out
}

fn cell(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => quoted(text),
        Some(other) => quoted(&other.to_string()),
    }
}

fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\r', '\n']) || text.starts_with([' ', '\t']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}
