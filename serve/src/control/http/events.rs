//! Events as a stream.

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde_json::json;

use super::super::Notice;
use super::query::{Parameters, Raw};
use super::stream::{KEEP_ALIVE, frame, respond};
use super::{Api, error};

/// Answers with the history, and then what happens.
pub(super) async fn events(State(api): State<Api>, raw: Raw, headers: HeaderMap) -> Response {
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
            let kind = serde_json::to_value(&event.kind).unwrap_or_default();
            frame(kind["event"].as_str().unwrap_or("event"), Some(event.seq), &data)
        }),
        Notice::Lagged(missed) => {
            frame("lagged", None, &json!({ "missed": missed }).to_string()).into()
        }
    }
}
