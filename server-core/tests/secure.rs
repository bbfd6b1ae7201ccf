//! Clients with keys: they prove who they are, and each line comes once, whatever happens on the way.

use std::time::Duration;

use crate::common::secure::{SecureBoard, keys};
use crate::common::{Peer, soon, start, until};
use pblink_protocol::secure::board::BoardEvent;
use pblink_server::{Cause, Delivery, EventKind, Keys, Refusal, RestartCause, Server, WriteError};

const TIMEOUT: Duration = Duration::from_secs(2);

async fn serve(keys: Keys) -> Server {
    start(Server::builder().timeout(TIMEOUT).keys(keys)).await
}

fn numbers(lines: impl IntoIterator<Item = String>) -> Vec<u64> {
    lines.into_iter().map(|line| line.parse().expect("a number")).collect()
}

#[tokio::test]
async fn lines_pass_both_ways_through_cuts_and_restarts_of_the_program() {
    let issued = keys("1");
    let server = serve(Keys::new().board(issued.server)).await;
    let mut board = SecureBoard::new(&issued.board, server.local_addr(), TIMEOUT);
    let app = server.clone();
    let read = tokio::spawn(async move {
        let link = soon(app.client("1")).await;
        let mut got = Vec::new();
        while got.len() < 300 {
            got.push(soon(link.read_line()).await.expect("the server lives"));
        }
        got
    });
    let app = server.clone();
    let written = tokio::spawn(async move {
        let link = soon(app.client("1")).await;
        for number in 0..300 {
            let line = number.to_string();
            soon(link.write(&line, Delivery::ORDERED)).await.expect("the server lives");
        }
    });
    for round in 0..30_usize {
        for number in 0..10 {
            board.write(&(10 * round + number).to_string());
        }
        board.until(|board| board.got.len() >= 10 * round + 3).await;
        match round % 3 {
            0 => board.cut(),
            1 => board.restart(),
            _ => {}
        }
    }
    board.all_done().await;
    board.until(|board| board.got.len() == 300 && written.is_finished()).await;
    assert_eq!(numbers(read.await.expect("no panic")), (0..300).collect::<Vec<_>>());
    assert_eq!(numbers(board.got), (0..300).collect::<Vec<_>>());
    let status = server.links().remove(0);
    assert_eq!((status.lines_in, status.lines_out, status.unread), (300, 300, 0));
    assert_eq!(status.key.map(|key| key.len()), Some(11));
}

#[tokio::test]
async fn a_line_is_done_when_the_application_has_accepted_it() {
    let issued = keys("1");
    let server = serve(Keys::new().board(issued.server)).await;
    let mut board = SecureBoard::new(&issued.board, server.local_addr(), TIMEOUT);
    for number in 1..=3 {
        board.write(&number.to_string());
    }
    let link = server.link("1").expect("it has keys");
    board.until(|_| link.status().unread == 3).await;
    let [one, two, three] =
        [soon(link.recv()).await, soon(link.recv()).await, soon(link.recv()).await]
            .map(|line| line.expect("the server lives"));
    let origin = two.origin().expect("a number");
    assert_eq!((origin.seq, one.origin().map(|one| one.epoch)), (2, Some(origin.epoch)));
    // In any order: what is done is all up to the first that is not.
    two.accept().expect("the server lives");
    one.accept().expect("the server lives");
    board.until(|board| board.link.is_done(2)).await;
    assert!(!board.link.is_done(3));
    // One that is given back comes again, and is not sent again.
    drop(three);
    board.cut();
    board.until(|board| board.events.last() == Some(&BoardEvent::Up)).await;
    assert_eq!(soon(link.read_line()).await.as_deref(), Ok("3"));
    board.all_done().await;
    assert_eq!(link.status().lines_in, 3);
}

/// Kind 3 is a start of the board, with its cause; 200 is one that a newer board may have, and 255 a cause.
#[tokio::test]
async fn the_cause_of_a_restart_is_an_event_and_what_a_newer_board_tells_does_no_harm() {
    let issued = keys("1");
    let server = serve(Keys::new().board(issued.server)).await;
    let mut events = server.events();
    let mut board = SecureBoard::new(&issued.board, server.local_addr(), TIMEOUT);
    board.link.tell(200, b"of a newer board");
    board.link.tell(3, &[255]);
    board.write("1");
    let link = server.link("1").expect("it has keys");
    board.until(|_| link.status().unread == 1).await;
    board.link.tell(3, &[4]);
    board.write("2");
    let told = tokio::spawn(async move {
        until(&mut events, |event| {
            matches!(event, EventKind::BoardRestarted { .. } | EventKind::OutageBegan { .. })
        })
        .await
    });
    board.until(|_| link.status().unread == 2 && told.is_finished()).await;
    let cause = RestartCause::IndependentWatchdog;
    let expected = EventKind::BoardRestarted { id: "1".into(), cause };
    assert_eq!(told.await.expect("no panic").kind, expected);
    assert_eq!(soon(link.read_line()).await.as_deref(), Ok("1"));
}

#[tokio::test]
async fn another_server_goes_on_with_the_sessions_of_one_that_was_shut_down() {
    let issued = keys("1");
    let all = Keys::new().board(issued.server);
    let server = serve(all.clone()).await;
    let mut board = SecureBoard::new(&issued.board, server.local_addr(), TIMEOUT);
    board.reads = false;
    board.write("1");
    board.write("2");
    let link = server.link("1").expect("it has keys");
    board.until(|_| link.status().unread == 2).await;
    assert_eq!(soon(link.read_line()).await.as_deref(), Ok("1"));
    link.post("a", Delivery::ORDERED).expect("there is room");
    let saved = soon(server.shutdown_within(Duration::ZERO)).await;
    assert_eq!((saved.len(), saved.unread(), saved.unacked()), (1, 1, 1));
    let next = start(Server::builder().timeout(TIMEOUT).keys(all).restore(saved)).await;
    board.serve_by(next.local_addr());
    board.reads = true;
    let link = soon(next.next_client()).await.expect("the server lives");
    board.write("3");
    board.until(|board| board.got == ["a"] && link.status().unread == 2).await;
    for text in ["2", "3"] {
        assert_eq!(soon(link.read_line()).await.as_deref(), Ok(text));
    }
    board.all_done().await;
    board.until(|_| link.status().unacked == 0).await;
}

#[tokio::test]
async fn nobody_gets_in_without_the_keys_and_nobody_learns_which_ids_exist() {
    let (issued, others) = (keys("1"), keys("1"));
    let server =
        serve(Keys::new().board(issued.server).revoked("gone").classic(["old", "1"])).await;
    let mut events = server.events();
    // One without a key, one with other keys, and one that was revoked get the same.
    let mut replies = Vec::new();
    for id in ["1", "nobody", "gone"] {
        let mut peer = Peer::hello(&server, id).await.alive();
        peer.send("00~qAAAAAAAAAAA\n").await;
        let mut lines = Vec::new();
        while lines.len() < 2 {
            lines.push(peer.line().await.expect("it is not closed"));
        }
        replies
            .push(lines.iter().map(|line| (line.len(), line[..2].to_owned())).collect::<Vec<_>>());
    }
    assert!(replies.iter().all(|reply| *reply == replies[0]), "{replies:?}");
    let mut board = SecureBoard::new(&others.board, server.local_addr(), TIMEOUT);
    board.write("let me in");
    board.until(|board| board.events.contains(&BoardEvent::NoAnswer)).await;
    assert!(!server.link("1").expect("it has keys").is_up());
    drop(board);
    // Classic lines for an id with keys are not taken, although it is listed.
    let mut peer = Peer::hello(&server, "1").await.alive();
    peer.send("00plain\n").await;
    assert_eq!(server.link("1").expect("it has keys").status().unread, 0);
    let refused = until(&mut events, |event| {
        matches!(event, EventKind::Refused { reason: Refusal::NotSecure, .. })
    });
    let (refused, answer) = tokio::join!(refused, peer.line());
    assert!(matches!(refused.kind, EventKind::Refused { id: Some(id), .. } if id == "1"));
    assert_eq!(answer, None, "nor acknowledged: it would be lost");
    // And one that may be classic is.
    let mut peer = Peer::hello(&server, "old").await;
    let link = soon(server.client("old")).await;
    peer.tell(&link, "00plain").await;
    assert_eq!(link.status().key, None);
}

/// Its owner is to learn which of the two it lacks; the client learns neither.
#[tokio::test]
async fn a_refusal_tells_an_id_without_keys_from_one_that_is_not_expected() {
    let builder = Server::builder().timeout(TIMEOUT).keys(Keys::new()).expected(["new"]);
    let server = start(builder.allow_unknown(false)).await;
    let reason = async |id: &str| {
        let mut events = server.events();
        let mut peer = Peer::hello(&server, id).await.alive();
        peer.send("00plain\n").await;
        let refused = until(
            &mut events,
            |event| matches!(event, EventKind::Refused { id: Some(of), .. } if of == id),
        );
        let (refused, _) = tokio::join!(refused, peer.line());
        let EventKind::Refused { reason, .. } = refused.kind else { unreachable!() };
        reason
    };
    let reasons = tokio::join!(reason("new"), reason("stranger"));
    assert_eq!(reasons, (Refusal::NotSecure, Refusal::UnknownId));
}

#[tokio::test]
async fn keys_that_are_revoked_cut_the_link_and_new_ones_are_taken() {
    let (issued, next) = (keys("1"), keys("1"));
    let server = serve(Keys::new().board(issued.server.clone()).classic(["2"])).await;
    let mut board = SecureBoard::new(&issued.board, server.local_addr(), TIMEOUT);
    let link = server.link("1").expect("it has keys");
    board.until(|_| link.is_up()).await;
    // The same ones cut nothing.
    server.set_keys(Keys::new().board(issued.server).classic(["2"])).expect("ids");
    assert!(link.is_up());
    server.set_keys(Keys::new().revoked("1").classic(["2"])).expect("ids");
    assert_eq!((link.is_up(), soon(link.closed()).await), (false, Cause::KeysChanged));
    board.events.clear();
    board.until(|board| board.events.contains(&BoardEvent::NoAnswer)).await;
    assert!(!link.is_up());
    // A board with new keys, and another memory.
    server.set_keys(Keys::new().board(next.server).classic(["2"])).expect("ids");
    let mut board = SecureBoard::new(&next.board, server.local_addr(), TIMEOUT);
    board.write("here again");
    board.until(|_| link.status().unread == 1).await;
    // A client that was classic gets keys.
    let mut peer = Peer::hello(&server, "2").await;
    let classic = soon(server.client("2")).await;
    peer.tell(&classic, "00plain").await;
    let issued = keys("2");
    server.set_keys(Keys::new().board(issued.server)).expect("ids");
    assert!(classic.read_line().await.is_err(), "the old link is over");
    let mut board = SecureBoard::new(&issued.board, server.local_addr(), TIMEOUT);
    board.write("hidden");
    let link = server.link("2").expect("it has keys");
    board.until(|_| link.status().unread == 1).await;
    assert_eq!(soon(link.read_line()).await.as_deref(), Ok("hidden"));
}

#[tokio::test]
async fn a_line_is_undetermined_when_the_board_has_lost_its_memory() {
    let issued = keys("1");
    let server = serve(Keys::new().board(issued.server)).await;
    let mut events = server.events();
    let mut board = SecureBoard::new(&issued.board, server.local_addr(), TIMEOUT);
    board.accepts = false;
    let link = server.link("1").expect("it has keys");
    board.until(|_| link.is_up()).await;
    let writer = link.clone();
    let written = tokio::spawn(async move { writer.write("valve open", Delivery::ORDERED).await });
    board.until(|board| board.got.len() == 1).await;
    // The power fails before the program says that it is done with the line, so nobody knows whether it is.
    board.power_cycle();
    board.accepts = true;
    board.until(|_| written.is_finished()).await;
    assert_eq!(written.await.expect("no panic"), Err(WriteError::Undetermined));
    let told = until(&mut events, |event| matches!(event, EventKind::Undetermined { .. })).await;
    assert_eq!(told.kind, EventKind::Undetermined { id: "1".into(), lines: 1, up_to: 1 });
    let writer = link.clone();
    let again = tokio::spawn(async move { writer.write("valve open", Delivery::ORDERED).await });
    board.until(|_| again.is_finished()).await;
    assert_eq!(
        (again.await.expect("no panic"), board.got),
        (Ok(()), vec!["valve open".to_owned(); 2])
    );
}

#[tokio::test]
async fn a_line_that_may_be_lost_waits_for_the_link_and_has_no_number() {
    let issued = keys("1");
    let server = serve(Keys::new().board(issued.server)).await;
    let link = server.link("1").expect("it has keys");
    let writer = link.clone();
    let written = tokio::spawn(async move {
        for text in ["one", "two", "three"] {
            writer.write(text, Delivery::BestEffort).await.expect("the server lives");
        }
    });
    let mut board = SecureBoard::new(&issued.board, server.local_addr(), TIMEOUT);
    board.until(|board| board.got == ["one", "two", "three"]).await;
    written.await.expect("no panic");
    assert!(board.link.send("maybe"));
    board.until(|_| link.status().unread == 1).await;
    let line = soon(link.recv()).await.expect("the server lives");
    assert_eq!((line.text(), line.origin()), ("maybe", None));
    line.accept().expect("the server lives");
}

#[tokio::test]
async fn what_passes_shows_nothing() {
    let issued = keys("1");
    let server = serve(Keys::new().board(issued.server)).await;
    let mut board = SecureBoard::new(&issued.board, server.local_addr(), TIMEOUT);
    let (up, down) = ("motion in the attic", "open the cellar door");
    board.write(up);
    let link = server.link("1").expect("it has keys");
    link.post(down, Delivery::ORDERED).expect("there is room");
    board.until(|board| board.got == [down] && link.status().unread == 1).await;
    let seen = board.seen.lock().expect("no panic").clone();
    assert!(seen.len() > 200);
    for text in [up, down] {
        let found = |part: &[u8]| seen.windows(part.len()).any(|window| window == part);
        assert!(!text.as_bytes().windows(5).any(found), "{text}");
    }
}

/// Whoever claims an id again and again takes places from himself, and from nobody who was here before.
#[tokio::test]
async fn a_board_gets_in_while_others_claim_its_id() {
    let issued = keys("1");
    let server = serve(Keys::new().board(issued.server)).await;
    let link = server.link("1").expect("it has keys");
    let mut board = SecureBoard::new(&issued.board, server.local_addr(), TIMEOUT);
    board.until(|_| link.is_up()).await;
    for round in 1..=3 {
        let mut claims = Vec::new();
        for _ in 0..40 {
            let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
            socket.bind(([127, 0, 0, 2], 0).into()).expect("an address of this machine");
            let stream = soon(socket.connect(server.local_addr())).await.expect("connects");
            let mut claim = Peer::from_stream(stream);
            claim.send("1\n00~qAAAAAAAAAAA\n").await;
            claims.push(claim);
        }
        assert!(link.is_up());
        board.cut();
        board.until(|_| link.is_up() && link.connects() == 1 + round).await;
        board.write("here");
        board.until(|_| link.status().unread == round).await;
        // Most of the others were sent away long before their time.
        board.until(|_| server.connections() <= 16).await;
        drop(claims);
        board.until(|_| server.connections() == 1).await;
    }
}

/// As after the machine was set back to a snapshot: keys and epoch are new, and lines pass on, each once.
#[tokio::test]
async fn lines_pass_once_through_a_new_epoch_of_the_server() {
    let issued = keys("1");
    let server = serve(Keys::new().board(issued.server)).await;
    let mut board = SecureBoard::new(&issued.board, server.local_addr(), TIMEOUT);
    let link = server.link("1").expect("it has keys");
    let app = link.clone();
    let read = tokio::spawn(async move {
        let mut lines = Vec::new();
        while lines.len() < 60 {
            lines.push(soon(app.read_line()).await.expect("the server lives"));
        }
        lines
    });
    for number in 0..60 {
        board.write(&number.to_string());
        link.post(&number.to_string(), Delivery::ORDERED).expect("there is room");
        if number % 20 == 10 {
            let got = board.got.len();
            board.until(|board| link.is_up() && board.got.len() > got).await;
            server.renew_keys();
            assert!(!link.is_up());
        }
    }
    board.until(|board| board.got.len() == 60 && read.is_finished()).await;
    let lines = read.await.expect("no panic");
    board.all_done().await;
    assert_eq!(numbers(lines), (0..60).collect::<Vec<_>>());
    assert_eq!(numbers(board.got), (0..60).collect::<Vec<_>>());
}

/// A commit that answers a board lasts until the server has begun a new epoch, and until the board has asked again, in the same
/// words. An answer with the epoch before would be one that the store does not know: the board would come with it, and lines
/// to it would be undetermined.
#[tokio::test]
async fn a_commit_from_before_a_new_epoch_does_not_answer_the_board() {
    let issued = keys("1");
    let builder = Server::builder().timeout(TIMEOUT).commits(true);
    let server = start(builder.keys(Keys::new().board(issued.server))).await;
    let link = server.link("1").expect("it has keys");
    let mut board = SecureBoard::new(&issued.board, server.local_addr(), TIMEOUT);
    let asked = std::cell::OnceCell::new();
    link.post_row(1, "first", Delivery::ORDERED).expect("there is room");
    board.until(|_| server.try_batch().is_some_and(|batch| asked.set(batch).is_ok())).await;
    server.renew_keys();
    // It has new keys, and says again where it stands, and once more.
    let has_asked_again = |board: &SecureBoard| {
        let seen = board.seen.lock().expect("no panic");
        let text = String::from_utf8_lossy(&seen);
        let behind = text.split("~r").nth(2).map(|behind| behind.matches("~t").count());
        behind.is_some_and(|packets| packets >= 2)
    };
    board.until(has_asked_again).await;
    asked.into_inner().expect("it was set").accept().expect("the server lives");
    let commit = || {
        while let Some(batch) = server.try_batch() {
            assert_eq!(batch.undetermined(), None);
            batch.accept().expect("the server lives");
        }
    };
    let has = |board: &SecureBoard, lines| {
        commit();
        board.got.len() == lines && link.status().unacked == 0
    };
    board.until(|board| has(board, 1)).await;
    // Its program begins anew, and says where it stands.
    board.restart();
    link.post_row(2, "second", Delivery::ORDERED).expect("there is room");
    board.until(|board| has(board, 2)).await;
    assert_eq!(board.got, ["first", "second"]);
}
