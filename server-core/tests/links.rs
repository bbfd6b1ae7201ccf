//! A link beyond the reference: takeover, restarts, limits, reports, events.

use std::pin::pin;

use crate::common::{
    App, PATIENT, Peer, SHORT, arrived, begin_write, is_outage, is_ready, is_refusal, read, server,
    soon, start, until,
};
use pblink_server::{
    Cause, Connection, Delivery, EventKind, Layer, LinkState, Refusal, Report, Server,
};

#[tokio::test]
async fn a_client_takes_over_from_its_own_half_open_connection() {
    // Half a time-out passes in the test; the whole one does not.
    let server = server(SHORT * 4).await;
    let app = App::start(&server);
    let mut events = server.events();
    let mut old = Peer::hello(&server, "1").await;
    old.say("00a").await;
    let mut new = Peer::hello(&server, "1").await;
    let event = until(&mut events, is_outage).await;
    let expected =
        EventKind::OutageBegan { id: "1".into(), cause: Cause::TakenOver, layer: Layer::Wifi };
    assert_eq!(event.kind, expected);
    let event = until(&mut events, |_| true).await;
    let EventKind::OutageEnded { id, connects, .. } = event.kind else {
        panic!("{event:?}");
    };
    assert_eq!((id.as_str(), connects), ("1", 2));
    new.say("01b").await;
    let connection = soon(server.client("1")).await;
    assert_eq!((app.read("1").await, app.read("1").await), ("a".into(), "b".into()));
    // The old connection is closed.
    old.rest().await;
    assert!(connection.is_up());
}

#[tokio::test]
async fn a_living_duplicate_is_refused_without_a_byte() {
    let server = server(PATIENT).await;
    let app = App::start(&server);
    let mut events = server.events();
    let mut old = Peer::hello(&server, "1").await;
    old.say("00a").await;
    let mut new = Peer::silent(server.local_addr()).await;
    new.send("1\n00not mine\n").await;
    let refused = until(&mut events, is_refusal);
    let mut refused = pin!(refused);
    // However often it takes until the server has read the second hello.
    let event = loop {
        tokio::select! {
            event = &mut refused => break event,
            () = old.send("\n") => tokio::task::yield_now().await,
        }
    };
    let EventKind::Refused { id, reason, .. } = event.kind else {
        panic!("{event:?}");
    };
    assert_eq!((id.as_deref(), reason), (Some("1"), Refusal::Duplicate));
    assert_eq!(new.rest().await, b"");
    old.say("01b").await;
    let status = server.link("1").unwrap().status();
    assert_eq!((status.connects, app.unread("1"), status.outages), (1, 2, 0));
}

#[tokio::test]
async fn unknown_clients_are_refused_unless_allowed() {
    for allow in [false, true] {
        let builder = Server::builder().timeout(PATIENT).expected(["1"]);
        let server = start(builder.allow_unknown(allow)).await;
        let _app = App::start(&server);
        let mut events = server.events();
        let mut peer = Peer::hello(&server, "01").await;
        if allow {
            peer.say("00a").await;
            assert!(server.link("01").is_some());
            continue;
        }
        let event = until(&mut events, is_refusal).await;
        let EventKind::Refused { id, reason, .. } = event.kind else {
            panic!("{event:?}");
        };
        assert_eq!((id.as_deref(), reason), (Some("01"), Refusal::UnknownId));
        assert_eq!(peer.rest().await, b"");
        assert!(server.link("01").is_none());
        let links = server.links();
        assert_eq!(links.len(), 1);
        assert_eq!(links[0].state, LinkState::Waiting);
    }
}

#[tokio::test]
async fn silence_is_an_outage_and_lines_wait_for_its_end() {
    let server = server(SHORT).await;
    let mut events = server.events();
    let peer = Peer::hello(&server, "1").await;
    let connection = soon(server.client("1")).await;
    let event = until(&mut events, is_outage).await;
    let expected =
        EventKind::OutageBegan { id: "1".into(), cause: Cause::Silent, layer: Layer::Wifi };
    assert_eq!(event.kind, expected);
    assert_eq!(soon(connection.closed()).await, Cause::Silent);
    assert!(!connection.is_up());
    let writer = begin_write(&connection, "later").await;
    let mut best_effort = pin!(connection.write("too", Delivery::BestEffort));
    assert!(!is_ready(best_effort.as_mut()).await);
    drop(peer);
    let mut peer = Peer::hello(&server, "1").await.alive();
    peer.send("\n").await;
    soon(connection.wait_up()).await.unwrap();
    peer.answer("00later").await;
    soon(writer).await.unwrap().unwrap();
    soon(best_effort).await.unwrap();
    peer.expect(&["01too"]).await;
    assert_eq!(connection.connects(), 2);
}

#[tokio::test]
async fn keepalives_keep_both_ends_alive() {
    let server = server(SHORT * 2).await;
    let _app = App::start(&server);
    let mut events = server.events();
    let mut peer = Peer::hello(&server, "1").await;
    // Answers each keepalive with one, for longer than two time-outs: a keepalive is due at once
    // and then every quarter.
    for _ in 0..10 {
        let mut byte = [0];
        let read = tokio::io::AsyncReadExt::read_exact(&mut peer.read, &mut byte);
        soon(read).await.unwrap();
        assert_eq!(byte, *b"\n");
        peer.send("\n").await;
    }
    peer.say("00a").await;
    drop(peer);
    let event = until(&mut events, is_outage).await;
    let closed = matches!(event.kind, EventKind::OutageBegan { cause: Cause::ClosedByPeer, .. });
    assert!(closed, "{event:?}");
}

#[tokio::test]
async fn a_dropped_write_takes_the_line_back_unless_it_was_sent() {
    let server = server(PATIENT).await;
    let mut peer = Peer::hello(&server, "1").await;
    peer.send("\n").await;
    let connection = soon(server.client("1")).await;
    let sent = begin_write(&connection, "sent").await;
    peer.expect(&["00sent"]).await;
    // Waits for the acknowledgement of the first, so no byte of it was sent.
    let never = begin_write(&connection, "never sent").await;
    never.abort();
    assert!(soon(never).await.unwrap_err().is_cancelled());
    assert_eq!(connection.status().unacked, 1);
    sent.abort();
    assert!(soon(sent).await.unwrap_err().is_cancelled());
    assert_eq!(connection.status().unacked, 1);
    let next = begin_write(&connection, "next").await;
    peer.send("00\n").await;
    peer.answer("01next").await;
    soon(next).await.unwrap().unwrap();
    // Places in the queue come back: more lines than there are places can be cancelled.
    let gone = Connection::clone(&connection);
    drop(peer);
    soon(connection.closed()).await;
    for _ in 0..200 {
        let mut write = pin!(gone.write("x", Delivery::ORDERED));
        assert!(!is_ready(write.as_mut()).await);
    }
    assert_eq!(connection.status().unacked, 0);
}

#[tokio::test]
async fn more_writers_than_places_keep_their_order() {
    let server = server(PATIENT).await;
    let mut peer = Peer::hello(&server, "1").await;
    peer.send("\n").await;
    let connection = soon(server.client("1")).await;
    let writers: Vec<_> = (0..200)
        .map(|n| {
            let connection = connection.clone();
            tokio::spawn(async move {
                connection.write(&format!("line {n}"), Delivery::UNORDERED).await
            })
        })
        .collect();
    for n in 0..200 {
        peer.answer(&format!("{n:02x}line {n}")).await;
    }
    for writer in writers {
        soon(writer).await.unwrap().unwrap();
    }
    let status = connection.status();
    assert_eq!((status.lines_out, status.unacked), (200, 0));
    assert!(status.write_ack_us.is_some());
}

#[tokio::test]
async fn reports_are_taken_out_of_the_stream() {
    let server = server(PATIENT).await;
    let mut events = server.events();
    let mut peer = Peer::hello(&server, "1").await;
    let connection = soon(server.client("1")).await;
    peer.tell(&connection, "00before").await;
    peer.say(r#"01{"pblink":{"report":[2,7,23456]}}"#).await;
    peer.tell(&connection, r#"02{"pblink":{"report":[2,7]}}"#).await;
    let event = until(&mut events, |e| matches!(e, EventKind::Report { .. })).await;
    let expected = EventKind::Report {
        id: "1".into(),
        report: Report { connects: 2, number: 7, mem_free: 23456 },
    };
    assert_eq!(event.kind, expected);
    let status = connection.status();
    assert_eq!(status.board_connects, Some(2));
    assert_eq!(status.report_number, Some(7));
    assert_eq!(status.mem_free, Some(23456));
}

#[tokio::test]
async fn a_dropped_read_loses_nothing_and_readers_share_the_lines() {
    let server = server(PATIENT).await;
    let mut peer = Peer::hello(&server, "1").await;
    let connection = soon(server.client("1")).await;
    {
        let mut dropped = pin!(connection.read_line());
        assert!(!is_ready(dropped.as_mut()).await);
        peer.send("00a\n").await;
        arrived(&connection, 1).await;
        // It was woken, and goes away without reading.
    }
    assert_eq!(read(&connection).await, "a");
    peer.expect(&["00"]).await;
    let readers: Vec<_> = (0..3)
        .map(|_| {
            let connection = connection.clone();
            tokio::spawn(async move { connection.read_line().await })
        })
        .collect();
    tokio::task::yield_now().await;
    peer.send("01b\n02c\n03d\n").await;
    let mut lines = Vec::new();
    for reader in readers {
        lines.push(soon(reader).await.unwrap().unwrap());
    }
    lines.sort();
    assert_eq!(lines, ["b", "c", "d"]);
}
