//! The end of programs.

use pblink_serve::consumers::Exec;
use tempfile::tempdir;

use crate::engine::Disk;
use crate::shop::{Pen, Shop, eventually, file, program, quick};

/// Waits until a process is gone, not even a zombie is left.
async fn gone(pid: &str) {
    let path = format!("/proc/{}", pid.trim());
    assert!(std::path::Path::new("/proc/self").exists());
    eventually(|| (!std::path::Path::new(&path).exists()).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stops_gives_the_rest_and_the_end_and_waits() {
    let folder = tempdir().unwrap();
    let text = "while read -r l; do echo \"$l\" >>\"$D/all\"; done; echo $$ >\"$D/end\"";
    let exec = program(&folder, text);
    // Nothing here has to be killed, however busy the machine is.
    let (term, kill) = (std::time::Duration::from_secs(50), std::time::Duration::from_secs(55));
    let exec = Exec { pace: pblink_serve::consumers::Pace { term, kill, ..quick() }, ..exec };
    let disk = Disk::new();
    let shop = Shop::open(disk.clone(), exec).await;
    let mut board = Pen::connect(&shop, "1").await;
    for n in 0..100 {
        board.say(&n.to_string()).await;
    }
    shop.close().await;
    let pid = std::fs::read_to_string(folder.path().join("end")).unwrap();
    let all = std::fs::read_to_string(folder.path().join("all")).unwrap();
    assert!(all.lines().map(str::to_owned).eq((0..100).map(|n| n.to_string())));
    gone(&pid).await;
    let cursors = disk.contents().cursors;
    assert!(cursors.iter().any(|cursor| cursor.offset == 100), "{cursors:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_ignores_the_end_gets_sigterm_and_then_sigkill_with_all_that_it_started() {
    let folder = tempdir().unwrap();
    // dash runs the trap when its child ends, which SIGTERM to the group does.
    let polite = "trap 'echo term >\"$D/term\"; exit' TERM; sleep 1000";
    let deaf = "trap '' TERM; (trap '' TERM; while :; do sleep 1000; done) & echo $! >\"$D/inner\"; wait; wait; sleep 1000";
    let text = format!(
        "echo $$ >\"$D/$PBLINK_CLIENT\"; if [ $PBLINK_CLIENT = polite ]; then {polite}; else {deaf}; fi"
    );
    let shop = Shop::open(Disk::new(), program(&folder, &text)).await;
    for id in ["polite", "deaf"] {
        Pen::connect(&shop, id).await.say("x").await;
        file(&folder, id).await;
    }
    file(&folder, "inner").await;
    shop.close().await;
    file(&folder, "term").await;
    for name in ["polite", "deaf", "inner"] {
        gone(&file(&folder, name).await).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_program_leaves_behind_ends_with_it() {
    let folder = tempdir().unwrap();
    let text = "read -r l; sleep 1000 & echo $! >\"$D/left\"; echo \"$l\"";
    let shop = Shop::open(Disk::new(), program(&folder, text)).await;
    let mut board = Pen::connect(&shop, "1").await;
    board.say("a").await;
    assert_eq!(board.hear().await, "a");
    let left = file(&folder, "left").await;
    // The next one comes although the first has left someone with its output.
    board.say("b").await;
    assert_eq!(board.hear().await, "b");
    gone(&left).await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_ends_without_order_leaves_no_program() {
    let folder = tempdir().unwrap();
    let text = "echo $$ >\"$D/pid\"; trap '' TERM; sleep 1000; sleep 1000";
    let shop = Shop::open(Disk::new(), program(&folder, text)).await;
    Pen::connect(&shop, "1").await.say("x").await;
    let pid = file(&folder, "pid").await;
    shop.kill().await;
    gone(&pid).await;
}
