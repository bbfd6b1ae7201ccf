//! Sessions from a store whose clients are away, and reports that a reader of lines passes over.

use crate::common::{PATIENT, Peer, soon, start};
use pblink_protocol::tcp::window::{Window, fingerprint};
use pblink_server::{Refusal, Server, SessionState};

#[tokio::test]
async fn a_report_that_a_reader_of_lines_passes_over_is_acknowledged_at_once() {
    let server = start(Server::builder().timeout(PATIENT).hold_reports(true)).await;
    let mut peer = Peer::hello(&server, "a").await;
    let link = soon(server.next_client()).await.unwrap();
    let reader = tokio::spawn(async move { link.read_line().await });
    // The next keepalive of the server is minutes away.
    peer.say(r#"00{"pblink":{"report":[1,2,30000]}}"#).await;
    for n in 1..5 {
        peer.say(&format!(r#"{n:02x}{{"pblink":{{"report":[1,{n},30000]}}}}"#)).await;
    }
    peer.say("05line").await;
    assert_eq!(soon(reader).await.unwrap().as_deref(), Ok("line"));
}

#[tokio::test]
async fn a_session_from_a_store_outlives_a_server_on_which_its_client_never_was() {
    let server = start(Server::builder().timeout(PATIENT)).await;
    let mut peer = Peer::hello(&server, "a").await;
    let link = soon(server.next_client()).await.unwrap();
    peer.send("00zero\n01one\n").await;
    let batch = soon(link.next_batch()).await.unwrap();
    let state = batch.state().clone();
    assert_eq!(batch.len(), 2);
    drop((batch, peer));
    drop((link, server));
    // A server on which the client does not show up, and then one on which it does.
    let second =
        start(Server::builder().timeout(PATIENT).restore_states([("a".to_owned(), state)])).await;
    let saved = soon(second.shutdown()).await;
    let third = start(Server::builder().timeout(PATIENT).restore(saved)).await;
    let mut peer = Peer::hello(&third, "a").await;
    peer.send("01one\n02two\n").await;
    let link = soon(third.next_client()).await.unwrap();
    assert_eq!(soon(link.read_line()).await.as_deref(), Ok("two"));
}

#[tokio::test]
async fn sessions_from_a_store_make_room_for_newcomers() {
    let states = (0..4).map(|n| (format!("old {n}"), state()));
    let server =
        start(Server::builder().timeout(PATIENT).max_clients(4).restore_states(states)).await;
    let mut peer = Peer::hello(&server, "new").await;
    peer.send("00hello\n").await;
    soon(async {
        while server.link("new").is_none() {
            assert_eq!(server.refused(Refusal::TooMany), 0);
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// Returns the state of a client that has sent nothing, as a store has it.
fn state() -> SessionState {
    let mut bytes = vec![3, 0];
    bytes.extend_from_slice(Window::new().encode(&mut [0; Window::MAX_ENCODED]));
    let check = fingerprint(&bytes);
    bytes.extend(check.to_le_bytes());
    SessionState::decode(&bytes).unwrap()
}
