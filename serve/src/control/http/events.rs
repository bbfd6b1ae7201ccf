//! Events as a stream, or those that are there.

use std::collections::VecDeque;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use pblink_server::{Event, EventKind};
use serde_json::json;

use super::super::Notice;
use super::super::answers::EventList;
use super::query::{Form, Parameters, Raw, form};
use super::stream::{KEEP_ALIVE, frame, respond};
use super::{Api, error, unreadable};
use crate::log::EventRow;

/// Events that are read from the log at once.
const PAGE: usize = 1000;

/// The most events of one answer.
const MOST: u64 = 10_000;

/// Answers with the history, and then what happens; with what was, for those who want JSON.
pub(super) async fn events(State(api): State<Api>, raw: Raw, headers: HeaderMap) -> Response {
    if form(&headers, &[Form::Json, Form::Stream]) == Some(Form::Json) {
        return match list(&api, raw).await {
            Ok(response) | Err(response) => response,
        };
    }
    let since = match Parameters::new(raw, &["since"])
        .and_then(|parameters| parameters.number("since", "the number of an event"))
    {
        Ok(since) => since,
        Err(response) => return response,
    };
    let permit = match api.streams.enter() {
        Ok(permit) => permit,
        Err(response) => return response,
    };
    let last = match last_event_id(&headers) {
        Ok(last) => last,
        Err(response) => return response,
    };
    let events = api.source.history().subscribe().after(last.or(since).unwrap_or(0));
    let frames = futures::stream::unfold((events, api.clone()), async |(mut events, api)| {
        let frame = match tokio::time::timeout(KEEP_ALIVE, events.next()).await {
            Err(_) => Bytes::from_static(b":\n\n"),
            Ok(notice) => frame_of(&api, &notice?),
        };
        Some((frame, (events, api)))
    });
    respond(&api, permit, frames)
}

/// Answers with events of the past, those of earlier runs of the server included if its log outlives it.
async fn list(api: &Api, raw: Raw) -> Result<Response, Response> {
    let parameters = Parameters::new(raw, &["from", "client", "kind", "limit"])?;
    let from_ms = parameters.time("from")?.unwrap_or(0);
    let limit = parameters.number("limit", "a number from 1 to 10000")?.unwrap_or(MOST);
    let limit = limit.clamp(1, MOST) as usize;
    let client = parameters.get("client");
    let kinds = kinds(&parameters)?;
    let fits = |event: &Event| {
        event.at_ms >= from_ms
            && client.is_none_or(|client| event.kind.id() == Some(client))
            && (kinds.is_empty() || kinds.contains(&event.kind.name()))
    };
    // The newest that fit.
    let mut events = VecDeque::new();
    let mut keep = |event: Event| {
        if fits(&event) {
            if events.len() == limit {
                events.pop_front();
            }
            events.push_back(event);
        }
    };
    let mut after = 0;
    if let Some(log) = api.source.log() {
        loop {
            let rows = log.events(after, PAGE).await.map_err(|error| unreadable(&error))?;
            let Some(last) = rows.last() else { break };
            after = last.id;
            for EventRow { id: seq, at_ms, json, .. } in rows {
                // A kind that this version does not know is left out.
                if let Ok(kind) = serde_json::from_str(&json) {
                    keep(Event { seq, at_ms, kind });
                }
            }
        }
    }
    // The newest are in the log with its next commit only.
    let mut newest = api.source.history().subscribe();
    while let Some(Some(notice)) = newest.next().now_or_never() {
        match notice {
            Notice::Event(event) if event.seq > after => {
                after = event.seq;
                keep((*event).clone());
            }
            Notice::Event(_) | Notice::Lagged(_) => {}
        }
    }
    let events = events.into();
    Ok(Json(EventList { last: after, events }).into_response())
}

/// Returns the kinds that are wanted; none: all.
///
/// # Errors
/// The answer to one that there is not.
fn kinds(parameters: &Parameters) -> Result<Vec<&str>, Response> {
    let kinds: Vec<_> = parameters.get("kind").into_iter().flat_map(|k| k.split(',')).collect();
    match kinds.iter().find(|kind| !EventKind::NAMES.contains(kind)) {
        None => Ok(kinds),
        Some(other) => {
            let names = EventKind::NAMES.join(", ");
            Err(error(
                StatusCode::BAD_REQUEST,
                format!("there is no kind {other:?}; give some of {names}"),
            ))
        }
    }
}

/// Returns the number of the last event that the reader has. A browser's EventSource repeats its first URL when it
/// reconnects, and adds this header: the header is the newer of the two.
///
/// # Errors
/// The answer to something that is no number.
pub(super) fn last_event_id(headers: &HeaderMap) -> Result<Option<u64>, Response> {
    let Some(value) = headers.get("last-event-id") else { return Ok(None) };
    match value.to_str().map(str::trim) {
        // A browser that has no id sends none; others send an empty one.
        Ok("") => Ok(None),
        Ok(text) => text.parse().map(Some).map_err(|_| {
            error(
                StatusCode::BAD_REQUEST,
                format!("`Last-Event-ID` is {text:?}, and must be a number"),
            )
        }),
        Err(_) => Err(error(StatusCode::BAD_REQUEST, "`Last-Event-ID` must be a number")),
    }
}

fn frame_of(api: &Api, notice: &Notice) -> Bytes {
    match notice {
        Notice::Event(event) => api.event_frames.get(event.seq, || {
            // Strings and numbers always serialise; the kind's name is the JSON's own tag.
            let data = serde_json::to_string(&**event).unwrap_or_default();
            frame(event.kind.name(), Some(event.seq), &data)
        }),
        Notice::Lagged(missed) => {
            frame("lagged", None, &json!({ "missed": missed }).to_string()).into()
        }
    }
}
