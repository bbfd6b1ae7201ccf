//! Outages and reports, as JSON or CSV.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value};

use super::super::{Filter, LinkReports};
use super::Api;
use super::query::{Form, Parameters, Raw};
use super::table::{csv, row};

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

/// Answers with outages.
pub(super) async fn outages(State(api): State<Api>, raw: Raw, headers: HeaderMap) -> Response {
    answer(raw, &headers, |filter, form| {
        let list = api.source.history().outages(filter);
        match form {
            Form::Csv => csv(&OUTAGE, list.outages.iter().map(row)),
            _ => Json(list).into_response(),
        }
    })
}

/// Answers with reports.
pub(super) async fn reports(State(api): State<Api>, raw: Raw, headers: HeaderMap) -> Response {
    answer(raw, &headers, |filter, form| {
        let list = api.source.history().reports(filter);
        match form {
            Form::Csv => csv(&REPORT, list.reports.iter().flat_map(report_rows)),
            _ => Json(list).into_response(),
        }
    })
}

fn answer(raw: Raw, headers: &HeaderMap, find: impl FnOnce(Filter, Form) -> Response) -> Response {
    let parameters = match Parameters::new(raw, &["since", "client", "after", "format"]) {
        Ok(parameters) => parameters,
        Err(response) => return response,
    };
    let form = parameters.form(headers, &[Form::Json, Form::Csv]);
    match form.and_then(|form| Ok((filter(&parameters)?, form.unwrap_or(Form::Json)))) {
        Ok((filter, form)) => find(filter, form),
        Err(response) => response,
    }
}

fn filter(parameters: &Parameters) -> Result<Filter<'_>, Response> {
    let after = parameters.number("after", "the `revision` of an answer, a number")?;
    Ok(Filter {
        since_ms: parameters.time("since")?.unwrap_or(0),
        after: after.unwrap_or(0),
        client: parameters.get("client"),
    })
}

fn report_rows(reports: &LinkReports) -> impl Iterator<Item = Map<String, Value>> {
    reports.samples.iter().map(|sample| {
        let mut row = row(sample);
        row.insert("client".into(), reports.client.clone().into());
        row
    })
}
