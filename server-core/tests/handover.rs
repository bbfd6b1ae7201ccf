//! Clients, and the loss of events, are handed to the application.

use std::pin::pin;

use crate::common::{PATIENT, Peer, SHORT, arrived, is_ready, read, server, soon};
use pblink_server::{Closed, Delivery, Notice, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Returns each line to the client that sent it.
async fn echo(server: Server) {
    while let Ok(connection) = server.next_client().await {
        tokio::spawn(async move {
            while let Ok(line) = connection.read_line().await {
                if connection.write(&line, Delivery::ORDERED).await.is_err() {
                    return;
                }
            }
        });
    }
}

/// Sends reports as fast as the socket takes them.
async fn flood(mut peer: Peer) {
    let report = r#"{"pblink":{"report":[1,2,30000]}}"#;
    peer.say(&format!("00{report}")).await;
    let round: String = (1..=255).map(|n| format!("{n:02x}{report}\n")).collect();
    let Peer { mut read, mut write, .. } = peer;
    let writing = async { while write.write_all(round.as_bytes()).await.is_ok() {} };
    let mut answers = [0; 4096];
    let reading = async { while matches!(read.read(&mut answers).await, Ok(1..)) {} };
    tokio::join!(writing, reading);
}

#[tokio::test]
async fn every_client_is_handed_out_while_reports_flood_the_events() {
    const BOARDS: usize = 200;
    let server = server(PATIENT).await;
    let mut events = server.events();
    tokio::spawn(echo(server.clone()));
    let floods: Vec<_> = (0..2)
        .map(|n| {
            let server = server.clone();
            tokio::spawn(
                async move { flood(Peer::hello(&server, &format!("flood {n}")).await).await },
            )
        })
        .collect();
    // More than a reader of events may be behind.
    soon(async {
        while server.links().iter().map(|link| link.lines_in).sum::<u64>() < 2048 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let boards: Vec<_> = (0..BOARDS)
        .map(|n| {
            let server = server.clone();
            tokio::spawn(async move {
                let mut board = Peer::hello(&server, &format!("board {n}")).await;
                board.say("00hello").await;
                board.answer("00hello").await;
            })
        })
        .collect();
    for board in boards {
        soon(board).await.unwrap();
    }
    for flood in &floods {
        flood.abort();
    }
    soon(server.shutdown()).await;
    // The events were not read meanwhile. The loss of some is reported, and all are accounted for.
    let (mut last, mut lost) = (0, 0);
    while let Some(notice) = soon(events.recv()).await {
        match notice {
            Notice::Event(event) => {
                last += 1;
                assert_eq!(event.seq, last);
            }
            Notice::Lost(count) => {
                last += count;
                lost += count;
            }
        }
    }
    assert!(lost > 0, "{last} events are no flood");
}

#[tokio::test]
async fn each_client_is_handed_out_once_whoever_asks() {
    let server = server(PATIENT).await;
    let mut waiting = pin!(server.next_client());
    assert!(!is_ready(waiting.as_mut()).await);
    let mut first = Peer::hello(&server, "first").await;
    assert_eq!(soon(waiting).await.unwrap().id(), "first");
    // One that was woken and goes away leaves the client to the next.
    {
        let mut dropped = pin!(server.next_client());
        assert!(!is_ready(dropped.as_mut()).await);
        first.send("00a\n").await;
        let _second = Peer::hello(&server, "second").await;
        soon(server.client("second")).await;
    }
    assert_eq!(soon(server.next_client()).await.unwrap().id(), "second");
    // A client that was asked for by its id is one like any other; one that comes back is not new.
    let asked = soon(server.client("first")).await;
    asked.close();
    first.rest().await;
    let _back = Peer::hello(&server, "first").await;
    soon(asked.wait_up()).await.unwrap();
    let third = Peer::hello(&server, "third").await;
    assert_eq!(soon(server.next_client()).await.unwrap().id(), "third");
    drop(third);
    let mut waiting = pin!(server.next_client());
    assert!(!is_ready(waiting.as_mut()).await);
    soon(server.shutdown()).await;
    assert!(matches!(soon(waiting).await, Err(Closed)));
    assert!(matches!(soon(server.next_client()).await, Err(Closed)));
}

#[tokio::test]
async fn restored_clients_are_handed_out_before_they_are_back() {
    let first = server(SHORT).await;
    for id in ["1", "2"] {
        let mut peer = Peer::hello(&first, id).await;
        peer.send("00unread\n").await;
        arrived(&soon(first.client(id)).await, 1).await;
    }
    assert_eq!(soon(first.next_client()).await.unwrap().id(), "1");
    let saved = soon(first.shutdown()).await;
    let builder = Server::builder().timeout(SHORT).restore(saved);
    let second = builder.listen(([127, 0, 0, 1], 0).into()).bind().await.unwrap();
    for id in ["1", "2"] {
        let client = soon(second.next_client()).await.unwrap();
        assert_eq!((client.id(), client.is_up()), (id, false));
        assert_eq!(read(&client).await, "unread");
    }
    // That they are back makes them no new clients.
    let _known = Peer::hello(&second, "1").await;
    soon(second.client("1")).await;
    let _new = Peer::hello(&second, "3").await;
    assert_eq!(soon(second.next_client()).await.unwrap().id(), "3");
}
