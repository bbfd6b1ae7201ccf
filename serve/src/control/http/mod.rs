//! The HTTP server of the control API.

mod records;

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::sse::{self, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::serve::ListenerExt;
use axum::{Json, Router};
use futures::{Stream, StreamExt};
use serde::Deserialize;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{EventStream, Notice, Source, metrics};

/// Interval at which an event stream without events shows that it lives.
const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// Time that a stop waits for connections whose peers do not take what is left.
const GRACE: Duration = Duration::from_secs(1);

/// The control API could not be bound.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot listen at {address} for the control API: {error}; \
     choose another address with --control ADDR:PORT, or --control off"
)]
pub struct BindError {
    /// The address.
    pub address: SocketAddr,
    /// The system's error.
    #[source]
    pub error: io::Error,
}

/// A running control API. Dropping it stops it; [`ControlServer::shutdown`] also waits.
#[derive(Debug)]
pub struct ControlServer {
    address: SocketAddr,
    stop: DropGuard,
    task: JoinHandle<()>,
}

#[derive(Clone)]
struct Api {
    source: Arc<dyn Source>,
    stop: CancellationToken,
}

impl ControlServer {
    /// Serves `source` at `address` (port 0: any free port).
    ///
    /// The API has no authentication, so any address that is not loopback must be the user's
    /// explicit choice. On a loopback address requests must also name a loopback host: a web page
    /// could otherwise read the API through a host name that it points at 127.0.0.1.
    pub async fn bind(address: SocketAddr, source: Arc<dyn Source>) -> Result<Self, BindError> {
        let refused = |error| BindError { address, error };
        let listener = TcpListener::bind(address).await.map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        let stop = CancellationToken::new();
        let router =
            router(Api { source, stop: stop.clone() }, address.ip().to_canonical().is_loopback());
        // Events are small and should arrive when they happen.
        let listener = listener.tap_io(|stream| {
            let _ = stream.set_nodelay(true);
        });
        let stopped = stop.clone().cancelled_owned();
        let task = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).with_graceful_shutdown(stopped).await
            {
                tracing::error!("the control API stopped: {error}");
            }
        });
        Ok(Self { address, stop: stop.drop_guard(), task })
    }

    /// Returns the address with its real port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops: accepts no more, ends event streams, finishes answers. Takes at most about a second.
    pub async fn shutdown(self) {
        drop(self.stop);
        let mut task = self.task;
        if tokio::time::timeout(GRACE, &mut task).await.is_err() {
            task.abort();
        }
    }
}

fn router(api: Api, loopback_only: bool) -> Router {
    let router = Router::new()
        .route("/healthz", get(|| async { "ok" }))
        .route("/metrics", get(show_metrics))
        .route(
            "/api/v1/server",
            get(|State(api): State<Api>| async move { Json(api.source.info()) }),
        )
        .route(
            "/api/v1/links",
            get(|State(api): State<Api>| async move { Json(api.source.links()) }),
        )
        .route("/api/v1/links/{id}", get(one_link))
        .route("/api/v1/outages", get(records::outages))
        .route("/api/v1/reports", get(records::reports))
        .route("/api/v1/events", get(events))
        .fallback(|| async { error(StatusCode::NOT_FOUND, "no such path; see /api/v1/server") })
        .method_not_allowed_fallback(|| async {
            error(StatusCode::METHOD_NOT_ALLOWED, "this API only reads: use GET")
        })
        .with_state(api);
    if loopback_only { router.layer(from_fn(check_host)) } else { router }
}

fn error(status: StatusCode, message: impl Into<String>) -> Response {
    (status, Json(json!({ "error": message.into() }))).into_response()
}

async fn check_host(request: Request, next: Next) -> Response {
    // A request line may carry the whole URL; its host then counts, as HTTP says.
    let host = request.uri().host().or_else(|| {
        let host = request.headers().get(header::HOST)?.to_str().ok()?;
        Some(without_port(host))
    });
    if host.is_some_and(is_loopback_name) {
        next.run(request).await
    } else {
        error(
            StatusCode::FORBIDDEN,
            "this API is local: ask for it as localhost, 127.0.0.1 or [::1]",
        )
    }
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        // "[::1]" has colons but no port.
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    }
}

fn is_loopback_name(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
    host.eq_ignore_ascii_case("localhost")
        || bare.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
}

async fn show_metrics(State(api): State<Api>) -> Response {
    let text = metrics(&*api.source);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

async fn one_link(State(api): State<Api>, Path(id): Path<String>) -> Response {
    match api.source.link(&id) {
        Some(link) => Json(link).into_response(),
        None => error(StatusCode::NOT_FOUND, format!("no link has the id {id:?}")),
    }
}

#[derive(Deserialize)]
struct Since {
    since: Option<u64>,
}

async fn events(
    State(api): State<Api>,
    query: Result<Query<Since>, QueryRejection>,
    headers: HeaderMap,
) -> Response {
    let Ok(Query(Since { since })) = query else {
        return error(StatusCode::BAD_REQUEST, "`since` must be the number of an event");
    };
    // A browser's EventSource repeats its first URL when it reconnects, and adds this header: the
    // header is the newer of the two.
    let last = headers.get("last-event-id").and_then(|v| v.to_str().ok()?.trim().parse().ok());
    let events = api.source.history().subscribe().after(last.or(since).unwrap_or(0));
    // An open stream would otherwise hold up the server's stop for ever.
    let stream = sse_stream(events).take_until(api.stop.cancelled_owned());
    Sse::new(stream).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response()
}

fn sse_stream(events: EventStream) -> impl Stream<Item = Result<sse::Event, Infallible>> {
    futures::stream::unfold(events, async |mut events| {
        let notice = events.next().await?;
        Some((Ok(sse_event(&notice)), events))
    })
}

fn sse_event(notice: &Notice) -> sse::Event {
    match notice {
        Notice::Event(event) => {
            // Strings and numbers always serialise; the kind's name is the JSON's own tag.
            let data = serde_json::to_string(&**event).unwrap_or_default();
            let kind = serde_json::to_value(&event.kind).unwrap_or_default();
            sse::Event::default()
                .id(event.seq.to_string())
                .event(kind["event"].as_str().unwrap_or("event"))
                .data(data)
        }
        Notice::Lagged(missed) => {
            sse::Event::default().event("lagged").data(json!({ "missed": missed }).to_string())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_hosts_pass() {
        for host in ["localhost", "LOCALHOST:8124", "127.0.0.1", "127.1.2.3:80", "[::1]", "[::1]:9"]
        {
            assert!(is_loopback_name(without_port(host)), "{host}");
        }
        for host in
            ["", "evil.example", "localhost.evil.example:8124", "10.0.0.1", "[::2]:80", "::"]
        {
            assert!(!is_loopback_name(without_port(host)), "{host}");
        }
    }
}
