//! Lines are acknowledged when they are accepted, and not before.

use std::pin::pin;

use crate::common::{PATIENT, Peer, SHORT, arrived, is_ready, read, server, soon, start};
use pblink_server::{Closed, Connection, Delivery, Received, Server, SessionState};

async fn recv(connection: &Connection) -> Received {
    soon(connection.recv()).await.expect("the server lives")
}

/// Returns a client that has sent these messages, and its link, which has them.
async fn sent(server: &Server, messages: &[&str]) -> (Peer, Connection) {
    let mut peer = Peer::hello(server, "1").await;
    let connection = soon(server.client("1")).await;
    peer.send(messages.join("\n") + "\n").await;
    arrived(&connection, messages.len() as u64).await;
    (peer, connection)
}

#[tokio::test]
async fn a_line_is_acknowledged_when_it_is_accepted() {
    let server = server(PATIENT).await;
    let (mut peer, connection) = sent(&server, &["00a", "01b", "02c"]).await;
    let (a, b, c) = (recv(&connection).await, recv(&connection).await, recv(&connection).await);
    assert_eq!((a.text(), b.text(), c.text(), a.client()), ("a", "b", "c", "1"));
    assert_eq!(connection.status().unread, 3);
    // In any order, and in another task: the first that comes is the first that was accepted.
    tokio::spawn(async move { c.accept() }).await.unwrap().unwrap();
    peer.expect(&["02"]).await;
    a.accept().unwrap();
    peer.expect(&["00"]).await;
    b.accept().unwrap();
    peer.expect(&["01"]).await;
    assert_eq!(connection.status().unread, 0);
    // A line that is read is accepted.
    peer.tell(&connection, "03d").await;
}

#[tokio::test]
async fn a_line_that_is_dropped_is_handed_out_again_and_the_client_hears_nothing() {
    let server = server(PATIENT).await;
    let (mut peer, connection) = sent(&server, &["00a", "01b", "02c"]).await;
    let (a, b) = (recv(&connection).await, recv(&connection).await);
    drop(b);
    drop(a);
    let mut a = recv(&connection).await;
    // A reader that waits is woken by what is given back.
    for line in ["b", "c"] {
        assert_eq!(read(&connection).await, line);
    }
    {
        let mut waiting = pin!(connection.recv());
        assert!(!is_ready(waiting.as_mut()).await);
        drop(a);
        a = soon(waiting).await.unwrap();
    }
    assert_eq!(a.text(), "a");
    peer.expect(&["01", "02"]).await;
    a.accept().unwrap();
    // Nothing was sent in between.
    peer.expect(&["00"]).await;
}

#[tokio::test]
async fn a_line_that_is_repeated_before_it_is_accepted_is_delivered_once() {
    let server = server(PATIENT).await;
    let (mut peer, connection) = sent(&server, &["01a", "02b"]).await;
    let (a, b) = (recv(&connection).await, recv(&connection).await);
    peer.send("02b\n02b\n").await;
    soon(async {
        while connection.status().duplicates < 2 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    b.accept().unwrap();
    peer.expect(&["02"]).await;
    // Over a new connection, too. The acknowledgement goes where the client asked for it.
    connection.close();
    peer.rest().await;
    let mut peer = Peer::hello(&server, "1").await;
    peer.send("01a\n").await;
    soon(async {
        while connection.status().duplicates < 3 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    a.accept().unwrap();
    peer.expect(&["01"]).await;
    peer.tell(&connection, "03c").await;
    assert_eq!(connection.status().unread, 0);
}

#[tokio::test]
async fn a_batch_is_all_that_waits_and_is_acknowledged_as_one() {
    let server = start(Server::builder().timeout(PATIENT).hold_reports(true)).await;
    let report = r#"{"pblink":{"report":[1,2,30000]}}"#;
    let second = format!("01{report}");
    let (mut peer, connection) = sent(&server, &["00a", &second, "02c"]).await;
    let lent = recv(&connection).await;
    assert!(connection.take_batch().unwrap().is_none(), "a line is with the application");
    drop(lent);
    let batch = soon(connection.next_batch()).await.unwrap();
    let lines: Vec<_> = batch.lines().map(|line| (line.text.to_owned(), line.report)).collect();
    let expected = [("a", false), (report, true), ("c", false)];
    assert_eq!(lines, expected.map(|(text, report)| (text.to_owned(), report)));
    // Given back, all comes again, and what has come meanwhile.
    peer.send("03d\n").await;
    arrived(&connection, 4).await;
    let mut reader = pin!(connection.read_line());
    assert!(!is_ready(reader.as_mut()).await, "nobody overtakes a batch");
    drop(batch);
    let batch = soon(connection.next_batch()).await.unwrap();
    assert_eq!((batch.len(), batch.client()), (4, "1"));
    batch.accept().unwrap();
    peer.expect(&["00", "01", "02", "03"]).await;
    // The reader of lines passes over reports, and accepts them.
    peer.send(format!("04{report}\n05e\n")).await;
    assert_eq!(soon(reader).await.unwrap(), "e");
    peer.expect(&["04", "05"]).await;
    assert_eq!(connection.status().report_number, Some(2));
}

#[tokio::test]
async fn a_shutdown_waits_for_the_lines_that_the_application_has() {
    let server = server(SHORT * 100).await;
    let (mut peer, connection) = sent(&server, &["00a", "01b", "02c"]).await;
    let (a, b) = (recv(&connection).await, recv(&connection).await);
    let mut shutdown = pin!(server.shutdown());
    assert!(!is_ready(shutdown.as_mut()).await);
    // Applications end, and nothing more is handed out.
    assert!(matches!(soon(connection.recv()).await, Err(Closed)));
    assert!(matches!(soon(connection.read_line()).await, Err(Closed)));
    assert!(matches!(connection.take_batch(), Err(Closed)));
    a.accept().unwrap();
    peer.expect(&["00"]).await;
    assert!(!is_ready(shutdown.as_mut()).await);
    drop(b);
    let saved = soon(shutdown).await;
    assert_eq!(saved.unread(), 2);
    // Nothing that was not accepted was acknowledged.
    assert!(peer.rest().await.iter().all(|&b| b == b'\n'));
}

#[tokio::test]
async fn a_line_that_is_accepted_after_the_end_is_handed_out_by_the_next_server() {
    let first = server(SHORT).await;
    let (_peer, connection) = sent(&first, &["01a", "02b"]).await;
    let (a, b) = (recv(&connection).await, recv(&connection).await);
    // It gives up waiting.
    let saved = soon(first.shutdown_within(std::time::Duration::ZERO)).await;
    assert_eq!(saved.unread(), 2);
    assert_eq!(a.accept(), Err(Closed));
    drop(b);
    let second = start(Server::builder().timeout(SHORT).restore(saved)).await;
    let connection = soon(second.next_client()).await.unwrap();
    let (a, b) = (recv(&connection).await, recv(&connection).await);
    let mut peer = Peer::hello(&second, "1").await.alive();
    peer.send("01a\n02b\n").await;
    soon(async {
        while connection.status().duplicates < 2 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    b.accept().unwrap();
    peer.expect(&["02"]).await;
    a.accept().unwrap();
    peer.expect(&["01"]).await;
}

#[tokio::test]
async fn who_only_writes_is_not_held_up_by_lines_that_nobody_reads() {
    let server = server(PATIENT).await;
    let mut peer = Peer::hello(&server, "1").await;
    let connection = soon(server.client("1")).await;
    // More than the queue takes.
    let lines: String = (0..=255).map(|n| format!("{n:02x}line {n}\n")).collect();
    peer.send(lines).await;
    arrived(&connection, 255).await;
    for n in 0..300_usize {
        let mid = if n == 0 { 0 } else { (n - 1) % 255 + 1 };
        let write = connection.write("to the client", Delivery::ORDERED);
        let answer = peer.answer_owned(format!("{mid:02x}to the client"));
        let (written, ()) = soon(async { tokio::join!(write, answer) }).await;
        written.unwrap();
    }
    assert_eq!(connection.status().unread, 255);
}

/// A process that dies has nothing but what it has stored: lines and state of its last commit.
#[tokio::test]
async fn a_state_that_was_stored_with_its_lines_loses_and_doubles_nothing() {
    let builder = || Server::builder().timeout(PATIENT).hold_reports(true);
    let first = start(builder()).await;
    let (mut peer, connection) = sent(&first, &["01a", "02b"]).await;
    let batch = soon(connection.next_batch()).await.unwrap();
    // It is no part of the commit.
    peer.send("03c\n").await;
    arrived(&connection, 3).await;
    let stored = batch.state().encode();
    // Written numbers go on, too.
    let writer = tokio::spawn({
        let connection = connection.clone();
        async move { connection.write("to the board", Delivery::ORDERED).await }
    });
    peer.answer("00to the board").await;
    soon(writer).await.unwrap().unwrap();
    assert_eq!(batch.state().next_number(), 0);
    batch.accept().unwrap();
    peer.expect(&["01", "02"]).await;
    let batch = soon(connection.next_batch()).await.unwrap();
    assert_eq!(batch.state().next_number(), 1);
    let second_commit = batch.state().encode();
    drop(batch);
    drop(first);
    peer.rest().await;

    // It died before the second commit: the third line is new, the acknowledgements were lost.
    let state = SessionState::decode(&stored).unwrap();
    let second = start(builder().restore_states([("1".to_owned(), state)])).await;
    let connection = soon(second.next_client()).await.unwrap();
    assert_eq!((connection.id(), connection.is_up()), ("1", false));
    let mut peer = Peer::hello(&second, "1").await;
    peer.say("01a").await;
    peer.say("02b").await;
    peer.tell(&connection, "03c").await;
    assert_eq!(connection.status().duplicates, 2);
    drop(second);
    peer.rest().await;

    // It died after the second commit: the third line is known.
    let state = SessionState::decode(&second_commit).unwrap();
    let third = start(builder().restore_states([("1".to_owned(), state)])).await;
    let connection = soon(third.next_client()).await.unwrap();
    let mut peer = Peer::hello(&third, "1").await;
    peer.say("03c").await;
    peer.tell(&connection, "04d").await;
    let writer = tokio::spawn({
        let connection = connection.clone();
        async move { connection.write("again", Delivery::ORDERED).await }
    });
    peer.answer("01again").await;
    soon(writer).await.unwrap().unwrap();
}
