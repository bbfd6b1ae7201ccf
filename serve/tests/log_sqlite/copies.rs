//! Backups, and a log that is not the one that was there.

use std::fs;
use std::path::Path;

use pblink_serve::log::{Commit, Engine, EngineError, Keep, KeyRow, Log, Outgoing, Sqlite};

use super::{lines, row, session};

/// Makes a log with five lines, a session and three lines to a board, and a backup of it.
fn log_with_backup(folder: &Path, backup: &Path) -> Sqlite {
    let mut log = Sqlite::open(folder).unwrap();
    let key = KeyRow { client: "kitchen".into(), key: "k".into(), row: 3, at_ms: 7, digest: 5 };
    let commit = Commit {
        sessions: vec![("kitchen".into(), session(&[9; 45], 3))],
        outbox: vec![row(1), row(2), row(3)],
        keys: vec![key],
        ..lines(1..=5)
    };
    log.commit(&commit).unwrap();
    log.backup(backup).unwrap();
    log
}

fn assert_restored(folder: &Path, generation: u64) -> Sqlite {
    let mut log = Sqlite::open(folder).unwrap();
    assert!(log.is_restored());
    let loaded = log.load().unwrap();
    assert_eq!(loaded.name.generation, generation);
    assert_eq!((loaded.first, loaded.next), (1, 6));
    assert_eq!(loaded.sessions[0].1.state, None, "the window is empty, and numbers begin at 0");
    assert_eq!(loaded.sessions[0].1.last_row, 3);
    assert_eq!(loaded.outbox, []);
    assert_eq!(loaded.undetermined, [row(1), row(2), row(3)]);
    assert_eq!(loaded.keys, [], "a request that comes again sends its lines");
    log
}

#[test]
fn a_backup_is_made_while_the_log_is_used_and_restored_when_it_is_not() {
    let above = tempfile::tempdir().unwrap();
    let (folder, backup) = (above.path().join("state"), above.path().join("backup"));
    let mut log = log_with_backup(&folder, &backup);
    let id = log.load().unwrap().name.id;
    assert!(log.backup(&backup).is_err(), "an existing file is never overwritten");
    log.commit(&lines(6..=9)).unwrap();
    drop(log);
    // What a restore that was killed has left is nobody's log.
    fs::write(folder.join("log.db.restoring"), "half").unwrap();
    assert_eq!(Sqlite::open(&folder).unwrap().load().unwrap().next, 10);

    let restored = Sqlite::restore(&folder, &backup).unwrap();
    assert_eq!((restored.report.lines, restored.report.next), (5, 6));
    let mut log = assert_restored(&folder, 2);
    assert_eq!(log.load().unwrap().name.id, id);
    log.commit(&lines(6..=6)).unwrap();
    drop(log);
    assert!(!Sqlite::open(&folder).unwrap().is_restored(), "only once");

    // What was there before is one file with all of it.
    let other = above.path().join("other");
    fs::create_dir(&other).unwrap();
    fs::copy(restored.replaced.unwrap(), other.join("log.db")).unwrap();
    assert_eq!(Sqlite::check(&other).unwrap().next, 10);

    Sqlite::restore(&folder, &backup).unwrap();
    assert_restored(&folder, 3);
}

#[test]
fn a_damaged_or_foreign_backup_replaces_nothing() {
    let above = tempfile::tempdir().unwrap();
    let (folder, backup) = (above.path().join("state"), above.path().join("backup"));
    let mut log = log_with_backup(&folder, &backup);
    log.commit(&lines(6..=400)).unwrap();
    let long = above.path().join("long");
    log.backup(&long).unwrap();
    drop(log);
    let mut bytes = fs::read(&long).unwrap();
    let at = bytes.windows(8).position(|window| window == b"line 200").unwrap();
    bytes[at - 60..at + 60].fill(0xee);
    fs::write(&long, &bytes).unwrap();
    let cut = above.path().join("cut");
    fs::write(&cut, &bytes[..bytes.len() / 2]).unwrap();
    let empty = above.path().join("empty");
    fs::write(&empty, "").unwrap();
    for bad in [&long, &cut, &empty] {
        let refused = Sqlite::restore(&folder, bad).unwrap_err();
        assert!(matches!(refused, EngineError::Damaged { .. }), "{}: {refused:?}", bad.display());
    }
    assert!(Sqlite::restore(&folder, &above.path().join("nowhere")).is_err());
    assert!(Sqlite::restore(&folder, &folder.join("log.db")).is_err(), "the log itself");
    let mut log = Sqlite::open(&folder).unwrap();
    assert!(!log.is_restored());
    assert_eq!(log.load().unwrap().next, 401);
}

#[test]
fn a_file_that_was_put_there_by_hand_is_known() {
    let above = tempfile::tempdir().unwrap();
    let (folder, backup) = (above.path().join("state"), above.path().join("backup"));
    let mut log = log_with_backup(&folder, &backup);
    log.commit(&lines(6..=9)).unwrap();
    drop(log);
    // A copy of a log that was not running then.
    let older = above.path().join("older");
    fs::copy(folder.join("log.db"), &older).unwrap();
    let mut log = Sqlite::open(&folder).unwrap();
    log.commit(&lines(10..=12)).unwrap();
    drop(log);
    fs::copy(&older, folder.join("log.db")).unwrap();
    let mut log = Sqlite::open(&folder).unwrap();
    assert!(log.is_restored());
    assert_eq!((log.load().unwrap().next, log.load().unwrap().name.generation), (10, 2));
    drop(log);
    fs::copy(&backup, folder.join("log.db")).unwrap();
    assert_restored(&folder, 3);
}

#[test]
fn changes_to_the_file_before_never_go_into_one_that_replaced_it() {
    let above = tempfile::tempdir().unwrap();
    let (folder, backup) = (above.path().join("state"), above.path().join("backup"));
    let mut log = log_with_backup(&folder, &backup);
    log.commit(&lines(6..=300)).unwrap();
    // As after a kill: the write-ahead log has what the file lacks.
    let killed = above.path().join("killed");
    fs::create_dir(&killed).unwrap();
    for name in ["log.db", "log.db-wal", "nonce"] {
        fs::copy(folder.join(name), killed.join(name)).unwrap();
    }
    drop(log);
    let mut same = Sqlite::open(&killed).unwrap();
    assert_eq!((same.is_restored(), same.load().unwrap().next), (false, 301));
    drop(same);
    fs::remove_file(folder.join("log.db")).unwrap();
    log = Sqlite::open(&folder).unwrap();
    log.commit(&lines(1..=300)).unwrap();
    let wal = fs::read(folder.join("log.db-wal")).unwrap();
    drop(log);
    fs::write(folder.join("log.db-wal"), wal).unwrap();
    fs::copy(&backup, folder.join("log.db")).unwrap();
    let log = assert_restored(&folder, 2);
    drop(log);
    assert_eq!(Sqlite::check(&folder).unwrap().problems, Vec::<String>::new());
    let aside =
        |entry: fs::DirEntry| entry.file_name().to_string_lossy().contains("-wal.replaced-");
    assert!(fs::read_dir(&folder).unwrap().any(|entry| aside(entry.unwrap())));
}

#[test]
fn undetermined_lines_are_sent_behind_others_or_dropped() {
    let above = tempfile::tempdir().unwrap();
    let (folder, backup) = (above.path().join("state"), above.path().join("backup"));
    drop(log_with_backup(&folder, &backup));
    Sqlite::restore(&folder, &backup).unwrap();
    let mut log = assert_restored(&folder, 2);
    // They are no row that waits: none of this concerns them.
    let commit = Commit {
        outbox: vec![row(4)],
        done: vec![("kitchen".into(), 4)],
        forgotten: vec!["kitchen".into()],
        ..Commit::default()
    };
    log.commit(&commit).unwrap();
    log.commit(&Commit { outbox: vec![row(1)], ..Commit::default() }).unwrap();
    assert_eq!(log.undetermined().unwrap().len(), 3);
    drop(log);
    // A second restore adds to those of the first.
    fs::copy(folder.join("log.db"), above.path().join("copy")).unwrap();
    drop(Sqlite::open(&folder).unwrap());
    fs::copy(above.path().join("copy"), folder.join("log.db")).unwrap();
    let mut log = Sqlite::open(&folder).unwrap();
    let held = log.undetermined().unwrap();
    let texts: Vec<_> = held.iter().map(|row| &*row.text).collect();
    assert_eq!(texts, ["to kitchen 1", "to kitchen 2", "to kitchen 3", "to kitchen 1"]);
    assert_eq!(log.drop_undetermined(Some("attic")).unwrap(), 0);
    let commit = Commit { released: vec![("kitchen".into(), held[1].row)], ..Commit::default() };
    log.commit(&commit).unwrap();
    assert_eq!(log.send_undetermined(Some("kitchen")).unwrap(), 3);
    let loaded = log.load().unwrap();
    let sent: Vec<_> = loaded.outbox.iter().map(|row| (row.row, &*row.text)).collect();
    assert_eq!(sent, [(1, "to kitchen 1"), (2, "to kitchen 3"), (3, "to kitchen 1")]);
    assert_eq!(loaded.undetermined, []);
    assert_eq!(loaded.sessions[0].1.last_row, 3);
    drop(log);
    Sqlite::restore(&folder, &backup).unwrap();
    let mut log = assert_restored(&folder, 4);
    assert_eq!(log.drop_undetermined(None).unwrap(), 3);
    assert_eq!(log.undetermined().unwrap(), []);
}

#[test]
fn a_server_has_undetermined_lines_sent_or_dropped() {
    let above = tempfile::tempdir().unwrap();
    let (folder, backup) = (above.path().join("state"), above.path().join("backup"));
    drop(log_with_backup(&folder, &backup));
    Sqlite::restore(&folder, &backup).unwrap();
    let mut engine = assert_restored(&folder, 2);
    let mut attic = row(1);
    attic.client = "attic".into();
    engine.commit(&Commit { outbox: vec![attic], ..Commit::default() }).unwrap();
    drop(engine);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let before = runtime.block_on(async {
        let log = Log::open(Sqlite::open(&folder).unwrap(), Keep::default()).unwrap().log;
        let line = Outgoing {
            client: "kitchen".into(),
            text: "new".into(),
            delivery: pblink_server::Delivery::ORDERED,
        };
        assert_eq!(log.send(vec![line], None).await.unwrap().row, 4);
        let held = log.undetermined().await;
        assert_eq!(log.drop_undetermined(Some("attic")).await.unwrap(), 0, "that one waits");
        assert_eq!(log.undetermined().await, held);
        assert_eq!(log.send_undetermined(Some("kitchen")).await.unwrap(), 3);
        assert_eq!(log.undetermined().await, []);
        log.stop().await;
        held
    });
    drop(runtime);
    assert_eq!(before, [row(1), row(2), row(3)]);
    let mut engine = super::open_soon(&folder);
    let loaded = engine.load().unwrap();
    let kitchen = loaded.outbox.iter().filter(|row| &*row.client == "kitchen");
    let sent: Vec<_> = kitchen.map(|row| (row.row, &*row.text)).collect();
    let old = ["to kitchen 1", "to kitchen 2", "to kitchen 3"];
    assert_eq!(sent, [(4, "new"), (5, old[0]), (6, old[1]), (7, old[2])]);
    assert_eq!(loaded.undetermined, []);
}

#[test]
fn a_check_names_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let backup = folder.path().join("backup");
    let mut log = log_with_backup(folder.path(), &backup);
    let report = Sqlite::check(folder.path()).unwrap();
    assert_eq!(report.problems, Vec::<String>::new());
    assert_eq!(report.bad_sessions[0].0, "kitchen", "made-up bytes");
    assert!(!report.is_sound());
    assert_eq!((report.lines, report.first, report.next, report.missing), (5, 1, 6, 0));
    assert_eq!((report.outbox, report.keys, report.sessions), (3, 1, 1));
    log.commit(&Commit { forgotten: vec!["kitchen".into()], ..Commit::default() }).unwrap();
    let report = Sqlite::check(folder.path()).unwrap();
    assert!(report.is_sound(), "{report:?}");
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["generation"], 1);
    assert!(Sqlite::check(&folder.path().join("none")).is_err());
}

#[test]
fn a_backup_of_an_older_schema_is_put_back_with_what_it_has() {
    let above = tempfile::tempdir().unwrap();
    let (folder, backup) = (above.path().join("state"), above.path().join("backup"));
    let first = include_str!("../../src/log/sqlite/1.sql");
    let db = rusqlite::Connection::open(&backup).unwrap();
    db.execute_batch(first).unwrap();
    db.execute_batch("PRAGMA application_id = 0x70626c6b; PRAGMA user_version = 1").unwrap();
    let rows = "INSERT INTO lines VALUES (1, 'kitchen', 1, 1, 5, 0, 'hello');
                INSERT INTO sessions VALUES ('kitchen', NULL, 1, 1, 3);
                INSERT INTO outbox VALUES ('kitchen', 0, 3, 7, 'light on', 0);
                INSERT INTO meta VALUES ('id', 'old'), ('generation', 1), ('nonce', 'copy')";
    db.execute_batch(rows).unwrap();
    drop(db);
    let restored = Sqlite::restore(&folder, &backup).unwrap();
    let report = &restored.report;
    assert_eq!((report.schema, report.lines, report.next, report.outbox), (1, 1, 2, 1));
    let mut log = Sqlite::open(&folder).unwrap();
    let loaded = log.load().unwrap();
    assert_eq!((loaded.name.id.as_str(), loaded.name.generation), ("old", 2));
    assert_eq!((loaded.sessions[0].1.last_line, loaded.sessions[0].1.last_line_ms), (1, 5));
    assert_eq!(loaded.undetermined.len(), 1);
}
