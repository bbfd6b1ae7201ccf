//! Several consumers of different kinds in one process.

use std::sync::Arc;
use std::time::Duration;

use pblink_serve::consumers::{self, App, Consumer, Exec, Kind};
use pblink_serve::hub::Hub;
use pblink_serve::log::ConsumerStatus;
use tempfile::tempdir;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::board::{Board, Station, soon};
use crate::engine::Disk;
use crate::shop::program;

/// Lines that the board says: more than any queue on the way to a slow consumer takes.
const LINES: u64 = 300;

fn named(name: &str, kind: Kind) -> Consumer {
    Consumer { name: name.into(), ..Consumer::new(kind, true) }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_slow_and_one_that_dies_delay_nobody_else() {
    let folder = tempdir().unwrap();
    let counts = "n=0; while read -r l; do n=$((n+1)); [ $n = 300 ] && \
                  echo '{\"client\":\"1\",\"line\":\"all\"}'; done";
    let kinds = [
        // Whoever reads its lines has stopped reading.
        ("slow", Kind::App(App::Print)),
        ("dying", Kind::Exec(Exec { ack: true, ..program(&folder, "read -r l; exit 1") })),
        ("echo", Kind::App(App::Echo)),
        ("each", Kind::Exec(program(&folder, "while read -r l; do :; done"))),
        ("all", Kind::Exec(Exec { all: true, ..program(&folder, counts) })),
    ];
    let station = Station::start(Disk::new()).await;
    let (server, log) = (station.server.clone(), station.log.clone());
    let consumers: Vec<_> = kinds.into_iter().map(|(name, kind)| named(name, kind)).collect();
    for consumer in &consumers {
        consumer.register(&log).await.unwrap();
    }
    let hub = Hub::with_log(server, log.clone(), Duration::from_secs(1200), "several");
    let (passed, mut slow) = mpsc::channel(8);
    let ending = CancellationToken::new();
    let run = consumers::run(Arc::clone(&hub), log.clone(), consumers, passed, ending.clone());
    let running = tokio::spawn(run);

    let mut board = Board::connect(&station, "1").await;
    let (mut echoes, mut others) = (0, Vec::new());
    for n in 0..LINES {
        let number = format!("{:02x}", if n == 0 { 0 } else { 1 + (n - 1) % 255 });
        board.say(&format!("{number}line {n}")).await;
        // Its acknowledgement, its echo, and what the program for all has counted.
        let mut acked = false;
        while !acked || echoes <= n {
            let heard = board.hear().await.expect("the server goes on");
            match heard.get(2..) {
                Some("") | None => acked |= heard == number,
                Some(text) => {
                    board.say(&heard[..2]).await;
                    match text == format!("line {echoes}") {
                        true => echoes += 1,
                        // A repetition of one that was acknowledged a moment ago is none.
                        false => others.push(text.to_owned()),
                    }
                }
            }
        }
    }
    while !others.iter().any(|text| text == "all") {
        let heard = board.hear().await.expect("the server goes on");
        if let Some(text) = heard.get(2..).filter(|text| !text.is_empty()) {
            board.say(&heard[..2]).await;
            others.push(text.to_owned());
        }
    }
    let of = |name: &str, status: &[ConsumerStatus]| {
        status.iter().find(|consumer| *consumer.name == *name).cloned().unwrap()
    };
    // The others have come to the end, each by itself.
    let status = soon(log.wait_for(|status| {
        let is_there = |name| of(name, &status.consumers).offset == LINES;
        let fails = !of("dying", &status.consumers).failing.is_empty();
        ["echo", "each", "all"].into_iter().all(is_there) && fails
    }));
    let status = status.await.consumers;
    assert_eq!(of("dying", &status).offset, 0, "its line is not passed over");
    assert_eq!(of("slow", &status).offset, 0);
    // And what is slow has lost nothing.
    for n in 0..LINES {
        let line = soon(slow.recv()).await.unwrap();
        assert_eq!(line.text(), format!("line {n}"));
        line.accept();
    }
    soon(log.wait_for(|status| of("slow", &status.consumers).offset == LINES)).await;
    soon(station.server.shutdown()).await;
    ending.cancel();
    soon(running).await.unwrap();
    soon(log.stop()).await;
}
