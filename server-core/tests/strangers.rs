//! Strangers: what they may not use up, and what is shown of them.

use std::time::Duration;

use crate::common::{
    PATIENT, Peer, begin_write, is_refusal, read, refused_times, server, soon, start, until,
};
use pblink_server::{EventKind, Refusal, Server, WriteError};

/// Sends a message, and waits until the server has it.
async fn bring(server: &Server, id: &str, peer: &mut Peer, message: &str) {
    let has = || server.link(id).map_or(0, |link| link.status().lines_in);
    let before = has();
    peer.send(format!("{message}\n")).await;
    soon(async {
        while has() == before {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// Visits as a client that says one word and goes. Returns when the server knows that it is gone.
async fn visit(server: &Server, id: &str) {
    let mut peer = Peer::hello(server, id).await;
    bring(server, id, &mut peer, "00hello").await;
    drop(peer);
    let connection = server.link(id).expect("it was here");
    soon(connection.closed()).await;
}

/// Reads all that has come from a client.
async fn empty(server: &Server, id: &str) {
    let connection = server.link(id).expect("it was here");
    assert_eq!(read(&connection).await, "hello");
}

#[tokio::test]
async fn strangers_make_room_for_others_oldest_first() {
    let builder = Server::builder().timeout(PATIENT).expected(["board"]).allow_unknown(true);
    let server = start(builder.max_clients(6)).await;
    visit(&server, "board").await;
    empty(&server, "board").await;
    // Here, and with a line that was not read: both stay.
    let mut here = Peer::hello(&server, "here").await;
    bring(&server, "here", &mut here, "00hello").await;
    visit(&server, "unread").await;
    let forgotten = server.link("unread").expect("it was here");
    for n in 0..50 {
        let id = format!("stranger {n}");
        visit(&server, &id).await;
        empty(&server, &id).await;
        assert!(server.links().len() <= 6);
    }
    let ids: Vec<_> = server.links().into_iter().map(|link| link.id).collect();
    let newest = ["stranger 47", "stranger 48", "stranger 49"];
    assert_eq!(ids, [&["board", "here"][..], &newest, &["unread"]].concat());
    empty(&server, "unread").await;
    empty(&server, "here").await;
    here.expect(&["00"]).await;
    here.tell(&server.link("here").expect("it is here"), "01still here").await;
    assert!(server.link("stranger 0").is_none());
    // A holder of its link learns of it, and does not wait for ever.
    let writer = begin_write(&forgotten, "come back").await;
    for n in 50..60 {
        let id = format!("stranger {n}");
        visit(&server, &id).await;
        empty(&server, &id).await;
    }
    assert!(soon(forgotten.read_line()).await.is_err());
    assert_eq!(soon(writer).await.expect("it ends"), Err(WriteError::Forgotten));
    // It is a newcomer then, and has a session again.
    visit(&server, "stranger 0").await;
}

#[tokio::test]
async fn when_nobody_can_be_forgotten_the_next_one_is_refused() {
    let server = start(Server::builder().timeout(PATIENT).max_clients(2)).await;
    let mut first = Peer::hello(&server, "1").await;
    bring(&server, "1", &mut first, "00a").await;
    visit(&server, "2").await;
    let mut third = Peer::hello(&server, "3").await;
    assert_eq!(third.rest().await, b"");
    refused_times(&server, Refusal::TooMany, 1).await;
    assert_eq!(server.links().len(), 2, "the line of the second is kept");
    // The application has it: the second is not needed any more.
    empty(&server, "2").await;
    let mut third = Peer::hello(&server, "3").await;
    bring(&server, "3", &mut third, "00a").await;
}

#[tokio::test]
async fn one_address_has_so_many_hellos_to_come_and_so_many_connections() {
    let server = start(Server::builder().timeout(PATIENT).max_pending(3).max_per_address(5)).await;
    let mut silent = Vec::new();
    for _ in 0..3 {
        silent.push(Peer::silent(server.local_addr()).await);
    }
    let mut fourth = Peer::silent(server.local_addr()).await;
    assert_eq!(fourth.rest().await, b"");
    refused_times(&server, Refusal::TooManyFromAddress, 1).await;
    // A hello makes room at the door.
    for (n, peer) in silent.iter_mut().enumerate() {
        peer.send(format!("{n}\n")).await;
        bring(&server, &n.to_string(), peer, "00a").await;
    }
    for n in 3..5 {
        let mut peer = Peer::hello(&server, &n.to_string()).await;
        bring(&server, &n.to_string(), &mut peer, "00a").await;
        silent.push(peer);
    }
    let mut sixth = Peer::hello(&server, "6").await;
    assert_eq!(sixth.rest().await, b"");
    refused_times(&server, Refusal::TooManyFromAddress, 2).await;
    // Those that are connected are not concerned.
    for (n, peer) in silent.iter_mut().enumerate() {
        bring(&server, &n.to_string(), peer, "01b").await;
    }
}

/// Case 81: ids that look alike, or that change what a screen shows.
#[tokio::test]
async fn ids_that_cannot_be_told_apart_are_refused_and_shown_escaped() {
    for (id, shown, why) in [
        ("kitchen ", r"kitchen\u{20}", Refusal::UnclearId),
        ("kit\u{a0}chen", r"kit\u{a0}chen", Refusal::UnclearId),
        ("kit\u{2028}chen", r"kit\u{2028}chen", Refusal::UnclearId),
        ("kitchen\u{2800}", r"kitchen\u{2800}", Refusal::UnclearId),
        ("\u{202e}nehctik", r"\u{202e}nehctik", Refusal::UnclearId),
        ("kitchen\u{7f}", r"kitchen\u{7f}", Refusal::BadHello),
        ("\u{9b}31mkitchen", r"\u{9b}31mkitchen", Refusal::BadHello),
    ] {
        let server = server(PATIENT).await;
        let mut events = server.events();
        let mut peer = Peer::hello(&server, id).await;
        assert_eq!(peer.rest().await, b"");
        let event = until(&mut events, is_refusal).await;
        let EventKind::Refused { id, reason, times, .. } = event.kind else {
            panic!("{event:?}");
        };
        assert_eq!((id.as_deref(), reason, times), (Some(shown), why, 1));
        assert!(server.links().is_empty());
    }
}

/// 1,005 wrong hellos erased all history once.
#[tokio::test(start_paused = true)]
async fn a_thousand_wrong_hellos_make_two_events() {
    let (held, released) = std::sync::mpsc::channel::<()>();
    tokio::task::spawn_blocking(move || released.recv());
    let server = start(Server::builder().timeout(PATIENT).expected(["1"])).await;
    let mut events = server.events();
    for n in 0..1005 {
        let mut peer = Peer::hello(&server, &format!("stranger {n}")).await;
        assert_eq!(peer.rest().await, b"");
    }
    refused_times(&server, Refusal::UnknownId, 1005).await;
    tokio::time::advance(Duration::from_secs(10)).await;
    let mut counts = Vec::new();
    while counts.iter().sum::<u64>() < 1005 {
        let event = until(&mut events, is_refusal).await;
        assert!(event.seq <= 4, "{event:?}");
        if let EventKind::Refused { times, .. } = event.kind {
            counts.push(times);
        }
    }
    assert_eq!(counts, [1, 1004]);
    drop(held);
}
