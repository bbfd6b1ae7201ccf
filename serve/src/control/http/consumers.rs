//! Consumers of the log, and the cursors of those that come by HTTP.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::super::answers::{ConsumerInfo, ConsumerKind, ConsumerList};
use super::access::MayWrite;
use super::body::read_body;
use super::{Api, error};
use crate::log::{ConsumerStatus, From, Log, Progress};

/// The beginning of the names of those that come by HTTP: no part of the server has such a name.
const PREFIX: &str = "http:";

/// Their number.
const MOST: usize = 100;

/// The longest name in bytes.
const NAME: usize = 64;

/// A request as JSON.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Place {
    offset: Option<u64>,
    from: Option<String>,
    log: Option<String>,
}

/// Answers with all consumers.
pub(super) async fn list(State(api): State<Api>) -> Response {
    let Some(log) = api.source.log() else { return super::no_log() };
    let consumers = log.status().consumers.iter().map(info).collect();
    let (name, head) = (log.name().to_string(), log.head());
    Json(ConsumerList { log: name, head, consumers }).into_response()
}

/// Answers with one.
pub(super) async fn show(State(api): State<Api>, Path(name): Path<String>) -> Response {
    let Some(log) = api.source.log() else { return super::no_log() };
    match find(log, &name) {
        Some(consumer) => Json(info(&consumer)).into_response(),
        None => missing(&name),
    }
}

/// Returns the place of a consumer.
///
/// # Errors
/// The answer if there is none.
pub(super) fn cursor(log: &Log, name: &str) -> Result<u64, Response> {
    find(log, name).map(|consumer| consumer.offset).ok_or_else(|| missing(name))
}

/// Makes a consumer, or moves its cursor on.
pub(super) async fn put(
    _: MayWrite,
    State(api): State<Api>,
    Path(name): Path<String>,
    body: Body,
) -> Response {
    match place(&api, &name, body).await {
        Ok(response) | Err(response) => response,
    }
}

async fn place(api: &Api, name: &str, body: Body) -> Result<Response, Response> {
    let log = api.source.log().ok_or_else(super::no_log)?;
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"_.-".contains(&b);
    if !(1..=NAME).contains(&name.len()) || !name.bytes().all(fits) {
        return Err(bad("a consumer's name has 1 to 64 letters, digits and the signs _ . -"));
    }
    let form =
        "send {\"offset\": N}, or {\"from\": \"oldest\"} or {\"from\": \"now\"} for a new one";
    let body = read_body(body).await?;
    let place: Place = match body.is_empty() {
        true => Place { offset: None, from: None, log: None },
        false => serde_json::from_slice(&body)
            .map_err(|why| bad(format!("this is not the JSON of a place ({why}); {form}")))?,
    };
    let other_log = place.log.is_some_and(|name| name != log.name().to_string());
    if other_log || place.offset.is_some_and(|offset| offset > log.head()) {
        let message = format!(
            "the offset is of another log, or of one before it was restored: this one is {}, and ends at {}",
            log.name(),
            log.head()
        );
        return Err(error(StatusCode::CONFLICT, message));
    }
    let from = match (place.from.as_deref(), place.offset) {
        (None | Some("now"), None) => From::Now,
        (Some("oldest"), None) | (None, Some(_)) => From::Oldest,
        _ => return Err(bad(form)),
    };
    let status = log.status().consumers;
    let full = format!("{PREFIX}{name}");
    let known = status.iter().find(|consumer| *consumer.name == *full);
    if let Some(offset) = place.offset
        && let Some(known) = known.filter(|known| known.offset > offset)
    {
        let message = format!(
            "{name} has come to offset {} already: to go back to {offset}, DELETE it first, and PUT it anew",
            known.offset
        );
        return Err(error(StatusCode::CONFLICT, message));
    }
    let http = status.iter().filter(|consumer| consumer.name.starts_with(PREFIX)).count();
    if known.is_none() && http >= MOST {
        let message =
            format!("there are {MOST} consumers already: DELETE one that is not needed any more");
        return Err(error(StatusCode::TOO_MANY_REQUESTS, message));
    }
    let new = known.is_none();
    let mut at = register(log, &full, from).await?;
    if let Some(offset) = place.offset {
        let consumer = full.as_str().into();
        let progress = Progress { consumer, offset, clients: Vec::new(), outgoing: Vec::new() };
        log.progress(progress).await.map_err(|_| super::stopping())?;
        // Answered behind the step: whoever asks next sees it.
        at = register(log, &full, from).await?;
    }
    let answer = ConsumerInfo {
        name: name.to_owned(),
        kind: ConsumerKind::Http,
        required: false,
        running: false,
        offset: at,
        lag: log.head().saturating_sub(at),
    };
    let status = if new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(answer)).into_response())
}

async fn register(log: &Log, name: &str, from: From) -> Result<u64, Response> {
    let place = log.register(name, false, from).await;
    place.map(|place| place.offset).ok_or_else(super::stopping)
}

/// Removes a consumer that comes by HTTP, or one that is not part of the server any more.
pub(super) async fn delete(
    _: MayWrite,
    State(api): State<Api>,
    Path(name): Path<String>,
) -> Response {
    let Some(log) = api.source.log() else { return super::no_log() };
    let Some(consumer) = find(log, &name) else { return missing(&name) };
    if consumer.running && !consumer.name.starts_with(PREFIX) {
        let message =
            format!("{name} is a part of the server that runs: it goes with its configuration");
        return error(StatusCode::CONFLICT, message);
    }
    log.unregister(&consumer.name).await;
    StatusCode::NO_CONTENT.into_response()
}

/// Returns the consumer of this name: one that comes by HTTP before a part of the server.
fn find(log: &Log, name: &str) -> Option<ConsumerStatus> {
    let consumers = log.status().consumers;
    let by_http = |c: &&ConsumerStatus| c.name.strip_prefix(PREFIX) == Some(name);
    let by_name = |c: &&ConsumerStatus| *c.name == *name;
    consumers.iter().find(by_http).or_else(|| consumers.iter().find(by_name)).cloned()
}

fn info(consumer: &ConsumerStatus) -> ConsumerInfo {
    let http = consumer.name.strip_prefix(PREFIX);
    ConsumerInfo {
        name: http.unwrap_or(&consumer.name).to_owned(),
        kind: if http.is_some() { ConsumerKind::Http } else { ConsumerKind::Server },
        required: consumer.required,
        running: consumer.running && http.is_none(),
        offset: consumer.offset,
        lag: consumer.lag,
    }
}

fn missing(name: &str) -> Response {
    let message =
        format!("there is no consumer {name:?}; see /api/v1/consumers, or make it with PUT");
    error(StatusCode::NOT_FOUND, message)
}

fn bad(message: impl Into<String>) -> Response {
    error(StatusCode::BAD_REQUEST, message)
}
