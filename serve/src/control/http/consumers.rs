//! Consumers of the log, and the cursors of those that come by HTTP.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::super::consumer::{ConsumerInfo, ConsumerKind, ConsumerList, Passed};
use super::access::MayWrite;
use super::body::read_body;
use super::query::{Named, Parameters, Raw};
use super::{Api, error};
use crate::log::{ConsumerError, From, Log, Progress, SkipError};

/// The most that come by HTTP.
const MOST: usize = 100;

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
    let consumers = log.status().consumers.iter().map(ConsumerInfo::of).collect();
    let (name, head) = (log.name().to_string(), log.head());
    Json(ConsumerList { log: name, head, consumers }).into_response()
}

/// Answers with one.
pub(super) async fn show(State(api): State<Api>, Named(name): Named) -> Response {
    let Some(log) = api.source.log() else { return super::no_log() };
    match find(log, &name) {
        Some(consumer) => Json(consumer).into_response(),
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
    Named(name): Named,
    body: Body,
) -> Response {
    match place(&api, &name, body).await {
        Ok(response) | Err(response) => response,
    }
}

async fn place(api: &Api, name: &str, body: Body) -> Result<Response, Response> {
    let log = api.source.log().ok_or_else(super::no_log)?;
    ConsumerInfo::check_name(name).map_err(bad)?;
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
    let full = ConsumerInfo::key(ConsumerKind::Http, name);
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
    let http = status.iter().filter(|c| ConsumerInfo::of(c).kind == ConsumerKind::Http).count();
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
        failing: Vec::new(),
        failing_clients: 0,
        stalled: None,
    };
    let status = if new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(answer)).into_response())
}

async fn register(log: &Log, name: &str, from: From) -> Result<u64, Response> {
    let place = log.register_elsewhere(name, from).await;
    place.map(|place| place.offset).ok_or_else(super::stopping)
}

/// Removes a consumer that comes by HTTP, or one that is not part of the server any more.
pub(super) async fn delete(_: MayWrite, State(api): State<Api>, Named(name): Named) -> Response {
    let Some(log) = api.source.log() else { return super::no_log() };
    let Some(consumer) = find(log, &name) else { return missing(&name) };
    if consumer.running {
        let message =
            format!("{name} is a part of the server that runs: it goes with its configuration");
        return error(StatusCode::CONFLICT, message);
    }
    match log.unregister(&ConsumerInfo::key(consumer.kind, &consumer.name)).await {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(why) => refuse(&name, &why),
    }
}

/// Gives a consumer another name.
pub(super) async fn rename(
    _: MayWrite,
    State(api): State<Api>,
    Named(name): Named,
    raw: Raw,
) -> Response {
    let Some(log) = api.source.log() else { return super::no_log() };
    let parameters = match Parameters::new(raw, &["to"]) {
        Ok(parameters) => parameters,
        Err(response) => return response,
    };
    let Some(to) = parameters.get("to") else { return bad("give the new name: `to`") };
    if let Err(rule) = ConsumerInfo::check_name(to) {
        return bad(rule);
    }
    let Some(consumer) = find(log, &name) else { return missing(&name) };
    let key = |name| ConsumerInfo::key(consumer.kind, name);
    match log.rename(&key(&consumer.name), &key(to)).await {
        Ok(()) => Json(ConsumerInfo { name: to.to_owned(), ..consumer }).into_response(),
        Err(why) => refuse(&name, &why),
    }
}

/// Passes over the line at which a consumer fails.
pub(super) async fn skip(
    _: MayWrite,
    State(api): State<Api>,
    Named(name): Named,
    raw: Raw,
) -> Response {
    let Some(log) = api.source.log() else { return super::no_log() };
    let parameters = match Parameters::new(raw, &["client"]) {
        Ok(parameters) => parameters,
        Err(response) => return response,
    };
    match log.skip(&name, parameters.get("client")) {
        Ok(skipped) => {
            let client = skipped.client.to_string();
            Json(Passed { consumer: name, client, offset: skipped.offset }).into_response()
        }
        // Nothing of this server works for one that comes by HTTP.
        Err(SkipError::Unknown(_)) if find(log, &name).is_none() => missing(&name),
        Err(SkipError::Unknown(_)) => error(
            StatusCode::CONFLICT,
            format!("{name} runs elsewhere: it passes over a line by itself, with PUT"),
        ),
        Err(why) => error(StatusCode::CONFLICT, why.to_string()),
    }
}

fn find(log: &Log, name: &str) -> Option<ConsumerInfo> {
    ConsumerInfo::find(&log.status().consumers, name)
}

fn refuse(name: &str, why: &ConsumerError) -> Response {
    match why {
        ConsumerError::Unknown(_) => missing(name),
        ConsumerError::Taken { .. } | ConsumerError::Running(_) => {
            error(StatusCode::CONFLICT, why.to_string())
        }
        ConsumerError::DiskFull => error(StatusCode::INSUFFICIENT_STORAGE, why.to_string()),
        ConsumerError::Stopped => super::stopping(),
        ConsumerError::Engine(_) => error(StatusCode::INTERNAL_SERVER_ERROR, why.to_string()),
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
