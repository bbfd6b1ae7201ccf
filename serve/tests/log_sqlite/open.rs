//! Who may open a folder, and what it looks like then.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use pblink_serve::log::{Commit, Engine, EngineError, Sqlite};

use super::{lines, session};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn folder_and_files_are_private() {
    let above = tempfile::tempdir().unwrap();
    let folder = above.path().join("state/8123");
    let mut log = Sqlite::open(&folder).unwrap();
    log.commit(&lines(1..=3)).unwrap();
    log.reader().lines(0, 10, 10, None).unwrap();
    let backup = above.path().join("backup.db");
    log.backup(&backup).unwrap();
    assert_eq!(mode(&folder), 0o700);
    let names: Vec<_> = fs::read_dir(&folder).unwrap().map(|e| e.unwrap().path()).collect();
    assert!(names.iter().any(|name| name.ends_with("log.db-wal")), "{names:?}");
    for file in names.iter().chain([&backup]) {
        assert_eq!(mode(file), 0o600, "{}", file.display());
    }
    log.reopen().unwrap();
    log.commit(&lines(4..=5)).unwrap();
    for name in ["log.db", "log.db-wal", "log.db-shm"] {
        assert_eq!(mode(&folder.join(name)), 0o600, "{name} after it was opened anew");
    }
}

#[test]
fn a_folder_with_other_things_keeps_its_mode() {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    drop(Sqlite::open(folder.path()).unwrap());
    assert_eq!(mode(folder.path()), 0o700, "an empty one is taken");
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("notes.txt"), "mine").unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    drop(Sqlite::open(folder.path()).unwrap());
    assert_eq!(mode(folder.path()), 0o755, "somebody else uses it, too");
}

#[test]
fn a_second_server_is_refused_with_the_number_of_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let first = Sqlite::open(folder.path()).unwrap();
    let second = Sqlite::open(folder.path()).unwrap_err();
    assert!(
        matches!(&second, EngineError::InUse { pid, .. } if *pid == Some(std::process::id())),
        "{second:?}"
    );
    assert!(second.to_string().contains(&format!("process {}", std::process::id())), "{second}");
    let restored = Sqlite::restore(folder.path(), &folder.path().join("log.db")).unwrap_err();
    assert!(matches!(restored, EngineError::InUse { .. }), "{restored:?}");
    drop(first);
    Sqlite::open(folder.path()).unwrap();
}

#[test]
fn a_newer_log_and_what_is_no_log_are_refused_and_stay_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.db");
    let mut log = Sqlite::open(folder.path()).unwrap();
    log.commit(&lines(1..=3)).unwrap();
    drop(log);
    let db = rusqlite::Connection::open(&path).unwrap();
    db.pragma_update(None, "user_version", 99).unwrap();
    drop(db);
    let before = fs::read(&path).unwrap();
    let newer = Sqlite::open(folder.path()).unwrap_err();
    assert!(matches!(newer, EngineError::Newer { found: 99, known: 6, .. }), "{newer:?}");
    assert!(fs::read(&path).unwrap() == before);
    let newer = Sqlite::check(folder.path()).unwrap_err();
    assert!(matches!(newer, EngineError::Newer { .. }), "{newer:?}");

    let db = rusqlite::Connection::open(&path).unwrap();
    db.pragma_update(None, "user_version", 1).unwrap();
    db.pragma_update(None, "application_id", 5).unwrap();
    drop(db);
    let foreign = Sqlite::open(folder.path()).unwrap_err();
    assert!(matches!(foreign, EngineError::Damaged { .. }), "{foreign:?}");
    fs::write(&path, "these are notes, and no database at all\n".repeat(100)).unwrap();
    let foreign = Sqlite::open(folder.path()).unwrap_err();
    assert!(matches!(foreign, EngineError::Damaged { .. }), "{foreign:?}");
}

#[test]
fn what_is_committed_is_there_when_it_is_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = Sqlite::open(folder.path()).unwrap();
    let name = log.load().unwrap().name;
    assert_eq!((name.id.len(), name.generation), (16, 1));
    let mut commit = lines(1..=5);
    commit.sessions.push(("kitchen".into(), session(&[1, 2, 3], 4)));
    log.commit(&commit).unwrap();
    drop(log);
    let mut log = Sqlite::open(folder.path()).unwrap();
    let loaded = log.load().unwrap();
    assert_eq!(loaded.name, name, "the same log");
    assert_eq!((loaded.first, loaded.next), (1, 6));
    assert_eq!(loaded.sessions, commit.sessions);
    assert_eq!(log.reader().lines(0, 10, 10, None).unwrap(), (commit.lines, 5));
    log.commit(&Commit::default()).unwrap();
}

#[test]
fn many_readers_share_a_few_connections_while_the_writer_writes() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = Sqlite::open(folder.path()).unwrap();
    log.commit(&lines(1..=100)).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..12 {
            let reader = log.reader();
            scope.spawn(move || {
                for _ in 0..20 {
                    let (found, seen) = reader.lines(50, 30, 1000, Some("kitchen")).unwrap();
                    assert_eq!((found.len(), seen), (30, 80));
                }
            });
        }
        for offset in 101..=120 {
            log.commit(&lines(offset..=offset)).unwrap();
            if offset % 5 == 0 {
                log.reopen().unwrap();
            }
        }
    });
    assert_eq!(log.reader().lines(0, 1000, 1000, None).unwrap().1, 120);
}
