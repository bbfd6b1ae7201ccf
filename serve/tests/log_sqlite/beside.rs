//! A log in a folder, while no server answers for it: its consumers, and the lines that wait.

use pblink_serve::log::{Commit, ConsumerError, Cursor, Engine, EngineError, Sqlite};

use super::{lines, row};

fn cursor(consumer: &str, client: &str, offset: u64) -> Cursor {
    Cursor { consumer: consumer.into(), client: client.into(), offset }
}

#[test]
fn consumers_are_shown_while_the_log_is_in_use_and_renamed_and_removed_when_it_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = Sqlite::open(folder.path()).unwrap();
    let cursors = vec![cursor("old", "", 1), cursor("old", "kitchen", 4), cursor("print", "", 5)];
    log.commit(&Commit { cursors, ..lines(1..=5) }).unwrap();
    let shown = |folder| {
        let consumers = Sqlite::consumers(folder).unwrap().into_iter();
        let all = consumers.map(|c| (c.name.to_string(), c.offset, c.lag, c.running || c.required));
        all.collect::<Vec<_>>()
    };
    let two = |old: &str| vec![(old.to_owned(), 1, 4, false), ("print".to_owned(), 5, 0, false)];
    assert_eq!(shown(folder.path()), two("old"));
    assert_eq!(Sqlite::name(folder.path()).unwrap(), log.load().unwrap().name);

    for (from, to, word) in [
        ("nobody", "new", "no consumer \"nobody\""),
        ("old", "print", "\"print\" already, which has come to offset 5"),
    ] {
        let error = log.rename_consumer(from, to).unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
    }
    log.rename_consumer("old", "old").unwrap();
    log.rename_consumer("old", "new").unwrap();
    assert_eq!(shown(folder.path()), two("new"));
    drop(log);
    let mut log = Sqlite::open(folder.path()).unwrap();
    let found = log.load().unwrap().cursors;
    assert_eq!(found, [cursor("new", "", 1), cursor("new", "kitchen", 4), cursor("print", "", 5)]);
    log.remove_consumer("new").unwrap();
    assert!(matches!(log.remove_consumer("new"), Err(ConsumerError::Unknown(_))));
    assert_eq!(log.load().unwrap().cursors, [cursor("print", "", 5)]);
}

#[test]
fn lines_that_wait_are_shown_while_the_log_is_in_use() {
    let folder = tempfile::tempdir().unwrap();
    let missing = Sqlite::waiting(folder.path()).unwrap_err();
    assert!(matches!(missing, EngineError::Io { .. }), "{missing}");
    let mut log = Sqlite::open(folder.path()).unwrap();
    log.commit(&Commit { outbox: vec![row(1), row(2)], ..Commit::default() }).unwrap();
    assert_eq!(Sqlite::waiting(folder.path()).unwrap(), (vec![row(1), row(2)], vec![]));
    // A copy in its place: nobody knows whether they were sent.
    let copy = folder.path().join("copy");
    log.backup(&copy).unwrap();
    drop(log);
    let twice = |folder: &std::path::Path| {
        Sqlite::restore(folder, &copy).unwrap();
        let before = Sqlite::waiting(folder).unwrap();
        assert!(Sqlite::open(folder).unwrap().is_restored());
        assert_eq!(Sqlite::waiting(folder).unwrap(), before);
        before
    };
    assert_eq!(twice(folder.path()), (vec![], vec![row(1), row(2)]));
    assert_eq!(twice(&folder.path().join("elsewhere")), (vec![], vec![row(1), row(2)]));
}
