//! The last line of each client, also in the next process.

use std::time::Duration;

use pblink_serve::log::{Keep, LastLine, Memory};

use super::beyond;
use crate::board::{Board, Station, soon};
use crate::engine::Disk;

const REPORT: &str = "{\"pblink\":{\"report\":[1,2,30000]}}";

fn last(station: &Station, id: &str) -> Option<LastLine> {
    station.log.client(id).last
}

#[tokio::test(flavor = "multi_thread")]
async fn each_clients_last_line_is_known_in_the_next_process_however_many_others_came_since() {
    let disk = Disk::new();
    let station = Station::start(disk.clone()).await;
    let mut quiet = Board::connect(&station, "quiet").await;
    quiet.say("00long ago").await;
    beyond(&station.log, 1).await;
    quiet.say(&format!("01{REPORT}")).await;
    beyond(&station.log, 2).await;
    let mut busy = Board::connect(&station, "busy").await;
    for n in 0..500_u64 {
        let id = if n == 0 { 0 } else { 1 + (n - 1) % 255 };
        busy.say(&format!("{id:02x}{n}")).await;
        beyond(&station.log, n + 3).await;
    }
    let _silent = Board::connect(&station, "silent").await;
    let known = ["quiet", "busy", "silent"].map(|id| last(&station, id));
    assert_eq!(known[0].as_ref().unwrap().text.as_deref(), Some("long ago"));
    station.stop().await;

    let station = Station::start(disk.clone()).await;
    let seen = last(&station, "quiet").unwrap();
    let first = known[0].clone().unwrap();
    assert_eq!((seen.offset, seen.at_ms), (first.offset, first.at_ms), "its age is known at once");
    soon(station.log.recall()).await;
    assert_eq!(["quiet", "busy", "silent"].map(|id| last(&station, id)), known);
    // A newer one is never put back by what is read.
    let mut quiet = Board::connect(&station, "quiet").await;
    quiet.say("02just now").await;
    beyond(&station.log, 503).await;
    soon(station.log.recall()).await;
    assert_eq!(last(&station, "quiet").unwrap().offset, 503);
    station.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_time_of_a_last_line_is_known_when_its_text_was_deleted() {
    let memory = Memory::new("test");
    let little = Keep { bytes: 1, ..Keep::default() };
    let station = Station::with(memory.clone(), little, Duration::from_secs(1200)).await;
    let mut old = Board::connect(&station, "old").await;
    old.say("00long ago").await;
    beyond(&station.log, 1).await;
    let mut new = Board::connect(&station, "new").await;
    new.say("00now").await;
    beyond(&station.log, 2).await;
    let known = last(&station, "old").unwrap();
    soon(station.log.retain_now()).await;
    assert_eq!(station.log.first(), 2);
    station.stop().await;

    let station = Station::with(memory, little, Duration::from_secs(1200)).await;
    soon(station.log.recall()).await;
    assert_eq!(last(&station, "old"), Some(LastLine { text: None, ..known }));
    assert_eq!(last(&station, "new").unwrap().text.as_deref(), Some("now"));
    soon(station.log.purge("old")).await.unwrap();
    assert_eq!(last(&station, "old"), None);
    station.stop().await;
}
