//! Lines to a client.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use pblink_protocol::tcp::line::check_id;
use pblink_server::Delivery;

use super::super::answers::Accepted;
use super::access::MayWrite;
use super::body::read_body;
use super::query::{Named, Parameters, Raw};
use super::{Api, error};
use crate::log::{MAX_WAITING, MAX_WAITING_BYTES, Outgoing, SendError};
use crate::message::{Message, read_delivery};

/// The longest that a request waits for the acknowledgement.
const WAIT: Duration = Duration::from_secs(60);

/// The longest key in bytes.
const KEY: usize = 128;

/// Puts lines into the log, from which they go to the client.
pub(super) async fn send(
    _: MayWrite,
    State(api): State<Api>,
    Named(id): Named,
    raw: Raw,
    headers: HeaderMap,
    body: Body,
) -> Response {
    match take(&api, &id, raw, &headers, body).await {
        Ok(response) | Err(response) => response,
    }
}

async fn take(
    api: &Api,
    id: &str,
    raw: Raw,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, Response> {
    let log = api.source.log().ok_or_else(super::no_log)?;
    let parameters = Parameters::new(raw, &["wait", "delivery"])?;
    let wait = parameters.length("wait", WAIT)?;
    let key = key(headers)?;
    if api.source.link(id).is_none() {
        return Err(unknown(id));
    }
    let body = read_body(body).await?;
    let Message { lines: texts, delivery } = match is_json(headers) {
        true => Message::from_json(&body).map_err(bad)?,
        false => Message { lines: plain(&body)?, delivery: None },
    };
    let delivery = match (delivery, parameters.get("delivery")) {
        (Some(delivery), _) => delivery,
        (None, Some(name)) => read_delivery(name).map_err(bad)?,
        (None, None) => Delivery::ORDERED,
    };
    let bytes = texts.iter().map(String::len).sum::<usize>();
    if texts.is_empty() {
        return Err(bad("there is no line in the request"));
    }
    if texts.len() > MAX_WAITING || (texts.len() > 1 && bytes > MAX_WAITING_BYTES) {
        let message = format!(
            "{} lines with {bytes} bytes are more than wait for a client at a time: send at most \
             {MAX_WAITING} lines and {} KB at once",
            texts.len(),
            MAX_WAITING_BYTES / 1024
        );
        return Err(error(StatusCode::PAYLOAD_TOO_LARGE, message));
    }
    let client: Arc<str> = id.into();
    let lines = texts.len() as u64;
    let outgoing =
        |text: String| Outgoing { client: Arc::clone(&client), text: text.into(), delivery };
    let sent = log.send(texts.into_iter().map(outgoing).collect(), key).await;
    let sent = sent.map_err(|why| refuse(&why))?;
    let acknowledged = tokio::select! {
        // An error: the server stops, and the next one delivers the lines.
        done = sent.done => done.is_ok(),
        () = tokio::time::sleep(wait) => false,
        () = api.stop.cancelled() => false,
    };
    let status = if acknowledged { StatusCode::OK } else { StatusCode::ACCEPTED };
    let answer = Accepted { row: sent.row, lines, repeated: sent.repeated, acknowledged };
    Ok((status, Json(answer)).into_response())
}

fn unknown(id: &str) -> Response {
    let message = match check_id(id) {
        Ok(_) => format!(
            "no client {id:?} is expected or was ever here; see /api/v1/links for those that are, or add it with: \
             pblink config set server.clients …"
        ),
        Err(why) => format!("{id:?} is no client's id: {why}"),
    };
    error(StatusCode::NOT_FOUND, message)
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default();
    kind.trim().eq_ignore_ascii_case("application/json")
}

/// Each line of the text is one; the end of the last one may be missing.
fn plain(body: &[u8]) -> Result<Vec<String>, Response> {
    let text = std::str::from_utf8(body).map_err(|_| bad("lines are UTF-8 text"))?;
    Ok(text.lines().map(str::to_owned).collect())
}

fn key(headers: &HeaderMap) -> Result<Option<Arc<str>>, Response> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    let key = value.to_str().ok().map(str::trim).filter(|key| (1..=KEY).contains(&key.len()));
    let message = "`Idempotency-Key` must be a text of 1 to 128 bytes";
    key.map(|key| Some(key.into())).ok_or_else(|| bad(message))
}

fn bad(message: impl Into<String>) -> Response {
    error(StatusCode::BAD_REQUEST, message)
}

fn refuse(why: &SendError) -> Response {
    let (status, retry) = match why {
        SendError::Text(_) | SendError::TooLong { .. } => (StatusCode::BAD_REQUEST, None),
        SendError::OutboxFull { .. } => (StatusCode::TOO_MANY_REQUESTS, Some(1)),
        SendError::KeyReused { .. } => (StatusCode::UNPROCESSABLE_ENTITY, None),
        SendError::DiskFull => (StatusCode::INSUFFICIENT_STORAGE, Some(10)),
        SendError::Stopped | SendError::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, Some(1)),
    };
    let mut response = error(status, why.to_string());
    if let Some(seconds) = retry {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}
