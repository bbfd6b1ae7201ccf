//! The server's process freezes (a loaded machine, a laptop's lid, SIGSTOP) and continues: its timers
//! are late then, and what its clients sent meanwhile waits in the sockets. No link may suffer.
//!
//! The clock only moves when a test says so. In a [`stall`] it jumps, all timers that are due go off,
//! and no socket is looked at in between: the order in which a process continues after SIGCONT, where the
//! wait for sockets ends early and with nothing.

use std::future::pending;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::pin::pin;
use std::sync::mpsc;
use std::time::Duration;

use crate::common::{is_outage, is_ready, is_refusal, read, server, start, until};
use pblink_server::{Cause, Delivery, EventKind, Refusal, Server};
use socket2::{Domain, Socket, Type};
use tokio::time::timeout;

const TIMEOUT: Duration = Duration::from_secs(2);

/// While this lives, the clock does not run ahead when all tasks wait for sockets.
struct Clock {
    _held: mpsc::Sender<()>,
}

fn hold_the_clock() -> Clock {
    let (held, released) = mpsc::channel::<()>();
    tokio::task::spawn_blocking(move || released.recv());
    Clock { _held: held }
}

/// Lets all tasks do what they can do without waiting for time. What was written to a socket of this
/// machine has arrived.
async fn settle() {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}

/// Fails instead of hanging: with the clock held, no time-out ends a wait.
async fn at_once<F: Future>(future: F) -> F::Output {
    tokio::select! {
        biased;
        output = future => output,
        () = async { for _ in 0..25 { settle().await } } => panic!("it should have happened by now"),
    }
}

/// Freezes the process for `length`, in which `meanwhile` happens.
async fn stall(length: Duration, meanwhile: impl FnOnce()) {
    settle().await;
    // Of the clock that is held: it goes off when that is moved.
    let mut goes_on = pin!(timeout(Duration::from_millis(1), pending::<()>()));
    assert!(!is_ready(goes_on.as_mut()).await);
    // Polled once it moves the clock, and nothing else.
    assert!(!is_ready(pin!(tokio::time::advance(length))).await);
    // The test continues before the tasks whose timers went off at the same time.
    goes_on.await.expect_err("nothing else ends it");
    meanwhile();
    settle().await;
}

fn connect(server: &Server) -> TcpStream {
    let stream = TcpStream::connect(server.local_addr()).expect("the server listens");
    stream.set_nodelay(true).expect("a TCP socket");
    stream
}

fn send(mut stream: &TcpStream, bytes: &[u8]) {
    stream.write_all(bytes).expect("the server's system takes it");
}

/// Closes a connection as a client does that has nothing left to say.
fn close(stream: &TcpStream) {
    stream.shutdown(Shutdown::Write).expect("it was open");
}

/// Returns a client that is connected, and its link.
async fn client(server: &Server, id: &str) -> TcpStream {
    let stream = connect(server);
    send(&stream, format!("{id}\n").as_bytes());
    at_once(server.client(id)).await;
    stream
}

/// Checks that the link was never down, and works.
async fn lives(server: &Server, stream: &TcpStream) {
    let connection = server.link("1").expect("it has connected");
    let status = connection.status();
    assert_eq!((status.outages, status.connects), (0, 1), "{status:?}");
    send(stream, b"7falive\n");
    assert_eq!(at_once(read(&connection)).await, "alive");
}

#[tokio::test(start_paused = true)]
async fn what_waits_in_the_socket_after_a_stall_is_no_silence() {
    let _clock = hold_the_clock();
    let server = server(TIMEOUT).await;
    let client = client(&server, "1").await;
    for _ in 0..3 {
        stall(TIMEOUT * 2, || send(&client, b"\n")).await;
    }
    lives(&server, &client).await;
}

#[tokio::test(start_paused = true)]
async fn silence_is_an_outage_also_after_a_stall() {
    let _clock = hold_the_clock();
    let server = server(TIMEOUT).await;
    let mut events = server.events();
    let _client = client(&server, "1").await;
    stall(TIMEOUT, || {}).await;
    let event = at_once(until(&mut events, is_outage)).await;
    assert!(matches!(event.kind, EventKind::OutageBegan { cause: Cause::Silent, .. }), "{event:?}");
}

#[tokio::test(start_paused = true)]
async fn what_closed_in_a_stall_was_closed_and_not_silent() {
    let _clock = hold_the_clock();
    let server = server(TIMEOUT).await;
    let mut events = server.events();
    let client = client(&server, "1").await;
    stall(TIMEOUT, || close(&client)).await;
    let event = at_once(until(&mut events, is_outage)).await;
    let closed = matches!(event.kind, EventKind::OutageBegan { cause: Cause::ClosedByPeer, .. });
    assert!(closed, "{event:?}");
}

#[tokio::test(start_paused = true)]
async fn a_rival_that_waits_does_not_get_a_living_link_by_a_stall() {
    let _clock = hold_the_clock();
    let server = server(TIMEOUT).await;
    let mut events = server.events();
    let old = client(&server, "1").await;
    let _rival = client(&server, "1").await;
    // More than half a time-out, in which the old one has sent all that it should.
    stall(TIMEOUT * 7 / 10, || send(&old, b"\n00a\n")).await;
    let event = at_once(until(&mut events, |e| is_refusal(e) || is_outage(e))).await;
    let refused = matches!(event.kind, EventKind::Refused { reason: Refusal::Duplicate, .. });
    assert!(refused, "{event:?}");
    assert_eq!(
        at_once(read(&server.link("1").expect("it lives"))).await,
        "a",
        "its bytes are not lost"
    );
    lives(&server, &old).await;
}

#[tokio::test(start_paused = true)]
async fn a_rival_that_comes_after_a_stall_waits_for_the_next_sign_of_life() {
    let _clock = hold_the_clock();
    let server = server(TIMEOUT).await;
    let mut events = server.events();
    let old = client(&server, "1").await;
    stall(TIMEOUT * 7 / 10, || {}).await;
    let _rival = client(&server, "1").await;
    settle().await;
    tokio::time::advance(TIMEOUT / 5).await;
    send(&old, b"\n");
    let event = at_once(until(&mut events, |e| is_refusal(e) || is_outage(e))).await;
    let refused = matches!(event.kind, EventKind::Refused { reason: Refusal::Duplicate, .. });
    assert!(refused, "{event:?}");
    lives(&server, &old).await;
}

#[tokio::test(start_paused = true)]
async fn a_rival_gets_the_id_of_a_dead_connection_when_both_times_are_over() {
    let _clock = hold_the_clock();
    let ms = Duration::from_millis;
    for (arrives, taken) in [(ms(1), ms(1000)), (ms(400), ms(1000)), (ms(800), ms(1300))] {
        let server = server(TIMEOUT).await;
        let mut events = server.events();
        let _old = client(&server, "1").await;
        settle().await;
        tokio::time::advance(arrives).await;
        let rival = client(&server, "1").await;
        settle().await;
        tokio::time::advance(taken - arrives - ms(2)).await;
        settle().await;
        assert_eq!(server.link("1").expect("it lives").status().connects, 1, "at {arrives:?}");
        tokio::time::advance(ms(4)).await;
        let event = at_once(until(&mut events, is_outage)).await;
        let cause = matches!(event.kind, EventKind::OutageBegan { cause: Cause::TakenOver, .. });
        assert!(cause, "{event:?}");
        send(&rival, b"00mine\n");
        assert_eq!(at_once(read(&server.link("1").expect("it lives"))).await, "mine");
    }
}

#[tokio::test(start_paused = true)]
async fn a_rival_gets_the_id_at_once_when_the_old_connection_was_closed_in_a_stall() {
    let _clock = hold_the_clock();
    let server = server(TIMEOUT).await;
    let mut events = server.events();
    let old = client(&server, "1").await;
    let rival = client(&server, "1").await;
    stall(TIMEOUT * 7 / 10, || close(&old)).await;
    let event = at_once(until(&mut events, is_outage)).await;
    let closed = matches!(event.kind, EventKind::OutageBegan { cause: Cause::ClosedByPeer, .. });
    assert!(closed, "{event:?}");
    send(&rival, b"00mine\n");
    assert_eq!(at_once(read(&server.link("1").expect("it lives"))).await, "mine");
}

#[tokio::test(start_paused = true)]
async fn a_hello_that_came_in_a_stall_is_in_time() {
    let _clock = hold_the_clock();
    let server = server(TIMEOUT).await;
    let stream = connect(&server);
    stall(TIMEOUT * 2, || send(&stream, b"1\n")).await;
    lives(&server, &stream).await;
}

/// Case 80: with a long time-out a hello had as long.
#[tokio::test(start_paused = true)]
async fn a_hello_has_five_seconds_however_long_the_time_out_is() {
    let _clock = hold_the_clock();
    let server = server(Duration::from_secs(60)).await;
    let mut events = server.events();
    let _silent = connect(&server);
    settle().await;
    tokio::time::advance(Duration::from_millis(4990)).await;
    settle().await;
    tokio::time::advance(Duration::from_millis(20)).await;
    let event = at_once(until(&mut events, |e| !matches!(e, EventKind::Listening { .. }))).await;
    let late = matches!(event.kind, EventKind::Refused { reason: Refusal::HelloTimeout, .. });
    assert!(late, "{event:?}");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_reads_in_a_stall_is_no_slow_reader() {
    const LONG: usize = 1 << 20;
    let _clock = hold_the_clock();
    let server = start(Server::builder().timeout(TIMEOUT).max_written_line(LONG)).await;
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.set_recv_buffer_size(4096).expect("a small buffer");
    socket.connect(&server.local_addr().into()).expect("the server listens");
    let stream = TcpStream::from(socket);
    send(&stream, b"1\n\n");
    let connection = at_once(server.client("1")).await;
    settle().await;
    tokio::time::advance(TIMEOUT / 4).await;
    let writer = connection.clone();
    let write =
        tokio::spawn(async move { writer.write(&"x".repeat(LONG), Delivery::ORDERED).await });
    settle().await;
    let mut some = vec![0; 64 * 1024];
    stall(TIMEOUT, || {
        send(&stream, b"\n");
        let n = (&stream).read(&mut some).expect("something was sent");
        assert!(n > 0);
        // The system has room again only when the other end has heard of it.
        stream.set_nonblocking(true).expect("a TCP socket");
        while (&stream).read(&mut some).is_ok_and(|n| n > 0) {}
        stream.set_nonblocking(false).expect("a TCP socket");
    })
    .await;
    lives(&server, &stream).await;
    write.abort();
}
