//! A question that is asked before a connection is served.

use pblink_server::Server;
use tokio::sync::{mpsc, oneshot};

use crate::common::{App, PATIENT, Peer, SHORT, soon, start};

#[tokio::test]
async fn nothing_is_said_before_the_answer_and_a_connection_that_is_not_to_be_served_is_closed() {
    let (ask, mut asked) = mpsc::unbounded_channel();
    let gate = move || {
        let (answer, answered) = oneshot::channel::<bool>();
        ask.send(answer).expect("the test hears it");
        async move { answered.await.unwrap_or(false) }
    };
    let server = start(Server::builder().timeout(PATIENT).gate(gate)).await;
    let app = App::start(&server);
    let mut peer = Peer::silent(server.local_addr()).await;
    peer.send("1\n00a\n").await;
    soon(asked.recv()).await.expect("it asks").send(false).expect("it waits");
    assert_eq!(peer.rest().await, b"");
    assert!(server.link("1").is_none());

    let mut peer = Peer::hello(&server, "1").await;
    let answer = soon(asked.recv()).await.expect("it asks for each connection");
    peer.send("00a\n").await;
    answer.send(true).expect("it waits");
    assert_eq!(app.read("1").await, "a");
}

#[tokio::test]
async fn a_server_stops_while_it_waits_for_an_answer() {
    let (ask, mut asked) = mpsc::unbounded_channel();
    let gate = move || {
        ask.send(()).expect("the test hears it");
        std::future::pending()
    };
    let server = start(Server::builder().timeout(SHORT).gate(gate)).await;
    let mut peer = Peer::hello(&server, "1").await;
    soon(asked.recv()).await.expect("it asks");
    soon(server.shutdown()).await;
    assert_eq!(peer.rest().await, b"");
}
