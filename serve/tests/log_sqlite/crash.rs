//! A power cut at any moment: of what was written since the last `fsync`, any part may have reached the disk.
//!
//! The files are copied after each commit. Between two copies, SQLite has written the write-ahead log, waited for the
//! disk, and perhaps brought it into the file; a write-ahead log that begins anew gets its head first, and
//! waits for the disk there, too. Each state in between is made from two copies, and opened.

use std::fs;
use std::path::Path;
use std::process::Command;

use fastrand::Rng;
use pblink_serve::log::{Commit, Cursor, Engine, SessionRow, Sqlite};

use super::{line, row};

/// Bytes that a disk writes as a whole.
const SECTOR: usize = 512;

/// Bytes of the head of a write-ahead log.
const HEAD: usize = 32;

const COMMITS: u64 = 50;
const LINES: u64 = 55;

/// The files of a log as they are on the disk.
#[derive(Clone)]
struct Files {
    db: Vec<u8>,
    wal: Vec<u8>,
}

impl Files {
    /// Copies them. Not by this process: to close a file here would free SQLite's locks on it.
    fn copy(folder: &Path, to: &Path) -> Self {
        let copied = Command::new("cp")
            .args([&folder.join("log.db"), &folder.join("log.db-wal"), &folder.join("nonce")])
            .arg(to)
            .status();
        assert!(copied.unwrap().success());
        Self {
            db: fs::read(to.join("log.db")).unwrap(),
            wal: fs::read(to.join("log.db-wal")).unwrap(),
        }
    }

    fn write(&self, folder: &Path) {
        fs::write(folder.join("log.db"), &self.db).unwrap();
        fs::write(folder.join("log.db-wal"), &self.wal).unwrap();
        let _ = fs::remove_file(folder.join("log.db-shm"));
    }
}

/// Returns `old` with some sectors of `new` behind `from`, and perhaps cut off.
fn torn(old: &[u8], new: &[u8], from: usize, random: &mut Rng) -> Vec<u8> {
    let mut mixed = new[..from.min(new.len())].to_vec();
    // Often nearly all or nearly none has arrived.
    let odds = [0.02, 0.5, 0.98][random.usize(..3)];
    let mut at = mixed.len();
    while at < old.len().max(new.len()) {
        let end = (at / SECTOR + 1) * SECTOR;
        let source = if random.f64() < odds { new } else { old };
        // A sector beyond the old end that was not written reads as zeros.
        let sector = (at..end).map(|at| source.get(at).copied().unwrap_or(0));
        mixed.extend(sector);
        at = end;
    }
    mixed.truncate(old.len().max(new.len()));
    if random.bool() && new.len() > old.len() {
        mixed.truncate(random.usize(old.len().max(from)..=new.len()));
    }
    mixed
}

/// Returns the commit with this number, from 1.
fn commit(number: u64, random: &mut Rng) -> Commit {
    let first = (number - 1) * LINES + 1;
    let text = |random: &mut Rng| -> String {
        (0..random.usize(2000..5000)).map(|_| random.alphanumeric()).collect()
    };
    Commit {
        lines: (first..first + LINES).map(|offset| line(offset, text(random))).collect(),
        sessions: vec![(
            "kitchen".into(),
            SessionRow { epoch: 1, seq: number, last_row: number, ..SessionRow::default() },
        )],
        outbox: vec![row(number)],
        done: vec![("kitchen".into(), number - 1)],
        cursors: vec![Cursor { consumer: "print".into(), client: "".into(), offset: number }],
        alive_ms: Some(number),
        ..Commit::default()
    }
}

#[test]
fn after_a_power_cut_all_of_each_synced_commit_is_there_and_nothing_of_half_a_commit() {
    let above = tempfile::tempdir().unwrap();
    let folder = above.path().join("state");
    // What is made of the copies need not outlive anything: in memory, where that is possible, it is quicker.
    let copy = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let copy = copy.path();
    let mut random = Rng::with_seed(7);
    let mut log = Sqlite::open(&folder).unwrap();
    let mut before = Files::copy(&folder, copy);
    let (mut checkpoints, mut restarts, mut lost, mut kept) = (0, 0, 0, 0);
    for number in 1..=COMMITS {
        log.commit(&commit(number, &mut random)).unwrap();
        let after = Files::copy(&folder, copy);
        let nonce = fs::read(copy.join("nonce")).unwrap();
        let restarted = before.wal.get(..HEAD) != after.wal.get(..HEAD);
        restarts += u64::from(restarted);
        // The write-ahead log on its way to the disk.
        let from = if restarted && !before.wal.is_empty() { HEAD } else { 0 };
        let mut states = vec![(
            Files { db: before.db.clone(), wal: torn(&before.wal, &after.wal, from, &mut random) },
            number - 1,
        )];
        if before.db != after.db {
            checkpoints += 1;
            for _ in 0..4 {
                let db = torn(&before.db, &after.db, 0, &mut random);
                states.push((Files { db, wal: after.wal.clone() }, number));
            }
        }
        if number % 10 == 0 {
            states.push((after.clone(), number));
        }
        for (files, synced) in states {
            files.write(copy);
            let mut opened = Sqlite::open(copy).unwrap();
            assert!(!opened.is_restored());
            let loaded = opened.load().unwrap();
            let there = (loaded.next - 1) / LINES;
            assert!(there == synced || there == number, "commit {number}: {there} are there");
            lost += u64::from(there < number);
            kept += u64::from(there == number);
            assert_eq!(loaded.next, there * LINES + 1, "commit {number}");
            let newest = loaded.next.saturating_sub(2 * LINES + 1);
            let (found, _) = opened.reader().lines(newest, 1000, 1000, None).unwrap();
            assert_eq!(found.len() as u64, loaded.next - 1 - newest);
            if there > 0 {
                assert_eq!(loaded.sessions[0].1.seq, there);
                assert_eq!(loaded.outbox, [row(there)]);
                assert_eq!((loaded.cursors[0].offset, loaded.alive_ms), (there, there));
            }
            drop(opened);
            let report = Sqlite::check(copy).unwrap();
            assert_eq!((report.lines, report.problems), (there * LINES, vec![]));
            fs::write(copy.join("nonce"), &nonce).unwrap();
        }
        before = after;
    }
    // The test has been where it should be.
    assert!(checkpoints >= 2 && restarts >= 2, "{checkpoints} checkpoints, {restarts} restarts");
    assert!(lost > 10 && kept > 10, "{lost} commits lost before their sync, {kept} there");
}
