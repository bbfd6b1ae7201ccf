//! Bodies of requests.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use axum::response::Response;

use super::error;

/// Bytes of a request's body.
const MAX: usize = 1 << 20;

/// Limit for all of it to come.
const PATIENCE: Duration = Duration::from_secs(10);

/// Reads a body.
///
/// # Errors
/// The answer to one that is too large, too slow or cut off.
pub(super) async fn read_body(body: Body) -> Result<Bytes, Response> {
    match tokio::time::timeout(PATIENCE, axum::body::to_bytes(body, MAX)).await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(why)) if is_too_long(&why) => Err(error(
            StatusCode::PAYLOAD_TOO_LARGE,
            "the request is longer than 1 MB: send it in parts",
        )),
        Ok(Err(_)) => Err(error(StatusCode::BAD_REQUEST, "the request was cut off")),
        Err(_) => Err(error(StatusCode::REQUEST_TIMEOUT, "the request did not come within 10 s")),
    }
}

fn is_too_long(error: &axum::Error) -> bool {
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = next {
        if error.is::<http_body_util::LengthLimitError>() {
            return true;
        }
        next = error.source();
    }
    false
}
