//! Programs that acknowledge: exactly once from board to board.

use pblink_serve::consumers::Exec;
use tempfile::tempdir;

use crate::board::Board;
use crate::board::soon;
use crate::engine::Disk;
use crate::shop::{Pen, Shop, program};

const DONE: &str = r#"echo '{"pblink":"done"}'"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_line_and_what_follows_from_it_are_one_commit() {
    let folder = tempdir().unwrap();
    // It answers with two lines, and waits before it acknowledges the second.
    let text = format!(
        "while read -r l; do echo \"a $l\"; echo \"b $l\"; [ \"$l\" = 1 ] || until [ -e \"$D/go\" ]; do sleep 0.01; done; {DONE}; done"
    );
    let disk = Disk::new();
    let shop = Shop::open(disk.clone(), Exec { ack: true, ..program(&folder, &text) }).await;
    let mut board = Pen::connect(&shop, "1").await;
    board.say("1").await;
    board.say("2").await;
    assert_eq!(board.hear_all(2).await, ["a 1", "b 1"]);
    shop.until(|status| status.offset == 1).await;
    assert_eq!(disk.contents().outbox.iter().filter(|row| row.text.ends_with('2')).count(), 0);
    std::fs::write(folder.path().join("go"), "").unwrap();
    assert_eq!(board.hear_all(2).await, ["a 2", "b 2"]);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_breaks_the_rules_is_ended_and_the_line_comes_again() {
    for (text, why) in [
        (format!("{DONE}; sleep 1000"), "did not get"),
        ("read -r l; while echo x; do :; done".to_owned(), "more than 1000 lines"),
        ("exec <&-; sleep 1000".to_owned(), "signal: 15"),
        ("read -r l; exec >&-; sleep 1000".to_owned(), "signal: 15"),
        ("kill -9 $$".to_owned(), "signal: 9"),
    ] {
        let folder = tempdir().unwrap();
        let shop = Shop::open(Disk::new(), Exec { ack: true, ..program(&folder, &text) }).await;
        let mut board = Pen::connect(&shop, "1").await;
        board.say("go").await;
        let failing = shop.until(|status| !status.failing.is_empty()).await.failing;
        let failing = failing[0].to_string();
        assert!(failing.contains(why), "{text}: {failing}");
        assert_eq!((shop.status().offset, shop.station.log.status().waiting), (0, 0), "{text}");
        shop.close().await;
    }
}

/// A program that doubles each line, and that is killed, or kills itself, at any moment.
fn killer(folder: &tempfile::TempDir) -> Exec {
    let text = format!(
        "echo $$ >>\"$D/pids\"; n=$(wc -l <\"$D/pids\"); while read -r l; do \
         echo \"$l a\"; \
         [ $(( (n * 7 + l) % 11 )) -ne 0 ] || {{ n=$((n+1)); kill -9 $$; }}; \
         echo \"$l b\"; {DONE}; \
         [ $(( (n * 5 + l) % 13 )) -ne 0 ] || kill -9 $$; \
         done"
    );
    Exec { ack: true, ..program(folder, &text) }
}

#[tokio::test(flavor = "multi_thread")]
async fn exactly_once_through_kills_of_the_program_and_restarts_of_the_server() {
    const LINES: usize = 60;
    for seed in 0..6 {
        let mut random = fastrand::Rng::with_seed(seed);
        let folder = tempdir().unwrap();
        let disk = Disk::new();
        let mut shop = Shop::open(disk.clone(), killer(&folder)).await;
        let mut board = Pen::connect(&shop, "1").await;
        let (mut heard, mut restarts) = (Vec::new(), 0);
        for n in 0..LINES {
            board.say(&n.to_string()).await;
            match random.u32(..10) {
                // Whichever program runs, in whatever it does.
                0..4 => {
                    let pids = std::fs::read_to_string(folder.path().join("pids"));
                    if let Some(pid) = pids.unwrap_or_default().lines().last() {
                        let kill = std::process::Command::new("kill").args(["-9", pid]).output();
                        kill.unwrap();
                    }
                }
                4 if restarts < 3 => {
                    restarts += 1;
                    match random.bool() {
                        true => shop.kill().await,
                        false => shop.close().await,
                    }
                    shop = Shop::open(disk.clone(), killer(&folder)).await;
                    board.reconnect(&shop, "1").await;
                }
                5 => heard.push(board.hear().await),
                _ => {}
            }
        }
        while heard.len() < 2 * LINES {
            heard.push(board.hear().await);
        }
        let expected = (0..LINES).flat_map(|n| [format!("{n} a"), format!("{n} b")]);
        assert!(heard.iter().cloned().eq(expected), "seed {seed}: {heard:?}");
        shop.until(|status| status.offset == LINES as u64).await;
        assert_eq!(disk.texts().len(), LINES);
        shop.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledgement_waits_for_room_in_the_outbox() {
    let folder = tempdir().unwrap();
    let text = format!(
        "while read -r l; do n=0; while [ $n -lt 600 ]; do n=$((n+1)); echo \"$l $n\"; done; {DONE}; done"
    );
    let shop = Shop::open(Disk::new(), Exec { ack: true, ..program(&folder, &text) }).await;
    let mut board = Board::connect(&shop.station, "1").await;
    board.say("00first").await;
    board.say("01second").await;
    soon(shop.station.log.wait_for(|status| status.waiting == 600)).await;
    shop.until(|status| status.offset == 1).await;
    drop(board);
    let mut board = Pen::connect(&shop, "1").await;
    for line in ["first", "second"] {
        for n in 1..=600 {
            assert_eq!(board.hear().await, format!("{line} {n}"));
        }
    }
    shop.until(|status| status.offset == 2).await;
    shop.close().await;
}
