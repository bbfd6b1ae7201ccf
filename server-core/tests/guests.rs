//! The list of clients that may connect, changed while the server runs.

use crate::common::{App, PATIENT, Peer, begin_write, is_outage, is_refusal, soon, start, until};
use pblink_server::{
    BindError, Cause, Delivery, EventKind, Layer, LinkState, Refusal, Server, WriteError,
};

fn ids(server: &Server) -> Vec<String> {
    server.links().into_iter().map(|link| link.id).collect()
}

#[tokio::test]
async fn clients_that_are_not_expected_any_more_are_closed_and_refused_and_others_stay() {
    let server = start(Server::builder().timeout(PATIENT).expected(["1", "2"])).await;
    let app = App::start(&server);
    let mut events = server.events();
    let (mut stays, mut goes) = (Peer::hello(&server, "1").await, Peer::hello(&server, "2").await);
    stays.send("00a\n").await;
    goes.send("00b\n").await;
    assert_eq!((app.read("1").await, app.read("2").await), ("a".into(), "b".into()));

    server.set_expected(["1", "3"], false).unwrap();
    let event = until(&mut events, is_outage).await;
    let (id, cause, layer) = ("2".into(), Cause::NotExpected, Layer::Server);
    assert_eq!(event.kind, EventKind::OutageBegan { id, cause, layer });
    goes.rest().await;
    let mut again = Peer::hello(&server, "2").await;
    let event = until(&mut events, is_refusal).await;
    assert!(
        matches!(&event.kind, EventKind::Refused { id: Some(id), reason: Refusal::UnknownId, .. } if id == "2"),
        "{event:?}"
    );
    again.rest().await;
    // Its link is remembered, and the new one has its place from the beginning.
    assert_eq!(
        (ids(&server), server.expected()),
        (vec!["1".into(), "2".into(), "3".into()], vec!["1".into(), "3".into()])
    );

    stays.send("01c\n").await;
    assert_eq!(app.read("1").await, "c", "nobody has touched it");
    let status = server.link("1").unwrap().status();
    assert_eq!((status.state, status.outages), (LinkState::Up, 0));
    Peer::hello(&server, "3").await.send("00d\n").await;
    assert_eq!(app.read("3").await, "d");
}

#[tokio::test]
async fn a_client_that_is_expected_again_continues_where_it_was() {
    let server = start(Server::builder().timeout(PATIENT).expected(["1", "2"])).await;
    let app = App::start(&server);
    let mut peer = Peer::hello(&server, "2").await;
    peer.send("00a\n01b\n").await;
    assert_eq!((app.read("2").await, app.read("2").await), ("a".into(), "b".into()));
    server.set_expected(["1"], false).unwrap();
    peer.rest().await;
    server.set_expected([""; 0], true).unwrap();
    assert_eq!(server.expected(), [""; 0]);
    let mut peer = Peer::hello(&server, "2").await;
    // The acknowledgement was lost, and the board repeats its line.
    peer.send("01b\n02c\n").await;
    assert_eq!(app.read("2").await, "c");
    assert_eq!(server.link("2").unwrap().status().duplicates, 1);
}

#[tokio::test]
async fn a_client_that_was_never_there_leaves_no_link_behind() {
    let server = start(Server::builder().timeout(PATIENT).expected(["1", "kitchne"])).await;
    let misspelt = server.link("kitchne").unwrap();
    let writing = begin_write(&misspelt, "x").await;
    server.set_expected(["1", "kitchen"], false).unwrap();
    assert_eq!(ids(&server), ["1", "kitchen", "kitchne"], "a line waits for it");
    writing.abort();
    let _ = writing.await;
    server.set_expected(["1", "kitchen"], false).unwrap();
    assert_eq!(ids(&server), ["1", "kitchen"]);
    // A handle to it says so, and another one is as any other.
    server.set_expected(["attic"], false).unwrap();
    assert_eq!(ids(&server), ["attic"]);
    let attic = server.link("attic").unwrap();
    server.set_expected(["1"], false).unwrap();
    assert!(matches!(soon(attic.write("x", Delivery::ORDERED)).await, Err(WriteError::Closed)));
}

#[tokio::test]
async fn an_id_that_cannot_be_one_changes_nothing() {
    let server = start(Server::builder().timeout(PATIENT).expected(["1"])).await;
    let wrong = server.set_expected(["2", "a\u{a0}b"], false);
    assert!(matches!(wrong, Err(BindError::BadId { .. })), "{wrong:?}");
    assert_eq!((server.expected(), ids(&server)), (vec!["1".into()], vec!["1".into()]));
}
