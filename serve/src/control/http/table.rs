//! Tables as CSV.

use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Map, Value};

/// Returns a value's fields.
pub(super) fn row(value: &impl Serialize) -> Map<String, Value> {
    match serde_json::to_value(value) {
        Ok(Value::Object(object)) => object,
        _ => Map::new(),
    }
}

/// Returns a table as RFC 4180 has it, with a heading. What is null is empty.
pub(super) fn csv(columns: &[&str], rows: impl Iterator<Item = Map<String, Value>>) -> Response {
    let mut text = columns.join(",") + "\r\n";
    for row in rows {
        for (i, column) in columns.iter().enumerate() {
            if i > 0 {
                text.push(',');
            }
            match row.get(*column) {
                None | Some(Value::Null) => {}
                Some(Value::String(field)) => push_field(&mut text, field),
                Some(other) => text.push_str(&other.to_string()),
            }
        }
        text.push_str("\r\n");
    }
    ([(header::CONTENT_TYPE, "text/csv; charset=utf-8; header=present")], text).into_response()
}

fn push_field(out: &mut String, field: &str) {
    if !field.contains([',', '"', '\r', '\n']) {
        out.push_str(field);
        return;
    }
    out.push('"');
    out.push_str(&field.replace('"', "\"\""));
    out.push('"');
}
