//! Disks that are full, and disks that fail.
//!
//! Faults of the disk come from a small library that stands before the system's calls (`pblink_soak::faults`): each such test
//! runs once more as a process of its own, with it.

#![cfg(target_os = "linux")]

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use pblink_serve::log::{
    Commit, Cursor, Engine, EngineError, Keep, Log, Outgoing, Retention, Room, SendError, Sqlite,
};
use pblink_server::Delivery;
use pblink_soak::faults::{Disk, Faults};

use super::{line, lines, open_soon};

/// Runs the test with this name as a process with faults. Returns them in that process, and `None` when it is over.
fn with_faults(name: &str) -> Option<Faults> {
    if let Some(faults) = Faults::ours() {
        return Some(faults);
    }
    let folder = tempfile::tempdir().unwrap();
    let mut test = Command::new(std::env::current_exe().unwrap());
    Faults::give(folder.path(), &mut test);
    let output = test
        .args([&format!("log_sqlite::faults::{name}"), "--exact", "--nocapture"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    None
}

/// Returns commits of 64 KB of lines, behind this offset.
fn large(after: u64) -> Commit {
    let text: Arc<str> = "x".repeat(1024).into();
    let lines = (after + 1..=after + 64).map(|offset| line(offset, Arc::clone(&text)));
    Commit { lines: lines.collect(), ..Commit::default() }
}

fn place(offset: u64) -> Commit {
    let cursor = Cursor { consumer: "print".into(), client: "".into(), offset };
    Commit { cursors: vec![cursor], alive_ms: Some(offset), ..Commit::default() }
}

/// Commits until there is no room. Returns the newest offset.
fn fill(log: &mut Sqlite, mut head: u64) -> u64 {
    for _ in 0..10_000 {
        match log.commit(&large(head)) {
            Ok(()) => head += 64,
            Err(EngineError::Full) => return head,
            Err(other) => panic!("after {head}: {other:?}"),
        }
    }
    panic!("the disk is never full");
}

fn assert_holds(folder: &Path, log: &mut Sqlite, head: u64) {
    assert_eq!(log.load().unwrap().next, head + 1);
    let (found, seen) = log.reader().lines(head.saturating_sub(70), 1000, 1000, None).unwrap();
    assert_eq!((found.len() as u64, seen), (head.min(70), head), "nothing of half a commit");
    assert_eq!(Sqlite::check(folder).unwrap().problems, Vec::<String>::new());
}

#[test]
fn a_full_disk_takes_no_lines_but_cursors_and_goes_on_when_there_is_room() {
    let mountpoint = tempfile::tempdir().unwrap();
    let disk = match Disk::mount(mountpoint.path(), 120) {
        Ok(disk) => disk,
        Err(why) => {
            // Containers may not mount. The tests with a full disk by faults run everywhere.
            eprintln!(
                "no small disk can be mounted here ({why}): full disks are made by faults only"
            );
            return;
        }
    };
    let folder = disk.path().join("state");
    let ballast = disk.path().join("ballast");
    fs::write(&ballast, vec![1; 95 << 20]).unwrap();
    let mut log = Sqlite::open(&folder).unwrap();
    let reserve = folder.join("reserve");
    assert_eq!(fs::metadata(&reserve).unwrap().len(), 8 << 20);
    assert!(matches!(log.room(), Room::Short { wanted: 67_108_864, .. }), "{:?}", log.room());
    let head = fill(&mut log, 0);
    assert!(head > 640, "{head}");
    assert_holds(&folder, &mut log, head);
    assert!(matches!(log.commit(&large(head)), Err(EngineError::Full)), "and again");
    assert!(reserve.exists(), "lines do not get what is set aside");

    for offset in 1..=400 {
        log.commit(&place(offset)).unwrap();
    }
    assert!(!reserve.exists());
    let loaded = log.load().unwrap();
    assert_eq!((loaded.cursors[0].offset, loaded.alive_ms), (400, 400));
    log.retain(Retention { before_ms: u64::MAX >> 1, max_bytes: 0 }, 64).unwrap();
    assert_eq!(log.load().unwrap().first, 65);

    fs::remove_file(&ballast).unwrap();
    log.commit(&large(head)).unwrap();
    assert_holds(&folder, &mut log, head + 64);
    assert_eq!(log.room(), Room::Enough);
    assert!(reserve.exists(), "set aside again");

    // A server that starts on a full disk comes up, on what was set aside.
    drop(log);
    let free = fs::File::create(&ballast).unwrap();
    let full = std::io::copy(&mut std::io::repeat(1), &mut &free).unwrap_err();
    assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
    let mut log = Sqlite::open(&folder).unwrap();
    assert!(!log.is_restored());
    log.commit(&place(500)).unwrap();
    assert_eq!(log.load().unwrap().next, head + 65);
}

#[test]
fn a_full_disk_by_fault_takes_nothing_and_goes_on_when_there_is_room() {
    let Some(faults) =
        with_faults("a_full_disk_by_fault_takes_nothing_and_goes_on_when_there_is_room")
    else {
        return;
    };
    // The second is what a quota says instead.
    for fault in ["full", "quota", "too-large"] {
        let folder = tempfile::tempdir().unwrap();
        let mut log = Sqlite::open(folder.path()).unwrap();
        log.commit(&large(0)).unwrap();
        faults.set(fault);
        let full = log.commit(&large(64));
        assert!(matches!(full, Err(EngineError::Full)), "{fault}: {full:?}");
        assert!(folder.path().join("reserve").exists());
        let full = log.commit(&place(5));
        assert!(matches!(full, Err(EngineError::Full)), "{fault}: {full:?}");
        assert!(!folder.path().join("reserve").exists(), "it was tried");
        let free = folder.path().join("backup");
        let full = log.backup(&free);
        assert!(matches!(full, Err(EngineError::Full)), "{fault}: {full:?}");
        assert!(!free.exists(), "half a backup is none");
        assert_eq!(log.load().unwrap().next, 65);
        faults.clear(fault);
        log.commit(&large(64)).unwrap();
        log.commit(&place(5)).unwrap();
        assert_holds(folder.path(), &mut log, 128);
        drop(log);
        assert_eq!(Sqlite::open(folder.path()).unwrap().load().unwrap().next, 129);
    }
}

#[test]
fn after_a_failed_fsync_the_log_is_written_anew_before_anything_counts() {
    let Some(faults) =
        with_faults("after_a_failed_fsync_the_log_is_written_anew_before_anything_counts")
    else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let wal = folder.path().join("log.db-wal");
    let mut log = Sqlite::open(folder.path()).unwrap();
    log.commit(&lines(1..=5)).unwrap();
    let before = fs::metadata(&wal).unwrap().ino();
    faults.set("fsync-once");
    let failed = log.commit(&lines(6..=9)).unwrap_err();
    assert!(matches!(failed, EngineError::Io { .. }), "{failed:?}");
    assert!(!faults.is_set("fsync-once"));
    log.reopen().unwrap();
    // The system takes pages for clean that it could not write: a second fsync of the same file proves nothing.
    assert_ne!(fs::metadata(&wal).unwrap().ino(), before);
    log.commit(&lines(6..=9)).unwrap();
    assert_holds(folder.path(), &mut log, 9);
    drop(log);

    let mut log = Sqlite::open(folder.path()).unwrap();
    faults.set("fsync");
    assert!(log.commit(&lines(10..=12)).is_err());
    assert!(log.reopen().is_err(), "twice in a row");
    assert!(log.commit(&lines(10..=12)).is_err(), "and it stays so");
    let unreadable = log.reader().lines(0, 10, 10, None).unwrap_err();
    assert!(
        unreadable.to_string().contains("could not be opened again"),
        "no reader waits for ever"
    );
    faults.clear("fsync");
    drop(log);
    let next = Sqlite::open(folder.path()).unwrap().load().unwrap().next;
    assert!(next == 10 || next == 13, "{next}: whole, or not at all");
}

#[test]
fn a_disk_that_is_full_when_the_log_is_opened_anew_is_waited_for() {
    let Some(faults) = with_faults("a_disk_that_is_full_when_the_log_is_opened_anew_is_waited_for")
    else {
        return;
    };
    for fault in ["full", "quota", "too-large"] {
        let folder = tempfile::tempdir().unwrap();
        let mut log = Sqlite::open(folder.path()).unwrap();
        log.commit(&lines(1..=5)).unwrap();
        faults.set("fsync-once");
        assert!(matches!(log.commit(&lines(6..=9)), Err(EngineError::Io { .. })));
        faults.set(fault);
        let full = log.reopen();
        assert!(matches!(full, Err(EngineError::Full)), "{fault}: {full:?}");
        // No call before there is room says anything else.
        let full = log.commit(&lines(6..=9));
        assert!(matches!(full, Err(EngineError::Full)), "{fault}: {full:?}");
        let full = log.retain(Retention { before_ms: 0, max_bytes: u64::MAX }, 0);
        assert!(matches!(full, Err(EngineError::Full)), "{fault}: {full:?}");
        let full = log.backup(&folder.path().join("backup"));
        assert!(matches!(full, Err(EngineError::Full)), "{fault}: {full:?}");
        // Whoever reads meanwhile is told why, and may come again.
        let reader = log.reader();
        let full = reader.lines(0, 10, 10, None);
        assert!(matches!(full, Err(EngineError::Full)), "{fault}: {full:?}");
        // A copy without room would take the last of it.
        assert!(!folder.path().join("log.db-wal.new").exists(), "{fault}");
        faults.clear(fault);
        log.commit(&lines(6..=9)).unwrap();
        assert_eq!(reader.lines(0, 10, 10, None).unwrap().0.len(), 9);
        assert_holds(folder.path(), &mut log, 9);
    }
}

#[test]
fn nothing_is_confirmed_by_a_disk_that_fails() {
    let Some(faults) = with_faults("nothing_is_confirmed_by_a_disk_that_fails") else { return };
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let send = |text: &str| {
        vec![Outgoing { client: "kitchen".into(), text: text.into(), delivery: Delivery::ORDERED }]
    };
    runtime.block_on(async {
        let log = Log::open(Sqlite::open(folder.path()).unwrap(), Keep::default()).unwrap().log;
        log.send(send("one"), None).await.unwrap();
        faults.set("fsync-once");
        assert_eq!(log.send(send("two"), None).await.unwrap().row, 2, "opened anew, and written");
        assert!(!faults.is_set("fsync-once"));
        faults.set("fsync");
        assert!(matches!(log.send(send("three"), None).await, Err(SendError::Stopped)));
        let why = log.failed().await;
        assert!(why.contains("log.db"), "{why}");
        faults.clear("fsync");
    });
    drop(runtime);
    let loaded = open_soon(folder.path()).load().unwrap();
    let texts: Vec<_> = loaded.outbox.iter().map(|row| &*row.text).collect();
    assert!(texts == ["one", "two"] || texts == ["one", "two", "three"], "{texts:?}");
}

#[test]
fn a_disk_that_has_lost_a_commit_is_found_out() {
    let folder = tempfile::tempdir().unwrap();
    let wal = folder.path().join("log.db-wal");
    let mut log = Sqlite::open(folder.path()).unwrap();
    log.commit(&large(0)).unwrap();
    let synced = fs::metadata(&wal).unwrap().len();
    log.commit(&large(64)).unwrap();
    fs::OpenOptions::new().write(true).open(&wal).unwrap().set_len(synced).unwrap();
    let lost = log.reopen().unwrap_err();
    assert!(lost.to_string().contains("lines 65 to 128"), "{lost}");
    assert!(log.commit(&large(128)).is_err());
    drop(log);
    assert_eq!(Sqlite::open(folder.path()).unwrap().load().unwrap().next, 65);
}
