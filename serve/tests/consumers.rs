//! The consumers of lines, with real sockets.

use std::collections::VecDeque;
use std::pin::pin;
use std::time::Duration;

use crate::board::{Board, Station, soon};
use crate::engine::Disk;
use pblink_serve::consumers::{self, App, Consumer, Kind, Passed};
use pblink_serve::hub::Hub;
use pblink_serve::log::{Engine, Memory};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// A server with a log and a consumer.
struct Shop {
    station: Station,
    lines: mpsc::Receiver<Passed>,
    ending: CancellationToken,
    consumer: JoinHandle<()>,
}

impl Shop {
    async fn open(engine: impl Engine, app: App) -> Self {
        let station = Station::start(engine).await;
        let (server, log) = (station.server.clone(), station.log.clone());
        let hub = Hub::with_log(server, log.clone(), Duration::from_secs(1200), app.to_string());
        let (passed, lines) = mpsc::channel(8);
        let ending = CancellationToken::new();
        let consumer = Consumer::new(Kind::App(app), true);
        let run = consumers::run(hub, log, vec![consumer], passed, ending.clone());
        let consumer = tokio::spawn(run);
        // It has its place before the first line comes.
        while station.log.status().consumers.iter().all(|consumer| !consumer.running) {
            tokio::task::yield_now().await;
        }
        Self { station, lines, ending, consumer }
    }

    async fn line(&mut self) -> Passed {
        soon(self.lines.recv()).await.expect("the consumer runs")
    }

    /// Stops as `serve` does. Lines that are there are handed out before.
    async fn close(self) {
        self.ending.cancel();
        drop(self.lines);
        soon(self.consumer).await.unwrap();
        self.station.stop().await;
    }
}

/// Waits until the log knows that a consumer has come to this offset.
async fn consumed(station: &Station, offset: u64) {
    soon(station.log.wait_for(|status| status.consumers.iter().all(|c| c.offset >= offset))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_reads_while_its_own_line_is_unacknowledged() {
    let mut shop = Shop::open(Memory::new("test"), App::Demo).await;
    let mut board = Board::connect(&shop.station, "1").await;
    // It never acknowledges anything.
    board.say("00[1, 2, 3]").await;
    board.say("01[4, 5, 6]").await;
    let mut seen = Vec::new();
    while seen.len() < 2 {
        let line = shop.line().await;
        if let Passed::Received { .. } = line {
            seen.push(line.text().to_owned());
        }
        line.accept();
    }
    assert_eq!(seen, ["[1, 2, 3]", "[4, 5, 6]"]);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_store_a_line_is_acknowledged_when_it_is_printed() {
    let mut shop = Shop::open(Memory::new("test"), App::Print).await;
    let mut board = Board::connect(&shop.station, "1").await;
    board.say("00first").await;
    let line = shop.line().await;
    assert_eq!((line.client(), line.text()), ("1", "first"));
    assert!(futures::poll!(pin!(board.hear())).is_pending());
    line.accept();
    board.expect(&["00"]).await;
    // A report is nobody's work.
    board.say("01{\"pblink\":{\"report\":[1,2,30000]}}").await;
    board.expect(&["01"]).await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_printed_is_printed_by_the_next_server_and_nothing_twice() {
    let disk = Disk::new();
    let mut shop = Shop::open(disk.clone(), App::Print).await;
    let mut board = Board::connect(&shop.station, "1").await;
    for (line, ack) in [("00a", "00"), ("01b", "01"), ("02c", "02")] {
        board.say(line).await;
        // The log keeps it, printed or not.
        board.expect(&[ack]).await;
    }
    shop.line().await.accept();
    let lost = shop.line().await;
    assert_eq!(lost.text(), "b");
    consumed(&shop.station, 1).await;
    shop.close().await;
    drop(lost);
    let mut shop = Shop::open(disk, App::Print).await;
    for text in ["b", "c"] {
        let line = shop.line().await;
        assert_eq!(line.text(), text);
        line.accept();
    }
    consumed(&shop.station, 3).await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stops_hands_out_what_is_there() {
    let mut shop = Shop::open(Disk::new(), App::Print).await;
    let mut board = Board::connect(&shop.station, "1").await;
    for n in 0..100_u8 {
        board.say(&format!("{n:02x}{n}")).await;
        board.expect(&[&format!("{n:02x}")]).await;
    }
    shop.ending.cancel();
    for n in 0..100 {
        let line = shop.line().await;
        assert_eq!(line.text(), n.to_string());
        line.accept();
    }
    assert!(soon(shop.lines.recv()).await.is_none());
    consumed(&shop.station, 100).await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_echo_is_in_the_outbox_in_the_commit_that_notes_its_line_as_done() {
    let disk = Disk::new();
    let shop = Shop::open(disk.clone(), App::Echo).await;
    let mut board = Board::connect(&shop.station, "1").await;
    board.say("00first").await;
    let mut seen = [board.hear().await, board.hear().await].map(Option::unwrap);
    seen.sort();
    assert_eq!(seen, ["00", "00first"]);
    let found = disk.contents();
    assert_eq!((found.next, found.outbox.len()), (2, 1));
    // Killed here: the line is not returned a second time, and the echo is not lost.
    shop.close().await;
    let shop = Shop::open(disk.clone(), App::Echo).await;
    let mut board = Board::connect(&shop.station, "1").await;
    board.expect(&["00first"]).await;
    board.say("00").await;
    // A line that cannot be returned does not hold up those behind it.
    board.say(&format!("01{}", "y".repeat(1100))).await;
    board.say("02short").await;
    let mut seen = Vec::new();
    while !seen.contains(&"01short".to_owned()) || seen.len() < 3 {
        seen.push(board.hear().await.unwrap());
    }
    seen.sort();
    assert_eq!(seen, ["01", "01short", "02"]);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_board_that_acknowledges_nothing_holds_up_no_other_and_catches_up() {
    const LINES: u32 = 1500;
    let disk = Disk::new();
    let shop = Shop::open(disk.clone(), App::Echo).await;
    // More than its outbox takes: its lane is stuck.
    let mut silent = Board::connect(&shop.station, "silent").await;
    let mut early = VecDeque::new();
    for n in 0..LINES {
        silent.say(&format!("{:02x}{n}", number(n))).await;
        loop {
            let heard = silent.hear().await.unwrap();
            if heard == format!("{:02x}", number(n)) {
                break;
            }
            // An echo that is not repeated for a long time.
            early.push_back(heard);
        }
    }
    let mut lively = Board::connect(&shop.station, "lively").await;
    for n in 0..200 {
        lively.say(&format!("{:02x}{n}", number(n))).await;
        let echo = format!("{:02x}{n}", number(n));
        let mut wanted = vec![echo.clone(), echo[..2].to_owned()];
        while !wanted.is_empty() {
            let heard = lively.hear().await.unwrap();
            wanted.retain(|line| *line != heard);
            if heard == echo {
                lively.say(&echo[..2]).await;
            }
        }
    }
    let mut next = 0;
    while next < LINES {
        let line = match early.pop_front() {
            Some(line) => line,
            None => silent.hear().await.expect("the server cut it"),
        };
        if line.len() > 2 {
            let (id, text) = line.split_at(2);
            silent.say(id).await;
            if text == next.to_string() {
                next += 1;
            } else {
                assert!(text.parse::<u32>().unwrap() < next, "{text} instead of {next}");
            }
        }
    }
    shop.close().await;
}

/// Returns the number of the n-th message of a client.
fn number(n: u32) -> u32 {
    if n == 0 { 0 } else { 1 + (n - 1) % 255 }
}

#[test]
fn apps_have_names_and_print_has_an_old_one() {
    for app in App::ALL {
        assert_eq!(app.name().parse(), Ok(app));
    }
    assert_eq!("log".parse(), Ok(App::Print));
    assert!("banana".parse::<App>().is_err());
}
