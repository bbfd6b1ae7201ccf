//! A key that a board is given over its link, on real sockets.

use std::time::Duration;

use crate::common::secure::{SecureBoard, keys};
use crate::common::{start, until};
use pblink_protocol::secure::board::BoardEvent;
use pblink_secure_suite::keys::{Secret, ServerKeys};
use pblink_secure_suite::random::Os;
use pblink_server::{Delivery, EventKind, Keys, Server};

const TIMEOUT: Duration = Duration::from_secs(2);

async fn serve(keys: Keys) -> Server {
    start(Server::builder().timeout(TIMEOUT).keys(keys)).await
}

fn next(keys: &ServerKeys) -> ServerKeys {
    ServerKeys { generation: keys.generation + 1, shared: Secret::draw(&mut Os), ..keys.clone() }
}

fn both(old: &ServerKeys, new: &ServerKeys) -> Keys {
    Keys::new().board(old.clone()).board(new.clone())
}

/// The generations in a board's flash, and which are confirmed.
fn records(board: &SecureBoard) -> Vec<(u32, bool)> {
    board.flash.lock().records.iter().map(|it| (it.0.generation, it.1)).collect()
}

#[tokio::test]
async fn a_board_is_given_a_key_and_its_link_stays_up() {
    let issued = keys("1");
    let (old, new) = (issued.server.clone(), next(&issued.server));
    let server = serve(Keys::new().board(old.clone())).await;
    let mut board = SecureBoard::new(&issued.board, server.local_addr(), TIMEOUT);
    let link = server.link("1").expect("it has keys");
    board.until(|_| link.is_up()).await;
    assert_eq!(server.proven_keys("1"), Some(1));
    server.set_keys(both(&old, &new)).expect("ids");
    link.post("on the way", Delivery::ORDERED).expect("there is room");
    board.write("up");
    board.until(|_| server.proven_keys("1") == Some(2)).await;
    assert_eq!(records(&board), [(1, true), (2, false)], "the server may go back yet");
    server.set_keys(Keys::new().board(new)).expect("ids");
    board.until(|board| records(board) == [(1, true), (2, true)]).await;
    board.until(|board| board.got == ["on the way"] && link.status().unread == 1).await;
    assert_eq!((link.connects(), link.status().outages), (1, 0));
    assert!(!board.events.contains(&BoardEvent::Down));
    // And through all that can happen to either.
    board.power_cycle();
    board.until(|_| link.is_up() && link.connects() == 2).await;
    assert_eq!(server.proven_keys("1"), Some(2));
}

#[tokio::test]
async fn a_rotation_that_is_taken_back_leaves_the_board_in() {
    let issued = keys("1");
    let (old, new) = (issued.server.clone(), next(&issued.server));
    let server = serve(both(&old, &new)).await;
    let mut board = SecureBoard::new(&issued.board, server.local_addr(), TIMEOUT);
    let link = server.link("1").expect("it has keys");
    board.until(|_| server.proven_keys("1") == Some(2)).await;
    server.set_keys(Keys::new().board(old)).expect("ids");
    assert!(!link.is_up(), "its session was one of the new key");
    board.until(|_| link.is_up()).await;
    assert_eq!((server.proven_keys("1"), records(&board)), (Some(1), vec![(1, true), (2, false)]));
}

#[tokio::test]
async fn a_board_that_is_revoked_while_it_is_given_a_key_is_out() {
    let issued = keys("1");
    let (old, new) = (issued.server.clone(), next(&issued.server));
    let server = serve(both(&old, &new)).await;
    let mut board = SecureBoard::new(&issued.board, server.local_addr(), TIMEOUT);
    let link = server.link("1").expect("it has keys");
    board.until(|board| records(board).len() == 2).await;
    server.set_keys(Keys::new().revoked("1")).expect("ids");
    board.events.clear();
    board.until(|board| board.events.contains(&BoardEvent::NoAnswer)).await;
    assert!(!link.is_up() && server.proven_keys("1").is_none());
}

#[tokio::test]
async fn a_board_that_has_no_room_for_a_key_keeps_its_own_and_says_so() {
    let issued = keys("1");
    let (old, new) = (issued.server.clone(), next(&issued.server));
    let server = serve(Keys::new().board(old.clone())).await;
    let mut events = server.events();
    let mut board = SecureBoard::new(&issued.board, server.local_addr(), TIMEOUT);
    board.flash.lock().full = true;
    let link = server.link("1").expect("it has keys");
    board.until(|_| link.is_up()).await;
    server.set_keys(both(&old, &new)).expect("ids");
    let full = |kind: &EventKind| matches!(kind, EventKind::Note { id: Some(id), text } if id == "1" && text.contains("for keys is full"));
    tokio::select! {
        _ = until(&mut events, full) => {}
        () = board.until(|_| false) => {}
    }
    assert!(link.is_up());
    assert_eq!((server.proven_keys("1"), records(&board).len()), (Some(1), 1));
}
