//! Streams of server-sent events: how many, and each event serialised once for all of them.

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::fmt::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::{Stream, StreamExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{Api, error};

/// Streams at a time.
pub(super) const STREAMS: usize = 16;

/// Interval at which a stream without events shows that it lives.
pub(super) const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// Bytes of frames that are kept for streams that come to them later.
const FRAMES: usize = 4 << 20;

/// Room for streams.
#[derive(Debug, Clone)]
pub(super) struct Streams(Arc<Semaphore>);

impl Default for Streams {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(STREAMS)))
    }
}

impl Streams {
    /// Takes room for one.
    ///
    /// # Errors
    /// The answer if there is none.
    pub(super) fn enter(&self) -> Result<OwnedSemaphorePermit, Response> {
        Arc::clone(&self.0).try_acquire_owned().map_err(|_| {
            let message = format!("{STREAMS} event streams are open already: close one");
            let mut response = error(StatusCode::SERVICE_UNAVAILABLE, message);
            let soon = header::HeaderValue::from_static("5");
            response.headers_mut().insert(header::RETRY_AFTER, soon);
            response
        })
    }
}

/// The newest frames, by their numbers.
#[derive(Debug, Default)]
pub(super) struct Frames(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    frames: HashMap<u64, Bytes>,
    order: VecDeque<u64>,
    bytes: usize,
}

impl Frames {
    /// Returns the frame of this number, and makes it if it is not there.
    pub(super) fn get(&self, number: u64, make: impl FnOnce() -> String) -> Bytes {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(frame) = kept.frames.get(&number) {
            return frame.clone();
        }
        let frame = Bytes::from(make());
        kept.bytes += frame.len();
        kept.frames.insert(number, frame.clone());
        kept.order.push_back(number);
        while kept.bytes > FRAMES
            && let Some(old) = kept.order.pop_front()
        {
            kept.bytes -= kept.frames.remove(&old).map_or(0, |frame| frame.len());
        }
        frame
    }
}

/// Returns an event as it goes over the wire. `data` must be one line.
pub(super) fn frame(event: &str, id: Option<u64>, data: &str) -> String {
    let mut text = format!("event: {event}\ndata: {data}\n");
    if let Some(id) = id {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "id: {id}");
    }
    text.push('\n');
    text
}

/// Answers with a stream, which ends with the API.
pub(super) fn respond(
    api: &Api,
    permit: OwnedSemaphorePermit,
    frames: impl Stream<Item = Bytes> + Send + 'static,
) -> Response {
    // An open stream would otherwise hold up the server's stop for ever.
    let stream = frames.take_until(api.stop.clone().cancelled_owned());
    let stream = stream.map(move |frame| {
        // Room is taken for as long as the stream is there.
        let _ = &permit;
        Ok::<_, Infallible>(frame)
    });
    let headers =
        [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-cache")];
    (headers, Body::from_stream(stream)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_made_once_for_all_streams_and_few_are_kept() {
        let frames = Frames::default();
        let mut made = 0;
        for _stream in 0..16 {
            for number in 1..=100 {
                let frame = frames.get(number, || {
                    made += 1;
                    frame("note", Some(number), "{}")
                });
                assert_eq!(frame, format!("event: note\ndata: {{}}\nid: {number}\n\n"));
            }
        }
        assert_eq!(made, 100);
        for number in 0..10_000 {
            frames.get(1000 + number, || "x".repeat(1000));
        }
        let kept = frames.0.lock().unwrap();
        assert!(kept.bytes <= FRAMES && kept.frames.len() == kept.order.len());
        assert!(kept.frames.contains_key(&10_999) && !kept.frames.contains_key(&1));
    }
}
