//! An owner that keeps lines and sessions in a store, and takes what is to be stored as batches.

use std::pin::pin;

use crate::common::{PATIENT, Peer, SHORT, is_ready, soon, start};
use pblink_server::{Batch, BindError, Builder, Delivery, Server, SessionState, WriteError};

fn owner() -> Builder {
    Server::builder().timeout(PATIENT).commits(true)
}

fn texts(batch: &Batch) -> Vec<(String, bool, u32)> {
    batch.lines().map(|line| (line.text.to_owned(), line.report, line.restarts)).collect()
}

async fn batch(server: &Server) -> Batch {
    soon(server.next_batch()).await.expect("the server runs")
}

/// Returns the state as a process that starts anew reads it.
fn stored(batch: &Batch) -> SessionState {
    SessionState::decode(&batch.state().encode()).expect("as it was written")
}

#[tokio::test]
async fn lines_reports_and_restarts_come_in_one_batch_and_are_acknowledged_when_it_is_accepted() {
    let server = start(owner()).await;
    let mut peer = Peer::hello(&server, "1").await;
    let report = r#"{"pblink":{"report":[1,2,30000]}}"#;
    peer.send(format!("00a\n01{report}\n02b\n00a2\n")).await;
    let mut lines = Vec::new();
    while lines.len() < 4 {
        let batch = batch(&server).await;
        assert_eq!((batch.client(), batch.done(), batch.is_empty()), ("1", 0, false));
        lines.extend(texts(&batch));
        batch.accept().unwrap();
    }
    let expected = [("a", false, 0), (report, true, 0), ("b", false, 0), ("a2", false, 1)];
    assert_eq!(lines, expected.map(|(text, report, restarts)| (text.to_owned(), report, restarts)));
    // In one batch, only the last use of the number is acknowledged.
    peer.expect(&["00"]).await;
}

#[tokio::test]
async fn a_batch_that_is_given_back_comes_again_with_what_came_meanwhile() {
    let server = start(owner()).await;
    let mut peer = Peer::hello(&server, "1").await;
    peer.send("00a\n").await;
    let first = batch(&server).await;
    peer.send("01b\n").await;
    // One batch of a client is out at a time.
    let mut next = pin!(server.next_batch());
    assert!(!is_ready(next.as_mut()).await && server.try_batch().is_none());
    while server.links()[0].lines_in < 2 {
        tokio::task::yield_now().await;
    }
    assert!(!is_ready(next.as_mut()).await && server.try_batch().is_none());
    drop(first);
    let again = soon(next).await.expect("the server runs");
    assert_eq!(texts(&again), [("a".into(), false, 0), ("b".into(), false, 0)]);
    again.accept().unwrap();
    peer.expect(&["00", "01"]).await;
}

/// Whoever waits for each line would wait behind all that others send without an end.
#[tokio::test]
async fn who_has_little_comes_before_those_who_have_much() {
    let server = start(owner()).await;
    let all_in = async |id: &str, lines: u64| {
        while server.link(id).is_none_or(|link| link.status().lines_in < lines) {
            tokio::task::yield_now().await;
        }
    };
    let (mut peers, mut first) = (Vec::new(), Vec::new());
    for n in 0..5 {
        let mut peer = Peer::hello(&server, &format!("much {n}")).await;
        peer.send("00first\n").await;
        first.push(batch(&server).await);
        let text = "x".repeat(900);
        let more: Vec<_> = (1..20).map(|mid| format!("{mid:02x}{text}\n")).collect();
        peer.send(more.concat()).await;
        all_in(&format!("much {n}"), 20).await;
        peers.push(peer);
    }
    for batch in first {
        batch.accept().unwrap();
    }
    let mut little = Peer::hello(&server, "little").await;
    little.send("00a line\n").await;
    all_in("little", 1).await;
    let batches: Vec<Batch> = std::iter::from_fn(|| server.try_batch()).collect();
    let order: Vec<_> =
        batches.iter().map(|batch| (batch.client().to_owned(), batch.len())).collect();
    let much = (0..5).map(|n| (format!("much {n}"), 19));
    let expected: Vec<_> = std::iter::once(("little".to_owned(), 1)).chain(much).collect();
    assert_eq!(order, expected);
}

#[tokio::test]
async fn a_line_to_a_board_is_repeated_under_its_number_until_the_commit_that_it_is_done() {
    let server = start(owner().timeout(SHORT)).await;
    let mut peer = Peer::hello(&server, "1").await.alive();
    peer.send("00hello\n").await;
    let first = batch(&server).await;
    let before = stored(&first);
    first.accept().unwrap();
    peer.expect(&["00"]).await;
    let link = server.link("1").expect("it is connected");
    link.post("x", Delivery::BestEffort).unwrap();
    peer.expect(&["00x"]).await;
    peer.send("00\n").await;
    let done = batch(&server).await;
    assert_eq!((done.len(), done.done(), done.state().next_number()), (0, 1, 1));
    // The commit is slow: the line is repeated, and nothing goes behind number 0.
    link.post("y", Delivery::BestEffort).unwrap();
    peer.expect(&["00x"]).await;
    done.accept().unwrap();
    peer.expect(&["01y"]).await;
    server.shutdown().await;

    // A server that was killed before that commit sends the same number and text again.
    assert_eq!(before.next_number(), 0);
    let server = start(owner().restore_states([("1".to_owned(), before)])).await;
    server.link("1").expect("it is known").post("x", Delivery::BestEffort).unwrap();
    let mut peer = Peer::hello(&server, "1").await;
    peer.send("00hello\n").await;
    // The repeated line is known, and is acknowledged at once.
    peer.expect(&["00", "00x"]).await;
    assert!(server.try_batch().is_none());
}

/// A client that hears only keepalives for some time forgets what it has received: lines that it may have must be there
/// before it is, however long their owner takes to come.
#[tokio::test]
async fn a_restored_session_sends_what_it_owes_before_its_owner_has_done_anything() {
    let mut state = SessionState::default();
    for n in 0..64 {
        assert!(state.owe(format!("{n}").into(), Delivery::UNORDERED));
    }
    assert!(!state.owe("65th".into(), Delivery::UNORDERED));
    let server = start(owner().restore_states([("1".to_owned(), state)])).await;
    let mut peer = Peer::hello(&server, "1").await;
    peer.send("\n").await;
    peer.expect(&["000"]).await;
    // They count, and the owner goes on behind them.
    let link = server.link("1").expect("it is known");
    assert_eq!(link.status().unacked, 64);
    assert_eq!(link.post("64", Delivery::UNORDERED), Err(WriteError::Full));
    peer.send("00\n").await;
    let done = batch(&server).await;
    assert_eq!(done.done(), 1);
    done.accept().unwrap();
    link.post("64", Delivery::UNORDERED).unwrap();
    let rest: Vec<_> = (1..=64).map(|n| format!("{n:02x}{n}")).collect();
    peer.expect(&rest.iter().map(String::as_str).collect::<Vec<_>>()).await;
}

#[tokio::test]
async fn a_session_has_room_for_64_lines_and_commits_make_room() {
    let server = start(owner().expected(["1"])).await;
    let link = server.link("1").expect("it is expected");
    for n in 0..64 {
        link.post(&format!("{n}"), Delivery::UNORDERED).unwrap();
    }
    assert_eq!(link.post("one more", Delivery::UNORDERED), Err(WriteError::Full));
    assert!(matches!(link.post("a\nb", Delivery::UNORDERED), Err(WriteError::Text(_))));
    assert!(matches!(
        link.post(&"x".repeat(1025), Delivery::UNORDERED),
        Err(WriteError::TooLong { len: 1025, max: 1024 })
    ));
    let mut peer = Peer::hello(&server, "1").await;
    peer.send("\n").await;
    peer.expect(&["000"]).await;
    peer.send("00\n").await;
    batch(&server).await.accept().unwrap();
    link.post("one more", Delivery::UNORDERED).unwrap();
    assert_eq!(link.post("another", Delivery::UNORDERED), Err(WriteError::Full));
    // Acknowledged out of order, only the oldest leave, and in order.
    peer.expect(&["011", "022", "033"]).await;
    peer.send("02\n03\n").await;
    while link.status().write_ack_us.is_none() {
        tokio::task::yield_now().await;
    }
    assert!(server.try_batch().is_none());
    peer.send("01\n").await;
    let mut done = 0;
    while done < 3 {
        let batch = batch(&server).await;
        done += batch.done();
        assert_eq!(usize::from(batch.state().next_number()), 1 + done);
        batch.accept().unwrap();
    }
}

#[tokio::test]
async fn a_settled_window_is_stored_without_a_line() {
    let server = start(owner().timeout(SHORT)).await;
    let mut peer = Peer::hello(&server, "1").await;
    peer.send("00motion\n").await;
    let lines = batch(&server).await;
    let busy = stored(&lines);
    lines.accept().unwrap();
    peer.expect(&["00"]).await;
    // Keepalives in a row prove that nothing is unacknowledged.
    let settled = {
        let mut settled = pin!(soon(server.next_batch()));
        let mut pace = tokio::time::interval(SHORT / 6);
        loop {
            tokio::select! {
                batch = &mut settled => break batch.expect("the server runs"),
                _ = pace.tick() => peer.send("\n").await,
            }
        }
    };
    assert_eq!((settled.len(), settled.done()), (0, 0));
    let quiet = stored(&settled);
    assert!(quiet.encode().len() < busy.encode().len());
    settled.accept().unwrap();
    assert!(server.try_batch().is_none());
    server.shutdown().await;
    // The board slept, boots and says the same again.
    let server = start(owner().restore_states([("1".to_owned(), quiet)])).await;
    let mut peer = Peer::hello(&server, "1").await;
    peer.send("00motion\n").await;
    assert_eq!(texts(&batch(&server).await).len(), 1);
}

#[tokio::test]
async fn a_shutdown_waits_for_the_commit_and_not_for_boards() {
    let server = start(owner()).await;
    let mut peer = Peer::hello(&server, "1").await;
    peer.send("00a\n").await;
    let out = batch(&server).await;
    server
        .link("1")
        .expect("it is connected")
        .post("never acknowledged", Delivery::ORDERED)
        .unwrap();
    let mut stopping = pin!(server.shutdown());
    assert!(!is_ready(stopping.as_mut()).await);
    assert!(soon(server.next_batch()).await.is_err() && server.try_batch().is_none());
    out.accept().unwrap();
    let saved = soon(stopping).await;
    peer.expect(&["00"]).await;
    assert_eq!((saved.unread(), saved.unacked()), (0, 1));
    // The store is the only source of truth.
    let again = owner().listen(([127, 0, 0, 1], 0).into()).restore(saved).bind().await;
    assert!(matches!(again, Err(BindError::Restore)));
}

#[tokio::test]
async fn a_stranger_for_whom_the_store_has_lines_is_not_forgotten_and_others_are_reported() {
    let server = start(owner().max_clients(2)).await;
    for (id, owed) in [("a", true), ("b", false)] {
        let mut peer = Peer::hello(&server, id).await;
        peer.send("00x\n").await;
        batch(&server).await.accept().unwrap();
        peer.expect(&["00"]).await;
        if owed {
            server.link(id).expect("it is connected").post("later", Delivery::ORDERED).unwrap();
        }
        drop(peer);
        while server.link(id).expect("it is known").is_up() {
            tokio::task::yield_now().await;
        }
    }
    let mut peer = Peer::hello(&server, "c").await;
    peer.send("00x\n").await;
    assert_eq!(batch(&server).await.client(), "c");
    assert_eq!(server.take_forgotten(), ["b"]);
    assert!(server.take_forgotten().is_empty() && server.link("a").is_some());
}
