//! Lines that wait for clients, and decisions on the log of a running server: a client goes for good, and lines that a
//! restore has left undetermined are sent or dropped.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use pblink_server::LinkState;

use super::super::answers::{Decided, HeldLine, WaitingLine};
use super::access::MayWrite;
use super::query::{Named, Parameters, Raw};
use super::{Api, error};
use crate::log::{EngineError, Log, SendError};

/// Removes all that is kept of a client that is not connected.
pub(super) async fn purge(
    _: MayWrite,
    State(api): State<Api>,
    Named(id): Named,
    raw: Raw,
) -> Response {
    if let Err(response) = Parameters::new(raw, &[]) {
        return response;
    }
    let Some(log) = api.source.log() else { return super::no_log() };
    if api.source.link(&id).is_some_and(|link| link.state == LinkState::Up) {
        let message =
            format!("{id:?} is connected: switch it off first, or it is there again at once");
        return error(StatusCode::CONFLICT, message);
    }
    match log.purge(&id).await {
        Ok(()) => {
            api.source.history().forget(&id);
            StatusCode::NO_CONTENT.into_response()
        }
        Err(why @ EngineError::NotKept(_)) => error(StatusCode::NOT_IMPLEMENTED, why.to_string()),
        Err(why) => error(StatusCode::INTERNAL_SERVER_ERROR, why.to_string()),
    }
}

/// Answers with the lines that wait for a client, undetermined ones before the others.
pub(super) async fn waiting(State(api): State<Api>, Named(id): Named, raw: Raw) -> Response {
    if let Err(response) = Parameters::new(raw, &[]) {
        return response;
    }
    let Some(log) = api.source.log() else { return super::no_log() };
    let mut held = log.undetermined().await;
    held.retain(|row| *row.client == *id);
    let waiting = log.waiting(&id).await;
    if held.is_empty() && waiting.is_empty() && api.source.link(&id).is_none() {
        return error(StatusCode::NOT_FOUND, format!("no link has the id {id:?}"));
    }
    let lines = held.iter().map(|row| WaitingLine::of(row, true));
    let lines = lines.chain(waiting.iter().map(|row| WaitingLine::of(row, false)));
    Json(lines.collect::<Vec<_>>()).into_response()
}

/// Answers with the lines that are undetermined.
pub(super) async fn outbox(State(api): State<Api>, raw: Raw) -> Response {
    match chosen(&api, raw) {
        Err(response) => response,
        Ok((log, client)) => {
            let rows = log.undetermined().await.into_iter();
            let rows = rows.filter(|row| client.as_deref().is_none_or(|id| *row.client == *id));
            Json(rows.map(HeldLine::from).collect::<Vec<_>>()).into_response()
        }
    }
}

/// Has undetermined lines sent.
pub(super) async fn send(_: MayWrite, State(api): State<Api>, raw: Raw) -> Response {
    decide(&api, raw, true).await
}

/// Drops undetermined lines.
pub(super) async fn discard(_: MayWrite, State(api): State<Api>, raw: Raw) -> Response {
    decide(&api, raw, false).await
}

async fn decide(api: &Api, raw: Raw, send: bool) -> Response {
    let (log, client) = match chosen(api, raw) {
        Ok(chosen) => chosen,
        Err(response) => return response,
    };
    let client = client.as_deref();
    let decided = match send {
        true => log.send_undetermined(client).await,
        false => log.drop_undetermined(client).await,
    };
    match decided {
        Ok(lines) => Json(Decided { lines: lines as u64 }).into_response(),
        Err(SendError::Stopped) => super::stopping(),
        Err(why @ SendError::DiskFull) => error(StatusCode::INSUFFICIENT_STORAGE, why.to_string()),
        Err(why @ SendError::Unavailable) => {
            error(StatusCode::SERVICE_UNAVAILABLE, why.to_string())
        }
        Err(why) => error(StatusCode::TOO_MANY_REQUESTS, why.to_string()),
    }
}

fn chosen(api: &Api, raw: Raw) -> Result<(&Log, Option<String>), Response> {
    let parameters = Parameters::new(raw, &["client"])?;
    let log = api.source.log().ok_or_else(super::no_log)?;
    Ok((log, parameters.get("client").map(str::to_owned)))
}
