//! Limits of programs.

use pblink_serve::consumers::Exec;
use tempfile::tempdir;

use crate::engine::Disk;
use crate::shop::{Pen, Shop, program};

#[tokio::test(flavor = "multi_thread")]
async fn a_client_beyond_the_limit_of_programs_waits_until_one_has_ended() {
    assert_eq!(Exec::new("cat").most, 1000);
    let folder = tempdir().unwrap();
    let text = "while read -r l; do [ \"$l\" = end ] && exit; echo \"$l.\"; done";
    let exec = Exec { most: 2, ..program(&folder, text) };
    let shop = Shop::open(Disk::new(), exec).await;
    let mut boards = Vec::new();
    for id in ["1", "2"] {
        let mut board = Pen::connect(&shop, id).await;
        board.say("a").await;
        assert_eq!(board.hear().await, "a.");
        boards.push(board);
    }
    let mut third = Pen::connect(&shop, "3").await;
    // It is in the log, and its program has no place.
    third.say("x").await;
    boards[1].say("b").await;
    assert_eq!(boards[1].hear().await, "b.", "the others go on");
    assert_eq!(shop.station.log.client("3").waiting, 0, "nothing was said to it");
    boards[0].say("end").await;
    assert_eq!(third.hear().await, "x.");
    // The first has a line again, and now it is the one that waits.
    boards[0].say("c").await;
    third.say("end").await;
    assert_eq!(boards[0].hear().await, "c.");
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_has_the_descriptors_that_it_is_given() {
    let folder = tempdir().unwrap();
    let text = "while read -r l; do ulimit -S -n; done";
    let exec = Exec { descriptors: Some(77), ..program(&folder, text) };
    let shop = Shop::open(Disk::new(), exec).await;
    let mut board = Pen::connect(&shop, "1").await;
    board.say("x").await;
    assert_eq!(board.hear().await, "77");
    shop.close().await;
}
