//! Connections of the control API: how many, and how long each may take.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Sleep;
use tokio_util::sync::CancellationToken;

use crate::times::http_date;

/// Connections at a time. All the others belong to boards.
pub(crate) const CONNECTIONS: usize = 64;

/// Connections at a time that are told that there are too many; more are closed without a word.
const TURNED_AWAY: usize = 16;

/// Limit for the head of a request, and for a connection without one.
const HEAD: Duration = Duration::from_secs(30);

/// Limit for a peer that takes no byte of an answer.
const STUCK: Duration = Duration::from_secs(30);

/// Limit for a peer that is told that it is not answered.
const FAREWELL: Duration = Duration::from_secs(1);

/// Bytes of a request's head, and of an answer that wait.
const BUFFER: usize = 64 * 1024;

/// Pause after the system has no descriptor left.
const PAUSE: Duration = Duration::from_millis(100);

/// Answer to a connection that is one too many.
const TOO_MANY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\n\
    Retry-After: 1\r\nConnection: close\r\nContent-Length: 68\r\n\r\n\
    {\"error\":\"the control API has 64 connections already: close some\"}\r\n";

/// Answer of a gateway that stands by and knows none that leads.
#[cfg(feature = "nats")]
const NO_LEADER: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\n\
    Retry-After: 1\r\nConnection: close\r\nContent-Length: 85\r\n\r\n\
    {\"error\":\"this gateway stands by, and reaches none that leads: ask again in a while\"}";

/// Connections that there is room for.
#[derive(Debug, Clone)]
pub(super) struct Places {
    permits: Arc<Semaphore>,
    farewells: Arc<Semaphore>,
}

impl Default for Places {
    fn default() -> Self {
        let places = |count| Arc::new(Semaphore::new(count));
        Self { permits: places(CONNECTIONS), farewells: places(TURNED_AWAY) }
    }
}

impl Places {
    /// Answers a connection, or tells it that it is one too many.
    pub(super) async fn answer(
        self,
        stream: impl AsyncRead + AsyncWrite + Unpin,
        peer: SocketAddr,
        router: Router,
        stop: CancellationToken,
    ) {
        if let Ok(_permit) = self.permits.try_acquire_owned() {
            answer(stream, peer, router, stop).await;
        } else if let Ok(_permit) = self.farewells.try_acquire_owned() {
            // Whoever does not take the answer does not get it.
            let _ = turn_away(stream, TOO_MANY).await;
        }
    }
}

/// The address of a request's sender.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer(pub(super) SocketAddr);

/// Answers connections until `stop`, and finishes those that are there.
pub(super) async fn serve(
    listener: TcpListener,
    router: Router,
    places: Places,
    stop: CancellationToken,
) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => break,
        };
        while connections.try_join_next().is_some() {}
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::debug!("no connection to the control API: {error}");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        // Events are small and should arrive when they happen.
        let _ = stream.set_nodelay(true);
        connections.spawn(places.clone().answer(stream, peer, router.clone(), stop.clone()));
    }
    while connections.join_next().await.is_some() {}
}

async fn answer(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    peer: SocketAddr,
    router: Router,
    stop: CancellationToken,
) {
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(Peer(peer));
        router.call(request)
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD).max_buf_size(BUFFER);
    // Its own would panic when the clock stands before 1970.
    http.auto_date_header(false);
    let mut connection =
        std::pin::pin!(http.serve_connection(TokioIo::new(Patient::new(stream)), service));
    let done = tokio::select! {
        done = connection.as_mut() => done,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = done {
        tracing::debug!("connection of {peer} to the control API: {error}");
    }
}

/// Says that there are too many. Reads what comes: closed with bytes unread, the answer would be lost.
async fn turn_away(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    answer: &[u8],
) -> io::Result<()> {
    let said = async {
        stream.write_all(answer).await?;
        stream.shutdown().await?;
        let mut sink = [0; 1024];
        while stream.read(&mut sink).await? > 0 {}
        Ok(())
    };
    tokio::time::timeout(FAREWELL, said).await?
}

/// Tells a connection to a gateway that stands by that none leads.
///
/// # Errors
/// If it does not take that.
#[cfg(feature = "nats")]
pub(crate) async fn no_leader(stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
    turn_away(stream, NO_LEADER).await
}

/// Adds the date to an answer, if the clock is right about the century.
pub(super) async fn add_date(mut response: Response) -> Result<Response, Infallible> {
    if let Some(date) = http_date(SystemTime::now())
        && let Ok(date) = HeaderValue::from_str(&date)
    {
        response.headers_mut().insert(header::DATE, date);
    }
    Ok(response)
}

/// Returns the sender of a request. Requests without one, which only tests make, are treated as coming from afar.
pub(super) fn peer(request: &Request) -> Option<SocketAddr> {
    request.extensions().get::<Peer>().map(|peer| peer.0)
}

/// A socket whose peer has to take something now and then.
struct Patient<S> {
    stream: S,
    stuck: Pin<Box<Sleep>>,
    waits: bool,
}

impl<S> Patient<S> {
    fn new(stream: S) -> Self {
        Self { stream, stuck: Box::pin(tokio::time::sleep(STUCK)), waits: false }
    }

    fn watch<T>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.waits = false;
            return written;
        }
        if !self.waits {
            self.waits = true;
            self.stuck.as_mut().reset(tokio::time::Instant::now() + STUCK);
        }
        ready!(self.stuck.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.watch(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.watch(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.watch(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(answer: &[u8]) -> String {
        let text = std::str::from_utf8(answer).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(
            head.ends_with(&format!("Content-Length: {}", body.len())),
            "{head} {}",
            body.len()
        );
        let error: serde_json::Value = serde_json::from_str(body).unwrap();
        error["error"].as_str().unwrap().to_owned()
    }

    #[test]
    fn answers_without_a_server_are_as_long_as_they_say() {
        assert!(error(TOO_MANY).contains(&CONNECTIONS.to_string()));
        #[cfg(feature = "nats")]
        assert!(error(NO_LEADER).contains("stands by"));
    }
}
