//! Connections that are not sockets of the system.

use std::pin::pin;

use crate::common::{PATIENT, SHORT, is_ready, read, server, soon, until};
use pblink_server::{Cause, Delivery, EventKind, Server};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, BufStream, DuplexStream};

/// The bytes that either end keeps for the other.
const ROOM: usize = 64;

/// Opens a connection within the process.
fn open(server: &Server) -> BufReader<DuplexStream> {
    let (client, stream) = tokio::io::duplex(ROOM);
    server.adopt_stream(stream, ([10, 0, 0, 7], 4711).into());
    BufReader::new(client)
}

async fn send(client: &mut BufReader<DuplexStream>, bytes: &str) {
    soon(client.write_all(bytes.as_bytes())).await.expect("the server reads");
}

/// Returns the next line that is not a keepalive.
async fn line(client: &mut BufReader<DuplexStream>) -> String {
    let mut line = String::new();
    while line.trim_end().is_empty() {
        line.clear();
        assert!(soon(client.read_line(&mut line)).await.expect("the server lives") > 0);
    }
    assert_eq!(line.pop(), Some('\n'));
    line
}

#[tokio::test]
async fn lines_pass_both_ways_in_pieces_and_one_that_has_no_room_waits() {
    let server = server(PATIENT).await;
    let mut client = open(&server);
    send(&mut client, "board\n00hello\n").await;
    let connection = soon(server.client("board")).await;
    assert_eq!(connection.status().peer.as_deref(), Some("10.0.0.7:4711"));
    assert_eq!(read(&connection).await, "hello");
    assert_eq!(line(&mut client).await, "00");
    // Far more than the stream takes at once: the rest follows as it is read.
    let text = "x".repeat(1000);
    let mut writing = pin!(connection.write(&text, Delivery::ORDERED));
    assert!(!is_ready(writing.as_mut()).await);
    assert_eq!(line(&mut client).await, format!("00{text}"));
    send(&mut client, "00\n").await;
    soon(writing).await.expect("it is acknowledged");
    // So does one that comes in many pieces.
    let long = "y".repeat(1000);
    send(&mut client, &format!("01{long}\n")).await;
    assert_eq!(read(&connection).await, long);
    assert_eq!(line(&mut client).await, "01");
}

#[tokio::test]
async fn a_stream_with_a_buffer_of_its_own_is_flushed() {
    let server = server(PATIENT).await;
    let (client, stream) = tokio::io::duplex(ROOM);
    server.adopt_stream(BufStream::new(stream), ([10, 0, 0, 7], 4711).into());
    let mut client = BufReader::new(client);
    send(&mut client, "board\n\n").await;
    let connection = soon(server.client("board")).await;
    // Longer than the stream beneath takes at once, and shorter than the buffer above it.
    let text = "x".repeat(500);
    let mut writing = pin!(connection.write(&text, Delivery::ORDERED));
    assert!(!is_ready(writing.as_mut()).await);
    assert_eq!(line(&mut client).await, format!("00{text}"));
    send(&mut client, "00\n").await;
    soon(writing).await.expect("it is acknowledged");
}

#[tokio::test]
async fn either_end_may_close_and_the_other_learns_of_it() {
    let server = server(PATIENT).await;
    let mut events = server.events();
    let ended = |kind: &EventKind| matches!(kind, EventKind::OutageBegan { .. });
    let cause = |kind| match kind {
        EventKind::OutageBegan { cause, .. } => cause,
        other => panic!("{other:?}"),
    };
    let mut client = open(&server);
    send(&mut client, "board\n").await;
    let connection = soon(server.client("board")).await;
    drop(client);
    assert_eq!(cause(until(&mut events, ended).await.kind), Cause::ClosedByPeer);
    let mut client = open(&server);
    send(&mut client, "board\n").await;
    soon(connection.wait_up()).await.expect("the server lives");
    connection.close();
    let mut rest = Vec::new();
    soon(client.read_to_end(&mut rest)).await.expect("an end is not an error");
    assert_eq!(cause(until(&mut events, ended).await.kind), Cause::ClosedByApplication);
    // One that never says its name is refused, and one that comes after the end is closed.
    let mut nameless = open(&server);
    soon(server.shutdown()).await;
    soon(nameless.read_to_end(&mut rest)).await.expect("an end is not an error");
    let mut late = open(&server);
    soon(late.read_to_end(&mut rest)).await.expect("an end is not an error");
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_cut() {
    let server = server(SHORT).await;
    let mut events = server.events();
    let mut client = open(&server);
    send(&mut client, "board\n\n").await;
    let connection = soon(server.client("board")).await;
    connection.post(&"x".repeat(1000), Delivery::ORDERED).expect("there is room");
    let cut =
        |kind: &EventKind| matches!(kind, EventKind::OutageBegan { cause: Cause::SlowReader, .. });
    let mut events = pin!(until(&mut events, cut));
    let mut pace = tokio::time::interval(SHORT / 6);
    loop {
        tokio::select! {
            _ = &mut events => break,
            // It lives, and says so.
            _ = pace.tick() => send(&mut client, "\n").await,
        }
    }
}
