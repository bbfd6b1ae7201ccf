//! The start of a server, its limits, and its end.

use std::pin::pin;

use crate::common::{
    App, PATIENT, Peer, SHORT, arrived, begin_write, is_outage, is_ready, is_refusal, read, server,
    soon, start, until,
};
use pblink_server::{
    BindError, Cause, Closed, Delivery, EventKind, LinkState, Notice, Refusal, Server, WriteError,
};

#[tokio::test]
async fn more_clients_or_connections_than_allowed_are_refused() {
    let server = start(Server::builder().timeout(PATIENT).max_clients(1)).await;
    let _app = App::start(&server);
    let mut events = server.events();
    let mut first = Peer::hello(&server, "1").await;
    first.say("00a").await;
    assert_eq!(Peer::hello(&server, "2").await.rest().await, b"");
    until(&mut events, is_refusal).await;

    let server = start(Server::builder().timeout(PATIENT).max_connections(1)).await;
    let _app = App::start(&server);
    let mut events = server.events();
    let mut first = Peer::hello(&server, "1").await;
    first.say("00a").await;
    assert_eq!(Peer::silent(server.local_addr()).await.rest().await, b"");
    let event = until(&mut events, is_refusal).await;
    let refused = matches!(event.kind, EventKind::Refused { reason: Refusal::TooMany, .. });
    assert!(refused, "{event:?}");
    assert_eq!(server.connections(), 1);
    drop(first);
    until(&mut events, is_outage).await;
    soon(async {
        while server.connections() > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_restarted_server_loses_and_doubles_nothing() {
    let first = server(SHORT).await;
    let mut peer = Peer::hello(&first, "1").await.alive();
    let connection = soon(first.client("1")).await;
    peer.tell(&connection, "00read").await;
    peer.send("01unread\n").await;
    arrived(&connection, 1).await;
    let writer = begin_write(&connection, "unacked").await;
    peer.expect(&["00unacked"]).await;
    let queued = begin_write(&connection, "queued").await;
    let waiting = tokio::spawn({
        let server = first.clone();
        async move { server.client("never").await }
    });

    let saved = soon(first.shutdown()).await;
    assert_eq!((saved.len(), saved.unread(), saved.unacked()), (1, 1, 2));
    assert_eq!(soon(writer).await.unwrap(), Err(WriteError::Kept));
    assert_eq!(soon(queued).await.unwrap(), Err(WriteError::Kept));
    let never = soon(waiting).await.unwrap();
    assert_eq!(soon(never.read_line()).await, Err(Closed));
    assert_eq!(soon(connection.read_line()).await, Err(Closed));
    let late = connection.write("late", Delivery::ORDERED);
    assert_eq!(soon(late).await, Err(WriteError::Closed));
    assert!(soon(first.shutdown()).await.is_empty());
    peer.rest().await;

    let builder = Server::builder().timeout(SHORT).restore(saved);
    // The same port: the old listener is gone.
    let second = builder.listen(first.local_addr()).bind().await.unwrap();
    let mut events = second.events();
    let mut peer = Peer::hello(&second, "1").await.alive();
    // It was not acknowledged, so it comes again.
    let connection = soon(second.client("1")).await;
    peer.tell(&connection, "01unread").await;
    peer.tell(&connection, "02new").await;
    peer.answer("00unacked").await;
    peer.answer("01queued").await;
    until(&mut events, |e| matches!(e, EventKind::OutageEnded { connects: 2, .. })).await;
    let status = connection.status();
    assert_eq!((status.duplicates, status.unread), (1, 0));
}

#[tokio::test]
async fn saved_sessions_need_the_same_time_out() {
    let first = server(SHORT).await;
    let _peer = Peer::hello(&first, "1").await;
    soon(first.client("1")).await;
    let saved = soon(first.shutdown()).await;
    let result = Server::builder().timeout(PATIENT).restore(saved).port(0).bind().await;
    assert!(matches!(result, Err(BindError::Restore)));
}

#[tokio::test]
async fn a_shutdown_that_is_given_up_half_way_can_be_repeated() {
    let server = server(SHORT).await;
    let mut peer = Peer::hello(&server, "1").await.alive();
    peer.send("00unread\n").await;
    let connection = soon(server.client("1")).await;
    arrived(&connection, 1).await;
    let writer = begin_write(&connection, "unacked").await;
    peer.expect(&["00unacked"]).await;
    {
        let mut given_up = pin!(server.shutdown());
        assert!(!is_ready(given_up.as_mut()).await, "it waits for the acknowledgement");
    }
    let saved = soon(server.shutdown()).await;
    assert_eq!((saved.len(), saved.unread(), saved.unacked()), (1, 1, 1));
    assert_eq!(soon(writer).await.unwrap(), Err(WriteError::Kept));
}

#[tokio::test]
async fn a_server_that_is_dropped_in_the_middle_of_its_shutdown_ends_all_waits() {
    let server = server(PATIENT).await;
    let mut peer = Peer::hello(&server, "1").await;
    let connection = soon(server.client("1")).await;
    peer.tell(&connection, "00read").await;
    let writer = begin_write(&connection, "unacked").await;
    peer.expect(&["00unacked"]).await;
    {
        let mut given_up = pin!(server.shutdown());
        assert!(!is_ready(given_up.as_mut()).await, "it waits for the acknowledgement");
    }
    drop(server);
    assert_eq!(soon(writer).await.unwrap(), Err(WriteError::Kept));
    assert_eq!(soon(connection.read_line()).await, Err(Closed));
}

#[tokio::test]
async fn a_clean_shutdown_waits_for_acknowledgements() {
    let server = server(PATIENT).await;
    let mut events = server.events();
    let mut peer = Peer::hello(&server, "1").await;
    peer.send("\n").await;
    let connection = soon(server.client("1")).await;
    let first = begin_write(&connection, "one").await;
    let second = begin_write(&connection, "two").await;
    peer.expect(&["00one"]).await;
    let mut shutdown = pin!(server.shutdown());
    assert!(!is_ready(shutdown.as_mut()).await);
    let client = async {
        peer.send("00\n").await;
        peer.answer("01two").await;
        peer.send("00last\n").await;
        // Nothing but keepalives comes after that: the line is not accepted. Then the server closes.
        assert!(peer.rest().await.iter().all(|&b| b == b'\n'));
    };
    let (saved, ()) = soon(async { tokio::join!(shutdown, client) }).await;
    soon(first).await.unwrap().unwrap();
    soon(second).await.unwrap().unwrap();
    // The client's last line came in time, or it did not. It comes again in any case.
    assert!(saved.unread() <= 1);
    assert_eq!(saved.unacked(), 0);
    until(&mut events, |e| *e == EventKind::Stopped).await;
    assert_eq!(soon(events.recv()).await, None);
}

#[tokio::test]
async fn a_dropped_server_stops() {
    let server = server(PATIENT).await;
    let address = server.local_addr();
    let mut peer = Peer::hello(&server, "1").await;
    let connection = soon(server.client("1")).await;
    peer.tell(&connection, "00a").await;
    let mut events = server.events();
    drop(server);
    until(&mut events, |e| *e == EventKind::Stopped).await;
    assert_eq!(soon(events.recv()).await, None);
    peer.rest().await;
    assert_eq!(soon(connection.closed()).await, Cause::Shutdown);
    // The port is closed as soon as the listener's task has run.
    soon(async { while tokio::net::TcpStream::connect(address).await.is_ok() {} }).await;
}

#[tokio::test]
async fn events_are_numbered_and_in_order() {
    let server = server(PATIENT).await;
    let mut events = server.events();
    let mut peer = Peer::hello(&server, "1").await;
    let connection = soon(server.client("1")).await;
    peer.tell(&connection, "00a").await;
    connection.close();
    assert_eq!(soon(connection.closed()).await, Cause::ClosedByApplication);
    peer.rest().await;
    let mut peer = Peer::hello(&server, "1").await;
    peer.tell(&connection, "01b").await;
    let note = EventKind::Note { id: None, text: "of the application".into() };
    server.publish(note.clone());
    drop(peer);
    soon(connection.closed()).await;
    soon(server.shutdown()).await;
    let mut seen = Vec::new();
    let mut seq = 0;
    while let Some(notice) = soon(events.recv()).await {
        let Notice::Event(event) = notice else { panic!("{notice:?}") };
        seq += 1;
        assert_eq!(event.seq, seq);
        let text = serde_json::to_value(&event.kind).unwrap();
        seen.push(text["event"].as_str().unwrap().to_owned());
    }
    let expected = [
        "listening",
        "connected",
        "outage_began",
        "outage_ended",
        "note",
        "outage_began",
        "stopped",
    ];
    assert_eq!(seen, expected);
    // After the end there is no more to come.
    assert_eq!(soon(server.events().recv()).await, None);
}

#[tokio::test]
async fn what_cannot_be_set_up_says_why() {
    let taken = server(PATIENT).await;
    let builder = Server::builder().listen(taken.local_addr());
    let error = builder.bind().await.unwrap_err().to_string();
    assert!(error.contains("another program uses this port"), "{error}");
    let error = Server::builder().expected(["a\n"]).bind().await.unwrap_err();
    assert!(matches!(error, BindError::BadId { .. }), "{error}");
    let error = Server::builder().queue(0, 1).bind().await.unwrap_err();
    assert!(matches!(error, BindError::Limit(_)), "{error}");
    let error = Server::builder().timeout(std::time::Duration::ZERO).bind().await.unwrap_err();
    assert!(matches!(error, BindError::Timeout(_)), "{error}");
}

#[tokio::test]
async fn a_thousand_idle_clients_stay_up() {
    const MANY: usize = 1000;
    let server = server(SHORT * 10).await;
    let address = server.local_addr();
    let mut peers = Vec::new();
    for n in 0..MANY {
        let mut peer = Peer::silent(address).await;
        peer.send(format!("{n}\n")).await;
        peers.push(peer);
    }
    let ids: Vec<_> = (0..MANY).map(|n| n.to_string()).collect();
    soon(server.wait_all(&ids)).await.unwrap();
    // Each answers three keepalives, and then says something.
    for round in 0..4 {
        for peer in &mut peers {
            let mut byte = [0];
            let read = tokio::io::AsyncReadExt::read_exact(&mut peer.read, &mut byte);
            soon(read).await.unwrap();
            peer.send(if round < 3 { "\n" } else { "00hello\n" }).await;
        }
    }
    for id in &ids {
        assert_eq!(read(&soon(server.client(id)).await).await, "hello");
    }
    assert!(server.links().iter().all(|l| l.outages == 0 && l.state == LinkState::Up));
}

/// `accept` fails when the process has no file descriptor left. The server must go on, and serve who
/// waits as soon as there is one.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn running_out_of_files_stops_nothing() {
    const INNER: &str = "PBLINK_TEST_FEW_FILES";
    if std::env::var_os(INNER).is_none() {
        // The limit is the whole process's: another process runs this test with a low one.
        let test = std::env::current_exe().unwrap();
        let status = std::process::Command::new("sh")
            .args(["-c", "ulimit -n 40 && exec \"$0\" --exact running_out_of_files_stops_nothing"])
            .arg(test)
            .env(INNER, "1")
            .status();
        assert!(status.unwrap().success());
        return;
    }
    let server = server(PATIENT).await;
    let _app = App::start(&server);
    let mut first = Peer::hello(&server, "first").await;
    first.say("00a").await;
    // Takes all file descriptors but one, which the next client needs for its own end.
    let mut files = Vec::new();
    while let Ok(file) = std::fs::File::open("/dev/null") {
        files.push(file);
    }
    files.pop();
    let mut second = Peer::hello(&server, "second").await;
    // Connected by the system, and waiting in the backlog; the first goes on.
    first.say("01b").await;
    assert!(server.link("second").is_none());
    drop(files);
    second.say("00a").await;
    assert!(server.link("second").is_some());
}

#[tokio::test]
async fn a_socket_that_was_opened_elsewhere_keeps_clients_from_one_server_to_the_next() {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    for _ in 0..2 {
        // There is no server now, and it is not refused.
        let mut early = Peer::silent(address).await;
        early.send("1\n").await;
        let builder = Server::builder().timeout(PATIENT).listener(socket.try_clone().unwrap());
        let server = start(builder).await;
        assert_eq!(server.local_addr(), address);
        let mut events = server.events();
        let _app = App::start(&server);
        early.say("00a").await;
        until(&mut events, |kind| matches!(kind, EventKind::Connected { .. })).await;
        soon(server.shutdown()).await;
    }
}

/// A connection that someone else has accepted, under the address that it has come from.
#[tokio::test]
async fn a_connection_that_was_passed_on_is_one_of_its_own_address() {
    let server = server(PATIENT).await;
    let elsewhere = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut peer = Peer::silent(elsewhere.local_addr().unwrap()).await;
    let (stream, _) = elsewhere.accept().await.unwrap();
    let address = "[::ffff:10.0.0.7]:4711".parse().unwrap();
    server.adopt(stream, address).unwrap();
    peer.send("1\n").await;
    let connection = soon(server.client("1")).await;
    assert_eq!(connection.status().peer.as_deref(), Some("10.0.0.7:4711"));
    peer.tell(&connection, "00hello").await;
    soon(server.shutdown()).await;
    assert_eq!(peer.line().await, None);
    // One that comes too late.
    let mut late = Peer::silent(elsewhere.local_addr().unwrap()).await;
    let (stream, _) = elsewhere.accept().await.unwrap();
    server.adopt(stream, address).unwrap();
    assert_eq!(late.line().await, None);
}
