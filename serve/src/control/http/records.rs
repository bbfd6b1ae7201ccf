//! Outages and reports, as JSON or CSV.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value};

use super::super::times::{self, now_ms};
use super::super::{Filter, LinkReports, Outage};
use super::{Api, error};

/// Columns of outages, named as in the JSON.
const OUTAGE: [&str; 11] = [
    "number",
    "client",
    "began",
    "began_ms",
    "ended",
    "ended_ms",
    "lasted_ms",
    "end",
    "layer",
    "cause",
    "finding",
];

/// Columns of reports, named as in the JSON.
const REPORT: [&str; 6] = ["client", "at", "at_ms", "connects", "number", "mem_free"];

/// The parameters of a request as they came.
type Parameters = Result<Query<Vec<(String, String)>>, QueryRejection>;

/// Answers with outages.
pub(super) async fn outages(
    State(api): State<Api>,
    parameters: Parameters,
    headers: HeaderMap,
) -> Response {
    answer(parameters, |filter| {
        let list = api.source.history().outages(filter);
        match wants_csv(&headers) {
            true => csv(&OUTAGE, list.outages.iter().map(outage_row)),
            false => Json(list).into_response(),
        }
    })
}

/// Answers with reports.
pub(super) async fn reports(
    State(api): State<Api>,
    parameters: Parameters,
    headers: HeaderMap,
) -> Response {
    answer(parameters, |filter| {
        let list = api.source.history().reports(filter);
        match wants_csv(&headers) {
            true => csv(&REPORT, list.reports.iter().flat_map(report_rows)),
            false => Json(list).into_response(),
        }
    })
}

fn answer(parameters: Parameters, find: impl FnOnce(Filter) -> Response) -> Response {
    let parameters = match &parameters {
        Ok(Query(parameters)) => parameters,
        Err(_) => return error(StatusCode::BAD_REQUEST, "the part behind `?` is not KEY=VALUE&…"),
    };
    match filter(parameters) {
        Ok(filter) => find(filter),
        Err(message) => error(StatusCode::BAD_REQUEST, message),
    }
}

fn filter(parameters: &[(String, String)]) -> Result<Filter<'_>, String> {
    let mut filter = Filter::default();
    for (key, value) in parameters {
        match &**key {
            "since" => {
                filter.since_ms = times::since(value, now_ms())
                    .ok_or_else(|| format!("`since` is {value:?}; give {}", times::ACCEPTED))?;
            }
            "client" => filter.client = Some(value),
            "after" => {
                filter.after = value.parse().map_err(|_| {
                    format!("`after` is {value:?}; give the `revision` of an answer, a number")
                })?;
            }
            other => {
                return Err(format!(
                    "there is no parameter {other:?}; give `since`, `client` or `after`"
                ));
            }
        }
    }
    Ok(filter)
}

/// Returns true if the request asks for CSV rather than JSON.
fn wants_csv(headers: &HeaderMap) -> bool {
    let types = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    // The first of the two that is named; weights are for browsers.
    let first = types.flat_map(|list| list.split(',')).find_map(|one| {
        match one.split(';').next()?.trim().to_ascii_lowercase().as_str() {
            "text/csv" => Some(true),
            "application/json" => Some(false),
            _ => None,
        }
    });
    first == Some(true)
}

fn outage_row(outage: &Outage) -> Map<String, Value> {
    object(serde_json::to_value(outage).unwrap_or_default())
}

fn report_rows(reports: &LinkReports) -> impl Iterator<Item = Map<String, Value>> {
    reports.samples.iter().map(|sample| {
        let mut row = object(serde_json::to_value(sample).unwrap_or_default());
        row.insert("client".into(), reports.client.clone().into());
        row
    })
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        _ => Map::new(),
    }
}

/// Returns a table as RFC 4180 has it, with a heading. What is null is empty.
fn csv(columns: &[&str], rows: impl Iterator<Item = Map<String, Value>>) -> Response {
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
