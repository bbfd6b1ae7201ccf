//! The HTTP server of the control API.

#![expect(clippy::result_large_err, reason = "the error is the answer, made once for each request")]

mod access;
mod body;
mod consumers;
mod events;
mod lines;
mod listener;
mod query;
mod records;
mod send;
mod state;
mod stream;
mod table;
#[cfg(feature = "nats")]
mod visitors;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::{from_fn_with_state, map_response};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use axum::{Json, Router};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

pub use self::access::Access;
use self::access::Gate;
use self::listener::Places;
#[cfg(feature = "nats")]
pub(crate) use self::listener::{CONNECTIONS, no_leader};
use self::query::Named;
use self::stream::{Frames, Streams};
#[cfg(feature = "nats")]
pub use self::visitors::Visitors;
use super::answers::{LinkInfo, LogInfo, Refused, ServerAnswer, VERSION};
use super::{Source, metrics};
use crate::times::now_ms;
use crate::web;

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
    #[cfg(feature = "nats")]
    visitors: Visitors,
}

/// Parts that all requests share.
#[derive(Clone)]
struct Api {
    source: Arc<dyn Source>,
    stop: CancellationToken,
    gate: Arc<Gate>,
    streams: Streams,
    event_frames: Arc<Frames>,
    line_frames: Arc<Frames>,
}

/// Methods and paths, as the documentation has them.
type Route = (&'static str, &'static [&'static str], fn() -> MethodRouter<Api>);

/// All paths with their methods. The test of the documentation asks for each of them.
const ROUTES: &[Route] = &[
    ("/healthz", &["GET"], || get(|| async { "ok" })),
    ("/readyz", &["GET"], || get(ready)),
    ("/metrics", &["GET"], || get(show_metrics)),
    ("/api/v1/server", &["GET"], || get(server)),
    ("/api/v1/session", &["GET", "POST", "DELETE"], || {
        get(access::show_session).post(access::open_session).delete(access::close_session)
    }),
    ("/api/v1/links", &["GET"], || get(links)),
    ("/api/v1/links/{id}", &["GET", "DELETE"], || get(one_link).delete(state::purge)),
    ("/api/v1/links/{id}/lines", &["GET", "POST"], || get(state::waiting).post(send::send)),
    ("/api/v1/outbox", &["GET", "POST", "DELETE"], || {
        get(state::outbox).post(state::send).delete(state::discard)
    }),
    ("/api/v1/lines", &["GET"], || get(lines::lines)),
    ("/api/v1/consumers", &["GET"], || get(consumers::list)),
    ("/api/v1/consumers/{name}", &["GET", "PUT", "DELETE"], || {
        get(consumers::show).put(consumers::put).delete(consumers::delete)
    }),
    ("/api/v1/consumers/{name}/skip", &["POST"], || post(consumers::skip)),
    ("/api/v1/consumers/{name}/rename", &["POST"], || post(consumers::rename)),
    ("/api/v1/outages", &["GET"], || get(records::outages)),
    ("/api/v1/reports", &["GET"], || get(records::reports)),
    ("/api/v1/events", &["GET"], || get(events::events)),
];

/// Returns all paths of the control API with their methods.
pub fn routes() -> impl Iterator<Item = (&'static str, &'static [&'static str])> {
    ROUTES.iter().map(|(path, methods, _)| (*path, *methods))
}

impl ControlServer {
    /// Serves `source` at `address` (port 0: any free port), for reading on this machine only.
    ///
    /// # Errors
    /// If the address cannot be listened on.
    pub async fn bind(address: SocketAddr, source: Arc<dyn Source>) -> Result<Self, BindError> {
        Self::bind_with(address, source, Access::default()).await
    }

    /// Serves `source` at `address` (port 0: any free port) to those who have access.
    ///
    /// At most 64 connections and 16 streams of events at a time, so that its descriptors never take those of
    /// boards. On a loopback address requests must also name a loopback host: a web page could otherwise read the
    /// API through a host name that it points at 127.0.0.1.
    ///
    /// # Errors
    /// If the address cannot be listened on.
    pub async fn bind_with(
        address: SocketAddr,
        source: Arc<dyn Source>,
        access: Access,
    ) -> Result<Self, BindError> {
        let refused = |error| BindError { address, error };
        let listener = TcpListener::bind(address).await.map_err(refused)?;
        Self::serve(listener, source, access).map_err(refused)
    }

    /// Serves `source` at a socket that listens already, as [`bind_with`](Self::bind_with).
    ///
    /// # Errors
    /// If the socket does not know its address.
    pub fn serve(
        listener: TcpListener,
        source: Arc<dyn Source>,
        access: Access,
    ) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let stop = CancellationToken::new();
        let loopback = address.ip().to_canonical().is_loopback();
        let api = Api {
            source,
            stop: stop.clone(),
            gate: Arc::new(Gate::new(access, loopback)),
            streams: Streams::default(),
            event_frames: Arc::default(),
            line_frames: Arc::default(),
        };
        let places = Places::default();
        #[cfg(feature = "nats")]
        let visitors = Visitors::new(api.clone(), places.clone());
        let task = tokio::spawn(listener::serve(listener, router(api), places, stop.clone()));
        Ok(Self {
            address,
            stop: stop.drop_guard(),
            task,
            #[cfg(feature = "nats")]
            visitors,
        })
    }

    /// Returns the way in for connections that other gateways have accepted.
    #[cfg(feature = "nats")]
    pub fn visitors(&self) -> Visitors {
        self.visitors.clone()
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

fn router(api: Api) -> Router {
    let mut router = Router::new();
    for (path, methods, handlers) in ROUTES {
        router = router.route(path, only(&methods.join(" and "), handlers()));
    }
    for file in web::FILES {
        let answer =
            move |method: Method, headers: HeaderMap| async move { file.answer(&method, &headers) };
        router = router.route(file.path, only("GET", get(answer)));
    }
    router
        .fallback(|| async { error(StatusCode::NOT_FOUND, "no such path; see docs/API.md") })
        .layer(from_fn_with_state(api.clone(), access::check))
        .layer(map_response(listener::add_date))
        .with_state(api)
}

/// Refuses other methods than these.
fn only(allowed: &str, handlers: MethodRouter<Api>) -> MethodRouter<Api> {
    let message = format!("this path only takes {allowed}");
    handlers.fallback(move || async move { error(StatusCode::METHOD_NOT_ALLOWED, message) })
}

/// Returns an answer that refuses, with what is wrong and what to do.
fn error(status: StatusCode, message: impl Into<String>) -> Response {
    let refused = Refused { error: message.into(), log: None, first: None, head: None };
    (status, Json(refused)).into_response()
}

/// Returns the answer of a server without a log.
fn no_log() -> Response {
    error(StatusCode::NOT_IMPLEMENTED, "this server keeps no log of lines: `pblink serve` does")
}

/// Returns the answer of one whose log cannot be read.
fn unreadable(why: &dyn std::fmt::Display) -> Response {
    error(StatusCode::INTERNAL_SERVER_ERROR, format!("the log cannot be read: {why}"))
}

/// Returns the answer of one that stops.
fn stopping() -> Response {
    let mut response = error(StatusCode::SERVICE_UNAVAILABLE, "the server is stopping");
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

async fn ready(State(api): State<Api>) -> Response {
    match api.source.log().and_then(|log| log.status().held) {
        Some(why) => error(StatusCode::SERVICE_UNAVAILABLE, why),
        None => "ok".into_response(),
    }
}

async fn show_metrics(State(api): State<Api>) -> Response {
    let text = metrics(&*api.source);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

async fn server(State(api): State<Api>, request: Request) -> Json<ServerAnswer> {
    let local = listener::peer(&request).is_some_and(|peer| peer.ip().to_canonical().is_loopback());
    let token_file = api.gate.token_file().filter(|_| local);
    Json(ServerAnswer {
        program: "pblink".to_owned(),
        api: VERSION,
        info: api.source.info(),
        log: api.source.log().map(LogInfo::of),
        token_file: token_file.map(|path| path.display().to_string()),
    })
}

async fn links(State(api): State<Api>) -> Json<Vec<LinkInfo>> {
    let now_ms = now_ms();
    let links = api.source.links().into_iter();
    Json(links.map(|link| LinkInfo::of(link, &*api.source, now_ms)).collect())
}

async fn one_link(State(api): State<Api>, Named(id): Named) -> Response {
    match api.source.link(&id) {
        Some(link) => Json(LinkInfo::of(link, &*api.source, now_ms())).into_response(),
        None => error(StatusCode::NOT_FOUND, format!("no link has the id {id:?}")),
    }
}
