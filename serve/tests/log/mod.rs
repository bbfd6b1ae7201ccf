//! The log and its writer, with real sockets and an engine whose faults can be chosen.

mod consumers;
mod last;
mod secure;

use std::pin::pin;
use std::time::Duration;

use crate::board::{Board, PATIENT, Station, soon};
use crate::engine::{Disk, Fault};
use pblink_serve::log::{
    From, Keep, Kind, Log, Memory, Outgoing, PageError, Progress, SendError, Sent,
};
use pblink_server::Delivery;

fn line(client: &str, text: &str) -> Outgoing {
    Outgoing { client: client.into(), text: text.into(), delivery: Delivery::ORDERED }
}

async fn send(log: &Log, client: &str, text: &str) -> Result<Sent, SendError> {
    soon(log.send(vec![line(client, text)], None)).await
}

fn step(consumer: &str, offset: u64, outgoing: Vec<Outgoing>) -> Progress {
    Progress { consumer: consumer.into(), offset, clients: Vec::new(), outgoing }
}

/// Waits until the log holds this many lines.
async fn beyond(log: &Log, offset: u64) {
    assert!(soon(log.wait_beyond(offset - 1)).await, "the log has ended");
}

/// A program that ends drops its runtime while clones of the log are still held, by other threads for instance.
#[test]
fn the_log_outlives_the_runtime_in_which_it_was_opened() {
    let runtime = || tokio::runtime::Runtime::new().unwrap();
    let first = runtime();
    let opened = first.block_on(async { Log::open(Memory::new("test"), Keep::default()).unwrap() });
    drop(first);
    runtime().block_on(async {
        send(&opened.log, "1", "a").await.expect("it still works");
        soon(opened.log.stop()).await;
    });
}

/// "A line is acknowledged when it is in the log", and not earlier.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_acknowledged_before_its_commit_has_ended() {
    let disk = Disk::new();
    let station = Station::start(disk.clone()).await;
    let mut board = Board::connect(&station, "1").await;
    disk.stall(true);
    board.say("00a").await;
    board.say("01{\"pblink\":{\"report\":[1,2,30000]}}").await;
    let waiting = disk.clone();
    soon(tokio::task::spawn_blocking(move || waiting.wait_stalled())).await.unwrap();
    {
        let heard = pin!(board.hear());
        assert!(futures::poll!(heard).is_pending());
    }
    assert_eq!(disk.texts(), [""; 0]);
    disk.stall(false);
    board.expect(&["00", "01"]).await;
    let page = station.log.page(0, 10, None).await.unwrap();
    let kinds: Vec<_> = page.lines.iter().map(|line| line.kind).collect();
    assert_eq!((kinds, page.seen), (vec![Kind::Line, Kind::Report], 2));
    station.stop().await;
}

/// Crash table: before the commit; committed and not acknowledged.
#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_comes_again_after_a_crash_is_new_only_if_it_was_not_committed() {
    let disk = Disk::new();
    let station = Station::start(disk.clone()).await;
    let mut board = Board::connect(&station, "1").await;
    board.say("00a").await;
    board.expect(&["00"]).await;
    // A crash in the middle of the next commit.
    let crashed = disk.clone();
    crashed.stall(true);
    board.say("01b").await;
    let waiting = disk.clone();
    soon(tokio::task::spawn_blocking(move || waiting.wait_stalled())).await.unwrap();
    for stored in [false, true] {
        // The store as it would be found: without that commit, or with it.
        if stored {
            disk.stall(false);
            beyond(&station.log, 2).await;
        }
        let found = disk.contents();
        let copy = Disk::new();
        copy.restore(&found, &disk);
        let next = Station::start(copy.clone()).await;
        let mut board = Board::connect(&next, "1").await;
        board.say("01b").await;
        board.expect(&["01"]).await;
        board.say("02c").await;
        board.expect(&["02"]).await;
        assert_eq!(copy.texts(), ["a", "b", "c"], "stored: {stored}");
        next.stop().await;
    }
    station.stop().await;
}

/// Crash table: row stored, unsent; sent; acknowledged, not deleted.
#[tokio::test(flavor = "multi_thread")]
async fn a_line_to_a_board_keeps_its_number_and_text_through_crashes_until_it_is_done() {
    let disk = Disk::new();
    let station = Station::start(disk.clone()).await;
    let mut board = Board::connect(&station, "1").await;
    board.say("00a").await;
    board.expect(&["00"]).await;
    let first = send(&station.log, "1", "x").await.unwrap();
    assert_eq!((first.row, first.repeated), (1, false));
    assert_eq!(disk.contents().outbox.len(), 1);
    board.expect(&["00x"]).await;
    board.say("00").await;
    soon(first.done).await.unwrap();
    assert_eq!(disk.contents().outbox, []);
    // Its acknowledgement is known, and the commit that removes the next one never ends.
    let second = send(&station.log, "1", "y").await.unwrap();
    let third = send(&station.log, "1", "z").await.unwrap();
    board.expect(&["01y"]).await;
    let found = disk.contents();
    for said in ["nothing", "the acknowledgement"] {
        let copy = Disk::new();
        copy.restore(&found, &disk);
        let next = Station::start(copy.clone()).await;
        let mut board = Board::connect(&next, "1").await;
        board.expect(&["01y"]).await;
        if said != "nothing" {
            board.say("01").await;
            board.expect(&["02z"]).await;
            board.say("02").await;
            let done = soon(next.log.send(vec![line("1", "last")], None)).await.unwrap();
            assert_eq!(done.row, 4);
            board.expect(&["03last"]).await;
        }
        next.stop().await;
    }
    board.say("01").await;
    board.expect(&["02z"]).await;
    board.say("02").await;
    soon(second.done).await.unwrap();
    soon(third.done).await.unwrap();
    station.stop().await;
}

/// A server that starts on a long history has boards before its log comes to it. Boards that have heard nothing but
/// keepalives for some time have forgotten what they had, so a line that they may have has to be there when they are.
#[tokio::test(flavor = "multi_thread")]
async fn lines_that_may_have_been_sent_are_in_the_server_before_its_log_is() {
    let disk = Disk::new();
    let station = Station::start(disk.clone()).await;
    let mut board = Board::connect(&station, "1").await;
    board.say("00a").await;
    board.expect(&["00"]).await;
    for n in 0..70 {
        send(&station.log, "1", &format!("{n}")).await.unwrap();
    }
    // It never was here, and has nothing but lines.
    send(&station.log, "2", "x").await.unwrap();
    board.expect(&["000"]).await;
    let copy = Disk::new();
    copy.restore(&disk.contents(), &disk);
    let next = Station::bind(copy, Keep::default(), PATIENT).await;
    let mut board = Board::connect(&next, "1").await;
    board.expect(&["000"]).await;
    let mut other = Board::connect(&next, "2").await;
    other.say("").await;
    other.expect(&["00x"]).await;
    // The log goes on behind them.
    next.log.attach(next.server.clone()).await;
    board.say("00").await;
    let rest: Vec<_> = (1..70).map(|n| format!("{n:02x}{n}")).collect();
    for line in rest {
        board.expect(&[&line]).await;
        board.say(&line[..2]).await;
    }
    next.stop().await;
    station.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_to_a_board_that_never_connected_wait_in_order() {
    let disk = Disk::new();
    let station = Station::start(disk.clone()).await;
    for n in 0..100 {
        send(&station.log, "1", &format!("{n}")).await.unwrap();
    }
    station.stop().await;
    let station = Station::start(disk.clone()).await;
    let mut board = Board::connect(&station, "1").await;
    for n in 0..100 {
        board.expect(&[&format!("{n:02x}{n}")]).await;
        board.say(&format!("{n:02x}")).await;
    }
    let last = send(&station.log, "1", "end").await.unwrap();
    assert_eq!(last.row, 101);
    board.expect(&["64end"]).await;
    board.say("64").await;
    soon(last.done).await.unwrap();
    station.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_with_a_known_key_adds_nothing_also_after_a_restart() {
    let disk = Disk::new();
    let mut done = Vec::new();
    for repeated in [false, true] {
        let station = Station::start(disk.clone()).await;
        for _ in 0..2 {
            let sent = station.log.send(vec![line("1", "open")], Some("key".into()));
            let sent = soon(sent).await.unwrap();
            assert_eq!(sent.row, 1);
            assert_eq!(sent.repeated, repeated || !done.is_empty());
            done.push(sent.done);
        }
        // The same key for another client is another request.
        let other = station.log.send(vec![line("2", "open")], Some("key".into()));
        assert_eq!(soon(other).await.unwrap().repeated, repeated);
        if repeated {
            let mut board = Board::connect(&station, "1").await;
            board.expect(&["00open"]).await;
            board.say("00").await;
            for done in done.drain(2..) {
                soon(done).await.unwrap();
            }
        }
        station.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outbox_is_bounded_and_what_cannot_be_a_line_is_refused() {
    let station = Station::start(Disk::new()).await;
    let many = |n: usize| (0..n).map(|n| line("1", &format!("{n}"))).collect::<Vec<_>>();
    soon(station.log.send(many(600), None)).await.unwrap();
    let full = soon(station.log.send(many(401), None)).await.unwrap_err();
    assert_eq!(full, SendError::OutboxFull { client: "1".into(), waiting: 600 });
    soon(station.log.send(many(400), None)).await.unwrap();
    assert!(send(&station.log, "1", "one more").await.is_err());
    send(&station.log, "2", "another board").await.unwrap();
    assert!(matches!(send(&station.log, "2", "a\nb").await, Err(SendError::Text(_))));
    let long = send(&station.log, "2", &"x".repeat(1025)).await.unwrap_err();
    assert_eq!(long, SendError::TooLong { len: 1025, max: 1024 });
    station.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_acknowledges_nothing_and_goes_on_when_there_is_room() {
    let disk = Disk::new();
    let station = Station::start(disk.clone()).await;
    let place = station.log.register("c", true, From::Oldest).await.unwrap();
    assert_eq!(place.offset, 0);
    let mut board = Board::connect(&station, "1").await;
    board.say("00a").await;
    board.expect(&["00"]).await;
    disk.always(Some(Fault::Full));
    board.say("01b").await;
    // Neither a line to a board nor a step with one is taken.
    assert_eq!(send(&station.log, "1", "x").await.unwrap_err(), SendError::DiskFull);
    let refused = soon(station.log.progress(step("c", 1, vec![line("1", "x")]))).await;
    assert_eq!(refused, Err(SendError::DiskFull));
    assert!(station.log.status().held.is_some());
    assert_eq!(station.log.status().consumers[0].offset, 0, "the step is undone");
    disk.always(None);
    board.expect(&["01"]).await;
    soon(station.log.progress(step("c", 1, vec![line("1", "y")]))).await.unwrap();
    board.expect(&["00y"]).await;
    assert_eq!(disk.texts(), ["a", "b"]);
    assert_eq!(disk.lines().last().map(|line| (line.0, line.3)), Some((2, 2)));
    station.stop().await;
    let found = disk.contents();
    assert_eq!((found.next, found.outbox.len(), found.cursors[0].offset), (3, 1, 1));
}

/// A commit that has failed may be in the store all the same: it is stored again as it is, or not at all.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_fate_is_not_known_stays_as_it_is_until_there_is_room() {
    let disk = Disk::new();
    let station = Station::start(disk.clone()).await;
    let mut one = Board::connect(&station, "1").await;
    let mut two = Board::connect(&station, "2").await;
    for (board, text) in [(&mut one, "00a"), (&mut two, "00b")] {
        board.say(text).await;
        board.expect(&["00"]).await;
    }
    // Stored, but said to have failed; and then there is no room to do it again.
    disk.fail([Fault::After]);
    disk.always(Some(Fault::Full));
    let log = station.log.clone();
    let mut first = pin!(log.send(vec![line("3", "x")], None));
    assert!(futures::poll!(first.as_mut()).is_pending());
    soon(async {
        while station.log.status().held.is_none() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    // It was neither taken nor refused yet, and nothing comes before it.
    assert_eq!(disk.contents().outbox.len(), 1);
    assert!(futures::poll!(first.as_mut()).is_pending());
    assert_eq!(send(&station.log, "3", "y").await.unwrap_err(), SendError::DiskFull);
    one.say("01c").await;
    two.say("01d").await;
    disk.always(None);
    assert_eq!(soon(first).await.unwrap().row, 1);
    one.expect(&["01"]).await;
    two.expect(&["01"]).await;
    assert_eq!(send(&station.log, "3", "z").await.unwrap().row, 2);
    assert_eq!(disk.reopened(), 1);
    let rows: Vec<_> = disk.contents().outbox.into_iter().map(|row| row.text).collect();
    assert_eq!(rows, ["x".into(), "z".into()]);
    let mut texts = disk.texts();
    texts.sort();
    assert_eq!(texts, ["a", "b", "c", "d"]);
    station.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_wait_while_the_disk_has_little_room_and_cursors_do_not() {
    let disk = Disk::new();
    disk.set_short(true);
    let station = Station::start(disk.clone()).await;
    let mut board = Board::connect(&station, "1").await;
    board.say("00a").await;
    soon(async {
        while station.log.status().held.is_none() || station.server.queued_bytes() == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    // Lines to boards and cursors are what the rest is for.
    send(&station.log, "1", "x").await.unwrap();
    board.expect(&["00x"]).await;
    assert_eq!(disk.texts(), [""; 0]);
    disk.set_short(false);
    board.expect(&["00"]).await;
    assert_eq!(station.log.status().held, None);
    station.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_fails_once_is_opened_anew_and_twice_ends_the_log() {
    let disk = Disk::new();
    let station = Station::start(disk.clone()).await;
    let mut board = Board::connect(&station, "1").await;
    for (n, fault) in [Fault::Before, Fault::After].into_iter().enumerate() {
        disk.fail([fault]);
        board.say(&format!("{n:02x}{n}")).await;
        board.expect(&[&format!("{n:02x}")]).await;
        assert_eq!(disk.reopened(), n + 1);
    }
    assert_eq!(disk.texts(), ["0", "1"]);
    disk.fail([Fault::Before, Fault::Before]);
    board.say("022").await;
    let why = soon(station.log.failed()).await;
    assert!(why.contains("input/output error"), "{why}");
    assert!(!soon(station.log.wait_beyond(2)).await);
    assert_eq!(send(&station.log, "1", "x").await.unwrap_err(), SendError::Stopped);
    drop(station.server);
    assert_eq!(board.hear().await, None, "nothing is acknowledged");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_store_a_line_is_acknowledged_when_each_required_consumer_has_it() {
    let station = Station::start(Memory::new("test")).await;
    for (name, required) in [("slow", true), ("quick", true), ("viewer", false)] {
        station.log.register(name, required, From::Now).await.unwrap();
    }
    let mut board = Board::connect(&station, "1").await;
    board.say("00a").await;
    beyond(&station.log, 1).await;
    board.say("01b").await;
    station.log.progress(step("quick", 1, vec![])).await.unwrap();
    {
        // An answer shows that the step was handled.
        station.log.register("viewer", false, From::Now).await.unwrap();
        assert!(futures::poll!(pin!(board.hear())).is_pending());
        assert_eq!(station.log.head(), 1, "one batch of a client is out at a time");
    }
    station.log.progress(step("slow", 1, vec![])).await.unwrap();
    board.expect(&["00"]).await;
    beyond(&station.log, 2).await;
    station.log.progress(step("slow", 2, vec![])).await.unwrap();
    // One that is removed holds nothing back.
    station.log.unregister("quick").await.unwrap();
    board.expect(&["01"]).await;
    station.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_and_its_lines_are_one_commit() {
    let disk = Disk::new();
    let station = Station::start(disk.clone()).await;
    station.log.register("echo", true, From::Oldest).await.unwrap();
    let mut board = Board::connect(&station, "1").await;
    board.say("00a").await;
    beyond(&station.log, 1).await;
    // Wrong lines change nothing.
    let wrong = step("echo", 1, vec![line("1", "good"), line("2", "b\nad")]);
    assert!(matches!(soon(station.log.progress(wrong)).await, Err(SendError::Text(_))));
    let good = step("echo", 1, vec![line("1", "good"), line("2", "too")]);
    soon(station.log.progress(good)).await.unwrap();
    let found = disk.contents();
    let cursor = found.cursors.iter().find(|cursor| &*cursor.consumer == "echo").unwrap();
    assert_eq!((cursor.offset, found.outbox.len()), (1, 2));
    station.stop().await;
    // The next process goes on from there.
    let station = Station::start(disk.clone()).await;
    let place = station.log.register("echo", true, From::Oldest).await.unwrap();
    assert_eq!(place.offset, 1);
    station.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn places_of_single_clients_are_kept_ahead_of_the_whole() {
    let disk = Disk::new();
    let station = Station::start(disk.clone()).await;
    station.log.register("exec", true, From::Oldest).await.unwrap();
    let ahead = vec![("1".into(), 7), ("2".into(), 3)];
    let progress = Progress { clients: ahead, ..step("exec", 2, vec![]) };
    station.log.progress(progress).await.unwrap();
    station.log.progress(step("exec", 5, vec![])).await.unwrap();
    station.stop().await;
    let station = Station::start(disk).await;
    let place = station.log.register("exec", true, From::Oldest).await.unwrap();
    assert_eq!((place.offset, place.clients), (5, vec![("1".into(), 7)]));
    station.stop().await;
}

/// One board that takes nothing holds the whole back, and all others are ahead of it from then on: each of their lines
/// must not cost a row for each of them.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_holds_the_whole_back_does_not_make_the_others_steps_dear() {
    let disk = Disk::new();
    let station = Station::start(disk.clone()).await;
    station.log.register("exec", true, From::Oldest).await.unwrap();
    for n in 2..=300 {
        let ahead =
            Progress { clients: vec![(format!("{n}").into(), n)], ..step("exec", 0, vec![]) };
        let lines = vec![line(&format!("{n}"), "done")];
        soon(station.log.progress(Progress { outgoing: lines, ..ahead })).await.unwrap();
    }
    assert_eq!(disk.most_cursors(), 2, "the whole, and one client");
    station.stop().await;
    let station = Station::start(disk.clone()).await;
    let place = station.log.register("exec", true, From::Oldest).await.unwrap();
    let mut clients: Vec<u64> = place.clients.iter().map(|(_, place)| *place).collect();
    clients.sort();
    assert_eq!((place.offset, clients), (0, (2..=300).collect()));
    station.log.progress(step("exec", 300, vec![])).await.unwrap();
    station.stop().await;
    let station = Station::start(disk).await;
    let place = station.log.register("exec", true, From::Oldest).await.unwrap();
    assert_eq!((place.offset, place.clients), (300, vec![]));
    station.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_a_board_that_begins_anew_have_another_epoch() {
    let disk = Disk::new();
    let station = Station::start(disk.clone()).await;
    let mut board = Board::connect(&station, "1").await;
    for (said, ack) in [("00a", "00"), ("01b", "01"), ("00again", "00")] {
        board.say(said).await;
        board.expect(&[ack]).await;
    }
    station.stop().await;
    let station = Station::start(disk.clone()).await;
    let mut board = Board::connect(&station, "1").await;
    for (said, ack) in [("01c", "01"), ("00anew", "00")] {
        board.say(said).await;
        board.expect(&[ack]).await;
    }
    let rows: Vec<_> = disk.lines().into_iter().map(|line| (line.2, line.3)).collect();
    assert_eq!(rows, [(1, 1), (1, 2), (2, 1), (2, 2), (3, 1)]);
    station.stop().await;
}

/// Lines that come quickly are not kept until the next round of deletion.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_grows_quickly_is_kept_within_its_bounds() {
    let keep = Keep { bytes: 20_000, ..Keep::default() };
    let station = Station::with(Memory::new("test"), keep, Duration::from_secs(1200)).await;
    let mut board = Board::connect(&station, "1").await;
    for n in 0..200 {
        let mid = if n == 0 { 0 } else { 1 + (n - 1) % 255 };
        board.say(&format!("{mid:02x}{n}{}", "x".repeat(1000))).await;
        board.expect(&[&format!("{mid:02x}")]).await;
    }
    assert!(station.log.first() > 170, "the oldest line is {}", station.log.first());
    station.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_are_in_order_and_say_what_is_gone_and_what_never_was() {
    let disk = Disk::new();
    let keep = Keep { bytes: 0, ..Keep::default() };
    let station = Station::start(disk.clone()).await;
    let mut boards = [Board::connect(&station, "1").await, Board::connect(&station, "2").await];
    for n in 0..6_u8 {
        let board = &mut boards[usize::from(n % 2)];
        board.say(&format!("{:02x}{n}", n / 2)).await;
        board.expect(&[&format!("{:02x}", n / 2)]).await;
    }
    let log = &station.log;
    let page = log.page(1, 2, None).await.unwrap();
    let texts: Vec<_> = page.lines.iter().map(|line| &*line.text).collect();
    assert_eq!((texts, page.seen), (vec!["1", "2"], 3));
    let page = log.page(0, 10, Some("2")).await.unwrap();
    let texts: Vec<_> = page.lines.iter().map(|line| &*line.text).collect();
    assert_eq!((texts, page.seen), (vec!["1", "3", "5"], 6));
    assert_eq!(log.page(6, 10, None).await.unwrap().lines, []);
    assert!(matches!(log.page(7, 10, None).await, Err(PageError::Beyond { after: 7, head: 6 })));
    station.stop().await;
    // The same from the store, and then without the lines that retention has deleted.
    let station = Station::with(disk.clone(), keep, Duration::from_secs(1200)).await;
    assert_eq!(station.log.page(1, 2, None).await.unwrap().seen, 3);
    station.log.register("slow", true, From::Oldest).await.unwrap();
    station.log.retain_now().await;
    assert_eq!(station.log.first(), 1, "a required consumer has not seen them");
    station.log.progress(step("slow", 4, vec![])).await.unwrap();
    station.log.retain_now().await;
    assert_eq!(station.log.first(), 5);
    assert!(matches!(station.log.page(3, 2, None).await, Err(PageError::Gone { first: 5 })));
    assert_eq!(station.log.page(4, 2, None).await.unwrap().seen, 6);
    station.log.progress(step("slow", 6, vec![])).await.unwrap();
    station.log.retain_now().await;
    assert_eq!(station.log.first(), 6, "the newest line stays");
    station.stop().await;
}
