//! Consumers of the log that come, go, and change their names.

use std::time::Duration;

use pblink_serve::log::{ConsumerError, Cursor, From, Keep, Log, Place, Progress};

use super::{beyond, step};
use crate::board::{Board, Station, soon};
use crate::engine::Disk;

/// Keeps nothing that it need not keep.
const LITTLE: Keep =
    Keep { age: Duration::from_secs(7 * 24 * 3600), bytes: 1, commit_every: Duration::ZERO };

fn cursor(consumer: &str, client: &str, offset: u64) -> Cursor {
    Cursor { consumer: consumer.into(), client: client.into(), offset }
}

/// Lets a log that was closed have these cursors.
async fn with_old_consumer(disk: &Disk) {
    let station = Station::start(disk.clone()).await;
    station.log.register("old", true, From::Oldest).await.unwrap();
    let mut board = Board::connect(&station, "1").await;
    for (n, text) in ["00a", "01b", "02c"].into_iter().enumerate() {
        board.say(text).await;
        beyond(&station.log, n as u64 + 1).await;
    }
    let clients = vec![("1".into(), 2)];
    let ahead = Progress { clients, ..step("old", 1, vec![]) };
    station.log.progress(ahead).await.unwrap();
    station.stop().await;
}

async fn rename(log: &Log, from: &str, to: &str) -> String {
    soon(log.rename(from, to)).await.map_or_else(|error| error.to_string(), |()| "done".to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_gone_from_the_configuration_holds_nothing_back_and_is_shown() {
    let disk = Disk::new();
    with_old_consumer(&disk).await;
    let station = Station::with(disk.clone(), LITTLE, Duration::from_secs(1200)).await;
    let old = station.log.status().consumers.remove(0);
    assert_eq!((&*old.name, old.running, old.required), ("old", false, false));
    assert_eq!((old.offset, old.lag), (1, 2));
    soon(station.log.retain_now()).await;
    assert_eq!(station.log.first(), 3, "the newest line stays");
    // The same one, part of the server again, and required.
    station.log.register("old", true, From::Oldest).await.unwrap();
    let mut board = Board::connect(&station, "1").await;
    board.say("03d").await;
    beyond(&station.log, 4).await;
    soon(station.log.retain_now()).await;
    assert_eq!(station.log.first(), 3);
    station.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_goes_is_gone_for_good_once_that_is_answered() {
    let disk = Disk::new();
    with_old_consumer(&disk).await;
    let station = Station::start(disk.clone()).await;
    soon(station.log.unregister("old")).await.unwrap();
    assert_eq!(disk.contents().cursors, []);
    assert_eq!(station.log.status().consumers, []);
    let again = soon(station.log.unregister("old")).await;
    assert!(matches!(again, Err(ConsumerError::Unknown(name)) if name == "old"));
    station.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_name_keeps_the_place_and_is_durable_once_it_is_answered() {
    let disk = Disk::new();
    with_old_consumer(&disk).await;
    let station = Station::start(disk.clone()).await;
    assert_eq!(rename(&station.log, "old", "new").await, "done");
    assert_eq!(disk.contents().cursors, [cursor("new", "", 1), cursor("new", "1", 2)]);
    let names: Vec<_> = station.log.status().consumers.into_iter().map(|c| c.name).collect();
    assert_eq!(names, ["new".into()]);
    let place = station.log.register("new", true, From::Now).await.unwrap();
    assert_eq!(place, Place { offset: 1, clients: vec![("1".into(), 2)] });
    station.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_is_not_changed_under_one_that_runs_nor_to_that_of_another() {
    let disk = Disk::new();
    with_old_consumer(&disk).await;
    let station = Station::start(disk.clone()).await;
    station.log.register("print", true, From::Now).await.unwrap();
    station.log.register_elsewhere("http:mine", From::Now).await.unwrap();
    for (from, to, word) in [
        ("nobody", "new", "there is no consumer \"nobody\""),
        ("print", "new", "\"print\" is a part of the server that runs: stop the server"),
        ("old", "print", "\"print\" already, which has come to offset 3"),
        ("old", "http:mine", "\"http:mine\" already"),
    ] {
        let said = rename(&station.log, from, to).await;
        assert!(said.contains(word), "{from} {to}: {said}");
    }
    assert_eq!(rename(&station.log, "old", "old").await, "done");
    assert_eq!(rename(&station.log, "http:mine", "http:yours").await, "done");
    // The way back is free: a name that was given up is nobody's.
    assert_eq!(rename(&station.log, "http:yours", "http:mine").await, "done");
    station.stop().await;
    let names: Vec<_> = disk.contents().cursors.into_iter().map(|c| c.consumer).collect();
    assert_eq!(names, ["http:mine".into(), "old".into(), "old".into(), "print".into()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_full_disk_it_is_said_that_another_name_has_to_wait() {
    let disk = Disk::new();
    with_old_consumer(&disk).await;
    let station = Station::start(disk.clone()).await;
    disk.cram(true);
    let answer = soon(station.log.rename("old", "new")).await;
    assert!(matches!(answer, Err(ConsumerError::DiskFull)), "{answer:?}");
    assert_eq!(disk.contents().cursors[0], cursor("old", "", 1));
    disk.cram(false);
    soon(station.log.stop()).await;
    assert_eq!(disk.contents().cursors, [cursor("new", "", 1), cursor("new", "1", 2)]);
}
