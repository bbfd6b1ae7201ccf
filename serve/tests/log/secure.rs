//! Boards with keys: what is in the log is acknowledged, and nothing is lost or doubled through crashes of the server.

#[path = "../../../endurance/src/client/mod.rs"]
pub mod client;

use std::time::Duration;

use client::{SecureBoard, keys};
use pblink_secure_suite::issue::Issued;
use pblink_server::Keys;

use super::*;

const TIMEOUT: Duration = Duration::from_secs(2);

fn keyed() -> (Issued, Keys) {
    let issued = keys("1");
    let keys = Keys::new().board(issued.server.clone());
    (issued, keys)
}

/// Returns the store of a process that was killed at this moment.
fn killed(disk: &Disk) -> Disk {
    let copy = Disk::new();
    copy.restore(&disk.contents(), disk);
    copy
}

/// "A line is acknowledged when it is in the log", and not earlier. Its board says when it was written.
#[tokio::test(flavor = "multi_thread")]
async fn a_line_is_done_when_its_commit_has_ended() {
    let (issued, keys) = keyed();
    let disk = Disk::new();
    let station = Station::keyed(disk.clone(), &keys).await;
    let link = station.server.link("1").unwrap();
    let mut board = SecureBoard::new(&issued.board, station.server.local_addr(), TIMEOUT);
    board.until(|_| link.is_up()).await;
    disk.stall(true);
    board.write("first");
    board.write("second");
    assert!(board.link.send("maybe"));
    board.until(|_| link.status().lines_in == 3).await;
    assert_eq!((board.link.is_done(1), disk.texts().len()), (false, 0));
    disk.stall(false);
    board.all_done().await;
    let page = station.log.page(0, 10, None).await.unwrap();
    let mut lines: Vec<_> =
        page.lines.iter().map(|l| (&*l.text, l.epoch, l.seq, l.written_ms.is_some())).collect();
    lines.sort_unstable();
    assert_eq!(lines, [("first", 1, 1, true), ("maybe", 1, 0, false), ("second", 1, 2, true)]);
    // Another life of the board: its numbers begin anew.
    board.power_cycle();
    board.write("third");
    board.all_done().await;
    let last = station.log.page(3, 10, None).await.unwrap().lines.remove(0);
    assert_eq!((&*last.text, last.epoch, last.seq), ("third", 2, 1));
    station.stop().await;
}

/// Servers that are killed again and again, in the middle of commits and between them, with lines under way in both directions.
#[tokio::test(flavor = "multi_thread")]
async fn lines_pass_once_and_in_order_through_kills_of_the_server() {
    let (issued, keys) = keyed();
    let mut random = fastrand::Rng::with_seed(11);
    let mut disk = Disk::new();
    let mut station = Station::keyed(disk.clone(), &keys).await;
    let mut board = SecureBoard::new(&issued.board, station.server.local_addr(), TIMEOUT);
    let (mut wrote, mut sent) = (0, 0);
    for round in 0..16 {
        for _ in 0..random.usize(..12) {
            board.write(&format!("up {wrote}"));
            wrote += 1;
        }
        for _ in 0..random.usize(..12) {
            send(&station.log, "1", &format!("down {sent}")).await.unwrap();
            sent += 1;
        }
        let link = station.server.link("1").unwrap();
        let (lines, got) = (disk.texts().len(), board.got.len());
        let (more_up, more_down) = (random.usize(..5), random.usize(..5));
        let wanted = |board: &SecureBoard, disk: &Disk| {
            disk.texts().len() >= (lines + more_up).min(wrote)
                && board.got.len() >= (got + more_down).min(sent)
        };
        board.until(|board| wanted(board, &disk)).await;
        if round % 2 == 1 {
            // In the middle of a commit, of which the store has nothing. Where both stand needs one, too.
            board.until(|_| link.is_up()).await;
            disk.stall(true);
            board.write(&format!("up {wrote}"));
            wrote += 1;
            board.until(|_| link.status().unread > 0).await;
        }
        if random.bool() {
            board.restart();
        }
        let next = killed(&disk);
        board.cut();
        disk.stall(false);
        let old = std::mem::replace(&mut station, Station::keyed(next.clone(), &keys).await);
        board.serve_by(station.server.local_addr());
        disk = next;
        // The old one has nobody to talk to, and its store is not looked at any more.
        old.stop().await;
    }
    board.all_done().await;
    board.until(|board| board.got.len() == sent && disk.contents().outbox.is_empty()).await;
    let up: Vec<_> = (0..wrote).map(|n| format!("up {n}")).collect();
    let down: Vec<_> = (0..sent).map(|n| format!("down {n}")).collect();
    assert_eq!(disk.texts(), up);
    assert_eq!(board.got, down);
    assert_eq!(disk.contents().undetermined, []);
    station.stop().await;
}

/// Lines keep the numbers that the store has given them, also those that a session has no room for when it begins. Otherwise the
/// next process finds that its board has more than was ever sent, and nobody knows the fate of what waits.
#[tokio::test(flavor = "multi_thread")]
async fn a_backlog_that_no_session_takes_at_once_keeps_its_numbers_through_kills() {
    let (issued, keys) = keyed();
    let disk = Disk::new();
    let station = Station::keyed(disk.clone(), &keys).await;
    let mut board = SecureBoard::new(&issued.board, station.server.local_addr(), TIMEOUT);
    board.write("here");
    board.all_done().await;
    board.cut();
    let texts: Vec<_> = (0..150).map(|n| format!("down {n}")).collect();
    for text in &texts {
        send(&station.log, "1", text).await.unwrap();
    }
    let next = killed(&disk);
    station.stop().await;
    let station = Station::keyed(next.clone(), &keys).await;
    board.serve_by(station.server.local_addr());
    board.until(|board| board.got.len() == texts.len() && next.contents().outbox.is_empty()).await;
    board.cut();
    send(&station.log, "1", "last").await.unwrap();
    let last = killed(&next);
    station.stop().await;
    let station = Station::keyed(last.clone(), &keys).await;
    board.serve_by(station.server.local_addr());
    board.write("here");
    board.all_done().await;
    assert_eq!(last.contents().undetermined, []);
    board.until(|_| last.contents().outbox.is_empty()).await;
    assert_eq!((board.got.pop().as_deref(), board.got), (Some("last"), texts));
    station.stop().await;
}

/// A line that was sent to a board which then lost its power waits for someone's decision.
#[tokio::test(flavor = "multi_thread")]
async fn a_line_whose_fate_nobody_knows_waits_for_a_decision_also_in_the_next_process() {
    let (issued, keys) = keyed();
    let disk = Disk::new();
    let station = Station::keyed(disk.clone(), &keys).await;
    let mut board = SecureBoard::new(&issued.board, station.server.local_addr(), TIMEOUT);
    board.accepts = false;
    board.write("here");
    board.all_done().await;
    let mut fates = Vec::new();
    for text in ["one", "two"] {
        fates.push(send(&station.log, "1", text).await.unwrap());
    }
    board.until(|board| board.got == ["one", "two"]).await;
    // With the second line it is done with the first one.
    let [first, second] = fates.try_into().unwrap_or_else(|_| panic!("two"));
    board.until(|_| disk.contents().outbox.len() == 1).await;
    soon(first.done).await.unwrap();
    board.power_cycle();
    board.accepts = true;
    board.write("again");
    board.all_done().await;
    assert!(soon(second.done).await.is_err(), "nobody knows");
    let rows = |rows: Vec<pblink_serve::log::OutboxRow>| {
        rows.into_iter().map(|row| (row.row, row.text.to_string())).collect::<Vec<_>>()
    };
    assert_eq!(rows(soon(station.log.undetermined()).await), [(2, "two".to_owned())]);
    assert_eq!(station.log.status().waiting, 0);
    // It is in the store.
    let found = disk.contents();
    assert_eq!((rows(found.undetermined), found.outbox.len()), (vec![(2, "two".to_owned())], 0));
    assert_eq!(soon(station.log.send_undetermined(None)).await.unwrap(), 1);
    board.got.clear();
    board.until(|board| board.got == ["two"] && disk.contents().outbox.is_empty()).await;
    assert_eq!(disk.contents().undetermined, []);
    assert_eq!(send(&station.log, "1", "last").await.unwrap().row, 4);
    station.stop().await;
}
