//! A program for each client.

use pblink_serve::consumers::{Consumer, Kind};
use pblink_serve::log::{Memory, SkipError};
use tempfile::tempdir;

use crate::board::{Board, soon};
use crate::engine::Disk;
use crate::shop::{Pen, Shop, file, program};

#[tokio::test(flavor = "multi_thread")]
async fn lines_go_to_the_program_and_what_it_prints_to_its_board() {
    let folder = tempdir().unwrap();
    let exec = program(&folder, "while read -r l; do echo \"$PBLINK_CLIENT $l\"; done");
    let shop = Shop::open(Memory::new("test"), exec).await;
    let mut boards = [Pen::connect(&shop, "1").await, Pen::connect(&shop, "2").await];
    for n in 0..20 {
        for board in &mut boards {
            board.say(&format!("line {n}")).await;
        }
    }
    for (board, id) in boards.iter_mut().zip(["1", "2"]) {
        for n in 0..20 {
            assert_eq!(board.hear().await, format!("{id} line {n}"));
        }
    }
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_and_a_line_are_words_to_no_shell() {
    let folder = tempdir().unwrap();
    let trap = folder.path().join("trap");
    let touch = format!("$(touch {})", trap.display());
    let exec = program(
        &folder,
        "read -r l; printf '%s\\n' \"$PBLINK_CLIENT|$l|$PBLINK_CONSUMER|$PBLINK_LOG_NAME|$PBLINK_SERVER\"; cat",
    );
    let shop = Shop::open(Disk::new(), exec).await;
    let mut ids = vec!["--help", "a;b", "-c", "a b  c", "a'\"`id`", "é=ß", "\\n\\0", "*"];
    if touch.len() <= 64 {
        ids.push(&touch);
    }
    for id in &ids {
        let mut board = Pen::connect(&shop, id).await;
        board.say(&touch).await;
        let expected = format!("{id}|{touch}|exec|{}|http://127.0.0.1:1", shop.station.log.name());
        assert_eq!(board.hear().await, expected);
    }
    // What would break an environment is no id: the server refuses it.
    for id in ["a\0b", "a\u{b}b", " a"] {
        let mut board = Board::connect(&shop.station, id).await;
        assert_eq!(board.hear().await, None, "{id:?}");
    }
    assert!(!trap.exists());
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_program_has_not_read_is_for_the_next_and_nothing_is_done_twice() {
    let folder = tempdir().unwrap();
    // `read` takes a line, byte by byte, and no more.
    let exec = program(&folder, "read -r l; echo \"got $l\"; exit 3");
    let shop = Shop::open(Disk::new(), exec).await;
    let mut board = Pen::connect(&shop, "1").await;
    for n in 0..30 {
        board.say(&n.to_string()).await;
    }
    for n in 0..30 {
        assert_eq!(board.hear().await, format!("got {n}"));
    }
    let status = shop.until(|status| status.offset == 30).await;
    assert_eq!(status.failing, []);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_cannot_start_loses_no_line_and_only_its_client_waits_until_someone_skips() {
    let folder = tempdir().unwrap();
    let text = "[ \"$PBLINK_CLIENT\" = good ] || [ -e \"$D/mended\" ] || exit 7; cat";
    let shop = Shop::open(Disk::new(), program(&folder, text)).await;
    let mut bad = Pen::connect(&shop, "bad").await;
    bad.say("first").await;
    bad.say("second").await;
    let status = shop.until(|status| status.failing_clients == 1).await;
    let why = status.failing[0].to_string();
    assert!(why.starts_with("fails at 1, a line of \"bad\", since 20"), "{why}");
    assert!(why.contains("exit status: 7"), "{why}");
    assert_eq!(status.offset, 0);
    let mut good = Pen::connect(&shop, "good").await;
    good.say("hello").await;
    assert_eq!(good.hear().await, "hello");

    let log = &shop.station.log;
    let of = |client: Option<&str>| {
        Err(SkipError::Works { consumer: "exec".into(), client: client.map(str::to_owned) })
    };
    assert_eq!(log.skip("exec", Some("good")), of(Some("good")));
    assert_eq!(log.skip("x", None), Err(SkipError::Unknown("x".into())));
    let skipped = log.skip("exec", None).unwrap();
    assert_eq!((&*skipped.client, skipped.offset), ("bad", 1));
    shop.until(|status| status.failing.first().is_some_and(|f| f.offset == 2)).await;
    shop.until(|status| status.offset == 1).await;
    std::fs::write(folder.path().join("mended"), "").unwrap();
    assert_eq!(bad.hear().await, "second");
    shop.until(|status| status.failing.is_empty() && status.offset == 3).await;
    assert_eq!(log.skip("exec", None), of(None));
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_does_not_read_delays_nobody_and_catches_up() {
    const LINES: usize = 400;
    let folder = tempdir().unwrap();
    // Opening a pipe with a name waits for who writes to it.
    let go = folder.path().join("go");
    assert!(std::process::Command::new("mkfifo").arg(&go).status().unwrap().success());
    let text = "[ $PBLINK_CLIENT = quick ] || read -r go <\"$D/go\"; cat";
    let shop = Shop::open(Disk::new(), program(&folder, text)).await;
    let mut slow = Pen::connect(&shop, "slow").await;
    let long = "x".repeat(900);
    // More than a pipe and a lane hold.
    for n in 0..LINES {
        slow.say(&format!("{n} {long}")).await;
    }
    let mut quick = Pen::connect(&shop, "quick").await;
    for n in 0..LINES {
        quick.say(&n.to_string()).await;
        assert_eq!(quick.hear().await, n.to_string());
    }
    assert_eq!(shop.status().offset, 0);
    tokio::task::spawn_blocking(move || std::fs::write(go, "go\n")).await.unwrap().unwrap();
    for n in 0..LINES {
        assert_eq!(slow.hear().await, format!("{n} {long}"));
    }
    shop.until(|status| status.offset == 2 * LINES as u64).await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_prints_without_end_is_read_as_fast_as_its_board_acknowledges() {
    let folder = tempdir().unwrap();
    let text = "n=0; while echo $n; do n=$((n+1)); done";
    let shop = Shop::open(Disk::new(), program(&folder, text)).await;
    let mut board = Board::connect(&shop.station, "1").await;
    board.say("00go").await;
    // It hears, and acknowledges nothing.
    // The outbox fills up, and never takes more; then the pipe does, and the program stands.
    let log = shop.station.log.clone();
    let overfull = tokio::spawn(async move { log.wait_for(|status| status.waiting > 1000).await });
    soon(shop.station.log.wait_for(|status| status.waiting > 900)).await;
    drop(board);
    let mut board = Pen::connect(&shop, "1").await;
    for n in 0..5000 {
        assert_eq!(board.hear().await, n.to_string());
    }
    assert!(!overfull.is_finished(), "the outbox took more than it has room for");
    overfull.abort();
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_prints_before_it_reads_blocks_nothing() {
    const LINES: usize = 200;
    let folder = tempdir().unwrap();
    // More than a pipe holds, each way.
    let text = "n=0; while [ $n -lt 2000 ]; do n=$((n+1)); echo \"$n $$ 0123456789012345678901234567890123456789\"; done; cat";
    let shop = Shop::open(Disk::new(), program(&folder, text)).await;
    let mut board = Pen::connect(&shop, "1").await;
    let long = "y".repeat(800);
    for _ in 0..LINES {
        board.say(&long).await;
    }
    assert_eq!(board.hear_all(2000).await.len(), 2000);
    assert!(board.hear_all(LINES).await.iter().all(|line| *line == long));
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_sent_is_left_out_and_holds_nothing_up() {
    let folder = tempdir().unwrap();
    let text = "read -r l; printf '\\n\\377\\n%02000d\\nfine\\n{\"pblink\":\"done\"}\\ntorn' 1";
    let shop =
        Shop::open(Disk::new(), program(&folder, &format!("{text}; echo $$ >\"$D/pid\""))).await;
    let mut board = Pen::connect(&shop, "1").await;
    board.say("go").await;
    assert_eq!(board.hear().await, "fine");
    file(&folder, "pid").await;
    board.say("again").await;
    assert_eq!(board.hear().await, "fine");
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_clients_that_are_named_have_programs_and_lines_of_others_pass() {
    let folder = tempdir().unwrap();
    let exec = program(&folder, "echo x >\"$D/$PBLINK_CLIENT\"; cat");
    let consumer = Consumer { clients: vec!["1".into()], ..Consumer::new(Kind::Exec(exec), true) };
    let shop = Shop::with(Memory::new("test"), consumer).await;
    // Without a store, an acknowledgement says that the consumer has passed the line.
    let mut other = Pen::connect(&shop, "2").await;
    other.say("nothing").await;
    let mut board = Pen::connect(&shop, "1").await;
    board.say("something").await;
    assert_eq!(board.hear().await, "something");
    assert!(!folder.path().join("2").exists());
    soon(shop.close()).await;
}
