//! From an accepted socket to a link: the hello, and whether it is welcome.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use pblink_protocol::tcp::line::{BadId, MAX_ID, parse_hello};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{sleep, sleep_until, timeout};

use crate::event::{EventKind, Refusal};
use crate::registry::Inner;
use crate::session::{self, Admission, Session, Socket};

/// Room for the longest hello and what an ESP8266 sends along with it.
const HELLO_BUFFER: usize = 2 * MAX_ID;

/// After an error of `accept` the server waits this long, then twice as long, up to the limit.
const BACK_OFF: Duration = Duration::from_millis(10);
const MAX_BACK_OFF: Duration = Duration::from_secs(1);

/// Accepts connections until the server stops.
pub(crate) async fn accept(
    listener: TcpListener,
    inner: Arc<Inner>,
    mut stop: watch::Receiver<bool>,
) {
    let mut back_off = BACK_OFF;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|&stop| stop) => return,
        };
        match accepted {
            Ok((stream, peer)) => {
                back_off = BACK_OFF;
                welcome(stream, peer, &inner, &stop);
            }
            // The client gave up while it was waiting in the backlog.
            Err(e) if is_of_one_client(&e) => {}
            Err(error) => {
                // Out of file descriptors or memory: the connection stays in the backlog, so trying
                // again at once would only burn time.
                tracing::warn!(
                    %error,
                    "cannot accept connections; trying again in {back_off:?} (too many open files? \
                     raise `ulimit -n`)"
                );
                tokio::select! {
                    () = sleep(back_off) => {}
                    _ = stop.wait_for(|&stop| stop) => return,
                }
                back_off = (back_off * 2).min(MAX_BACK_OFF);
            }
        }
    }
}

fn is_of_one_client(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
    )
}

/// Gives a connection a task of its own: nothing that it does can hold up another.
fn welcome(stream: TcpStream, peer: SocketAddr, inner: &Arc<Inner>, stop: &watch::Receiver<bool>) {
    // An IPv4 client of a dual-stack socket shows as its IPv4 address.
    let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
    let Ok(permit) = Arc::clone(&inner.connections).try_acquire_owned() else {
        refuse(inner, None, peer, Refusal::TooMany);
        return;
    };
    let (inner, stop) = (Arc::clone(inner), stop.clone());
    tokio::spawn(serve(stream, peer, inner, stop, permit));
}

async fn serve(
    mut stream: TcpStream,
    peer: SocketAddr,
    inner: Arc<Inner>,
    mut stop: watch::Receiver<bool>,
    // Given back when the task ends: that is how a shutdown knows.
    _permit: OwnedSemaphorePermit,
) {
    let mut buffer = [0; HELLO_BUFFER];
    let greeted = tokio::select! {
        greeted = greet(&mut stream, &mut buffer, &inner) => greeted,
        _ = stop.wait_for(|&stop| stop) => return,
    };
    let (session, hello, len) = match greeted {
        Ok(greeted) => greeted,
        Err((id, reason)) => {
            refuse(&inner, id, peer, reason);
            return;
        }
    };
    let (socket, incoming) = session::split(stream);
    let admitted = tokio::select! {
        admitted = admit(&session, &socket, peer) => admitted,
        _ = stop.wait_for(|&stop| stop) => return,
    };
    drop(stop);
    match admitted {
        Admission::Attached => session::run(&session, socket, incoming, &buffer[hello..len]).await,
        Admission::Duplicate => {
            refuse(&inner, Some(session.id.clone()), peer, Refusal::Duplicate);
        }
        Admission::Wait(_) | Admission::Over => {}
    }
}

/// Reads the hello and finds its session. Returns how long the hello is, and how much was read.
async fn greet(
    stream: &mut TcpStream,
    buffer: &mut [u8; HELLO_BUFFER],
    inner: &Inner,
) -> Result<(Arc<Session>, usize, usize), (Option<String>, Refusal)> {
    let limit = Duration::from_micros(inner.shared.limits.timing.timeout.as_micros());
    let (hello, len) = timeout(limit, read_hello(stream, buffer))
        .await
        .unwrap_or(Err(Refusal::HelloTimeout))
        .map_err(|reason| (None, reason))?;
    let id = match parse_hello(&buffer[..hello - 1]) {
        Ok(id) => id,
        Err(BadId::TooLong) => return Err((None, Refusal::HelloTooLong)),
        Err(_) => {
            let shown = buffer[..hello - 1].escape_ascii().to_string();
            return Err((Some(shown), Refusal::BadHello));
        }
    };
    match inner.session_of_client(id) {
        Ok(session) => Ok((session, hello, len)),
        Err(reason) => Err((Some(id.to_owned()), reason)),
    }
}

async fn read_hello(
    stream: &mut TcpStream,
    buffer: &mut [u8; HELLO_BUFFER],
) -> Result<(usize, usize), Refusal> {
    let mut len = 0;
    loop {
        let n = match stream.read(&mut buffer[len..]).await {
            Ok(0) | Err(_) => return Err(Refusal::ClosedEarly),
            Ok(n) => n,
        };
        let newline = buffer[len..len + n].iter().position(|&b| b == b'\n');
        if let Some(at) = newline {
            return Ok((len + at + 1, len + n));
        }
        len += n;
        if len > MAX_ID {
            return Err(Refusal::HelloTooLong);
        }
    }
}

/// Waits until it is clear whether an older connection with this id is dead.
async fn admit(session: &Arc<Session>, socket: &Arc<Socket>, peer: SocketAddr) -> Admission {
    let clock = session.shared.clock;
    let arrived = clock.now();
    loop {
        let changed = session.changed.notified();
        match session.admit(socket, peer, arrived) {
            Admission::Wait(until) => tokio::select! {
                () = changed => {}
                () = sleep_until(clock.at(until)) => {}
            },
            decided => return decided,
        }
    }
}

fn refuse(inner: &Inner, id: Option<String>, peer: SocketAddr, reason: Refusal) {
    inner.shared.bus.publish(EventKind::Refused { id, peer: peer.to_string(), reason });
}
