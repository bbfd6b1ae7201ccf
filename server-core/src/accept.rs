//! From an accepted socket to a link: the hello, and whether it is welcome.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;

use pblink_protocol::tcp::line::{BadId, Escaped, MAX_ID};
use pblink_protocol::tcp::lobby::{self, Guest};
use pblink_protocol::time::{Duration, Instant};
use tokio::io::ReadBuf;
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{Sleep, sleep, sleep_until};

use crate::event::{Cause, Refusal};
use crate::keys::{Keys, Route};
use crate::registry::Inner;
use crate::session::{self, Admission, Clock, Incoming, Session, Socket, Stream, Visit};
use crate::sources::Place;

/// Room for the longest hello and what an ESP8266 sends along with it.
const HELLO_BUFFER: usize = 2 * MAX_ID;

/// Connections that are accepted in one go before anything else is looked at.
const BURST: usize = 64;

/// After an error of `accept` the server waits this long, then twice as long, up to the limit.
const BACK_OFF: std::time::Duration = std::time::Duration::from_millis(10);
const MAX_BACK_OFF: std::time::Duration = std::time::Duration::from_secs(1);

/// Accepts connections until the server stops.
pub(crate) async fn accept(
    listener: TcpListener,
    inner: Arc<Inner>,
    mut stop: watch::Receiver<bool>,
) {
    let mut back_off = BACK_OFF;
    let mut burst = 0;
    loop {
        // Those that wait already first, without preparing for anything else.
        let at_once = match burst < BURST {
            true => poll_fn(|cx| Poll::Ready(listener.poll_accept(cx))).await,
            false => Poll::Pending,
        };
        burst += 1;
        let accepted = match at_once {
            Poll::Ready(accepted) => accepted,
            Poll::Pending => {
                burst = 0;
                tokio::select! {
                    // In this order: whoever connects without end is not to keep the server from ending.
                    biased;
                    _ = stop.wait_for(|&stop| stop) => return,
                    () = counted(&inner) => continue,
                    accepted = listener.accept() => accepted,
                }
            }
        };
        match accepted {
            Ok((stream, peer)) => {
                back_off = BACK_OFF;
                welcome(stream.into(), peer, &inner, &stop);
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

/// Waits until refusals were counted for long enough, and publishes the counts.
async fn counted(inner: &Inner) {
    let clock = inner.shared.clock;
    loop {
        let Some(at) = inner.refusals.poll_at() else {
            inner.refusals.changed().await;
            continue;
        };
        sleep_until(clock.at(at)).await;
        for event in inner.refusals.due(clock.now()) {
            inner.shared.bus.publish(event);
        }
        return;
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
pub(crate) fn welcome(
    stream: Stream,
    peer: SocketAddr,
    inner: &Arc<Inner>,
    stop: &watch::Receiver<bool>,
) {
    // An IPv4 client of a dual-stack socket shows as its IPv4 address.
    let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
    let Ok(permit) = Arc::clone(&inner.connections).try_acquire_owned() else {
        refuse(inner, None, peer, Refusal::TooMany);
        return;
    };
    let (Some(present), Some(pending)) =
        (inner.present.enter(peer.ip()), inner.pending.enter(peer.ip()))
    else {
        refuse(inner, None, peer, Refusal::TooManyFromAddress);
        return;
    };
    let (inner, stop) = (Arc::clone(inner), stop.clone());
    let places = Places { _connection: permit, _present: present };
    // In a box: what is spawned is moved seven times before it runs.
    tokio::spawn(Box::pin(serve(stream, peer, inner, stop, places, pending)));
}

/// The places that a connection takes up.
struct Places {
    /// Given back when the task ends: that is how a shutdown knows.
    _connection: OwnedSemaphorePermit,
    _present: Place,
}

async fn serve(
    mut stream: Stream,
    peer: SocketAddr,
    inner: Arc<Inner>,
    mut stop: watch::Receiver<bool>,
    _places: Places,
    // Given back when the connection has a session.
    pending: Place,
) {
    let clock = inner.shared.clock;
    let mut guest = Guest::new(clock.now(), inner.shared.limits.timing);
    let mut buffer = [0; HELLO_BUFFER];
    // One for hello and session. It is set to no later than the session needs, since a timer that is postponed
    // costs next to nothing, and one that is set for the first time a lock and often a call to the system.
    let pace = inner.shared.limits.timing.keepalive();
    let mut timer = pin!(sleep_until(clock.at(next_look(&guest, clock.now(), pace))));
    let greeted = tokio::select! {
        biased;
        greeted = greet(&mut stream, &mut guest, &mut buffer, timer.as_mut(), (clock, pace)) => greeted,
        _ = stop.wait_for(|&stop| stop) => return,
    };
    let first = match greeted {
        Ok(first) => first,
        Err(reason) => return refuse(&inner, shown_hello(&guest, reason), peer, reason),
    };
    if let Some(gate) = &inner.gate {
        let opens = tokio::select! {
            biased;
            opens = gate.opens() => opens,
            _ = stop.wait_for(|&stop| stop) => return,
        };
        if !opens {
            return;
        }
    }
    let (socket, incoming) = session::split(stream);
    let id = guest.id().unwrap_or_default();
    let route = inner.route(id);
    if route != Route::Classic {
        let (id, connection) = (id.to_owned(), (socket, incoming, peer));
        drop(stop);
        return prove(&inner, (id, route), connection, &buffer[first], (timer, pending)).await;
    }
    let mut again = true;
    let session = loop {
        let id = guest.id().unwrap_or_default();
        let session = match inner.session_of_client(id) {
            Ok(session) => session,
            Err(reason) => return refuse(&inner, Some(id.to_owned()), peer, reason),
        };
        let admitted = tokio::select! {
            biased;
            admitted = admit(&session, &mut guest, &socket, peer) => admitted,
            _ = stop.wait_for(|&stop| stop) => return,
        };
        match admitted {
            // The list of clients may have changed since it was looked at.
            Admission::Attached if !inner.is_welcome(&session.id) => {
                session.end(Cause::NotExpected);
                return;
            }
            Admission::Attached => break session,
            Admission::Duplicate => {
                return refuse(&inner, Some(session.id.clone()), peer, Refusal::Duplicate);
            }
            // It was forgotten just now, to make room for another. Or the server is shut down.
            Admission::Over if std::mem::take(&mut again) => {}
            Admission::Wait(_) | Admission::Over => return,
        }
    };
    drop(stop);
    drop(pending);
    session::run(&session, socket, incoming, &buffer[first], timer).await;
}

/// Serves a connection whose client has to prove who it is. `first` came together with the hello.
async fn prove(
    inner: &Arc<Inner>,
    (id, route): (String, Route),
    (socket, incoming, peer): (Arc<Socket>, Incoming, SocketAddr),
    first: &[u8],
    (timer, mut pending): (Pin<&mut Sleep>, Place),
) {
    let visit = Arc::new(Visit::default());
    let mut again = true;
    let session = loop {
        let session = match route {
            // It has no keys, and does not learn that.
            Route::Stranger => {
                Session::secure(id.clone(), Arc::clone(&inner.shared), &Keys::default())
            }
            Route::Secure | Route::Classic => inner.session(&id),
        };
        match session.visit((Arc::clone(&socket), peer), Arc::clone(&visit), pending) {
            Ok(()) => break session,
            // It was shut down, or has just given way to one with keys.
            Err(back) if std::mem::take(&mut again) => pending = back,
            Err(_) => return,
        }
    };
    session::run(&session, socket, incoming, first, timer).await;
    if !visit.is_proven() {
        let reason = match visit.is_plain() {
            // One that is expected lacks keys, not a place in the list.
            _ if route == Route::Stranger && !inner.is_welcome(&id) => Refusal::UnknownId,
            true => Refusal::NotSecure,
            false => Refusal::Unproven,
        };
        refuse(inner, Some(id), peer, reason);
    }
}

/// Reads the hello. Returns where the bytes of the session are that came along with it. `timer` goes off within the
/// pace at which it is looked at.
async fn greet(
    stream: &mut Stream,
    guest: &mut Guest,
    buffer: &mut [u8; HELLO_BUFFER],
    mut timer: Pin<&mut Sleep>,
    (clock, pace): (Clock, Duration),
) -> Result<Range<usize>, Refusal> {
    let mut len = 0;
    loop {
        // The lobby refuses a hello of more than half the buffer, so there is room.
        let room = &mut buffer[len..];
        let read = tokio::select! {
            biased;
            read = read(stream, room) => read,
            () = &mut timer => {
                let now = clock.now();
                timer.as_mut().reset(clock.at(next_look(guest, now, pace)));
                // A hello that is too late has to be missing, too.
                stream.read_now(room)
            }
        };
        let n = match read {
            Ok(0) => return Err(Refusal::ClosedEarly),
            Ok(n) => n,
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                guest.on_timer(clock.now()).map_err(reason)?;
                continue;
            }
            Err(_) => return Err(Refusal::ClosedEarly),
        };
        let read = len..len + n;
        len += n;
        if let Some(hello) = guest.on_bytes(clock.now(), &buffer[read.clone()]).map_err(reason)? {
            return Ok(read.start + hello..len);
        }
    }
}

async fn read(stream: &mut Stream, room: &mut [u8]) -> io::Result<usize> {
    let mut buffer = ReadBuf::new(room);
    poll_fn(|cx| stream.poll_read(cx, &mut buffer)).await?;
    Ok(buffer.filled().len())
}

/// Returns when the timer of a connection without a hello is to go off.
fn next_look(guest: &Guest, now: Instant, pace: Duration) -> Instant {
    guest.poll_at(now).unwrap_or(now).min(now + pace)
}

/// Waits until it is clear whether an older connection with this id is dead.
async fn admit(
    session: &Arc<Session>,
    guest: &mut Guest,
    socket: &Arc<Socket>,
    peer: SocketAddr,
) -> Admission {
    let clock = session.shared.clock;
    loop {
        let changed = session.changed.notified();
        match session.admit(guest, socket, peer) {
            Admission::Wait(until) => tokio::select! {
                biased;
                () = changed => {}
                () = sleep_until(clock.at(until)) => {}
            },
            decided => return decided,
        }
    }
}

fn reason(refusal: lobby::Refusal) -> Refusal {
    match refusal {
        lobby::Refusal::HelloTimeout => Refusal::HelloTimeout,
        lobby::Refusal::BadId(BadId::TooLong) => Refusal::HelloTooLong,
        lobby::Refusal::BadId(BadId::Invisible | BadId::OuterBlank) => Refusal::UnclearId,
        lobby::Refusal::BadId(BadId::Empty | BadId::NotUtf8 | BadId::Control) => Refusal::BadHello,
        lobby::Refusal::Unknown => Refusal::UnknownId,
        lobby::Refusal::Duplicate => Refusal::Duplicate,
    }
}

/// Shows a hello that is not an id, as far as it is worth showing.
fn shown_hello(guest: &Guest, reason: Refusal) -> Option<String> {
    match (reason, std::str::from_utf8(guest.hello())) {
        (Refusal::BadHello | Refusal::UnclearId, Ok(hello)) => Some(Escaped(hello).to_string()),
        (Refusal::BadHello, Err(_)) => Some(guest.hello().escape_ascii().to_string()),
        _ => None,
    }
}

fn refuse(inner: &Inner, id: Option<String>, peer: SocketAddr, reason: Refusal) {
    if let Some(event) = inner.refusals.on_refusal(inner.shared.clock.now(), reason, peer, id) {
        inner.shared.bus.publish(event);
    }
}
