//! Deletion: of what is old, and never of more.

use pblink_serve::log::{Commit, Engine, EventClass, EventRow, KeyRow, Retention, Sqlite};

use super::{line, lines, row, session};

const ALL: Retention = Retention { before_ms: u64::MAX >> 1, max_bytes: 0 };

#[test]
fn retention_to_empty_keeps_the_newest_line_and_the_offsets() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = Sqlite::open(folder.path()).unwrap();
    log.commit(&lines(1..=10)).unwrap();
    assert_eq!(log.retain(ALL, 4).unwrap(), (5, false), "never beyond what consumers have");
    assert_eq!(log.retain(ALL, u64::MAX).unwrap(), (10, false));
    drop(log);
    let mut log = Sqlite::open(folder.path()).unwrap();
    let loaded = log.load().unwrap();
    assert_eq!((loaded.first, loaded.next), (10, 11));
    log.purge("kitchen").unwrap();
    drop(log);
    let mut log = Sqlite::open(folder.path()).unwrap();
    let loaded = log.load().unwrap();
    assert_eq!((loaded.first, loaded.next), (11, 11), "an emptied table does not begin at 1 again");
    log.commit(&lines(11..=12)).unwrap();
    assert_eq!(log.load().unwrap().first, 11);
    assert_eq!(Sqlite::check(folder.path()).unwrap().problems, Vec::<String>::new());
}

#[test]
fn a_call_does_a_bounded_piece_of_work() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = Sqlite::open(folder.path()).unwrap();
    log.commit(&lines(1..=12_000)).unwrap();
    let mut firsts = Vec::new();
    loop {
        let (first, more) = log.retain(ALL, 11_000).unwrap();
        firsts.push(first);
        if !more {
            break;
        }
    }
    assert_eq!(firsts, [5_001, 10_001, 11_001]);
}

#[test]
fn lines_go_by_age_or_by_size_whichever_comes_first() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = Sqlite::open(folder.path()).unwrap();
    let text = "x".repeat(904);
    let commit = (1..=100).map(|offset| line(offset, text.as_str())).collect();
    log.commit(&Commit { lines: commit, ..Commit::default() }).unwrap();
    let by_age = Retention { before_ms: 21_000, max_bytes: u64::MAX };
    assert_eq!(log.retain(by_age, 100).unwrap(), (21, false));
    let by_size = Retention { before_ms: 0, max_bytes: 50_000 };
    assert_eq!(log.retain(by_size, 100).unwrap(), (51, false), "1,000 bytes each");
    drop(log);
    let mut log = Sqlite::open(folder.path()).unwrap();
    assert_eq!(log.retain(by_size, 100).unwrap(), (51, false), "the sum is known again");
    log.commit(&lines(101..=101)).unwrap();
    assert_eq!(log.retain(by_size, 101).unwrap(), (52, false));
    assert_eq!(log.retain(Retention { before_ms: 0, ..ALL }, 0).unwrap(), (52, false));
}

#[test]
fn old_events_and_keys_go_and_no_number_comes_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = Sqlite::open(folder.path()).unwrap();
    let json = r#"{"event":"stopped"}"#;
    let event = |id| EventRow { id, at_ms: id * 10, json: json.into(), class: EventClass::Other };
    let key = |n: u64| KeyRow {
        client: "kitchen".into(),
        key: n.to_string().into(),
        row: n,
        at_ms: n * 10,
        digest: 5,
    };
    let commit = Commit {
        events: (1..=9).map(event).collect(),
        keys: (1..=9).map(key).collect(),
        ..Commit::default()
    };
    log.commit(&commit).unwrap();
    log.retain(Retention { before_ms: 50, max_bytes: 0 }, 0).unwrap();
    assert_eq!(log.reader().events(0, 100).unwrap(), (5..=9).map(event).collect::<Vec<_>>());
    assert_eq!(log.load().unwrap().keys.len(), 5);
    log.retain(ALL, 0).unwrap();
    drop(log);
    let loaded = Sqlite::open(folder.path()).unwrap().load().unwrap();
    assert_eq!((loaded.next_event, loaded.keys.len()), (10, 0));
}

#[test]
fn neither_reports_nor_strangers_push_an_outage_out() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = Sqlite::open(folder.path()).unwrap();
    let event = |id, class| {
        let name = ["outage_began", "report", "refused"][class as usize];
        EventRow { id, at_ms: 5, json: format!(r#"{{"event":"{name}","id":"kitchen"}}"#), class }
    };
    let mut commit = Commit::default();
    commit.events.push(event(1, EventClass::Other));
    commit.events.extend((2..=200_010).map(|id| event(id, EventClass::Report)));
    commit.events.extend((200_011..=250_020).map(|id| event(id, EventClass::Stranger)));
    log.commit(&commit).unwrap();
    while log.retain(Retention { before_ms: 5, max_bytes: 1 }, 0).unwrap().1 {}
    let found = log.reader().events(0, 300_000).unwrap();
    let count = |class| found.iter().filter(|event| event.class == class).count();
    assert_eq!(found[0], event(1, EventClass::Other));
    assert_eq!((count(EventClass::Report), count(EventClass::Stranger)), (200_000, 50_000));
    assert_eq!(found[1].id, 11, "the newest stay");
    while log.retain(Retention { before_ms: 6, max_bytes: 1 }, 0).unwrap().1 {}
    assert_eq!(log.reader().events(0, 10).unwrap(), [], "and all go with their age");
    assert_eq!(log.load().unwrap().next_event, 250_021);
}

#[test]
fn a_purge_leaves_nothing_of_a_client_in_the_files() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = Sqlite::open(folder.path()).unwrap();
    let secret = "Swordfish";
    let mut commit = lines(1..=20);
    for line in commit.lines.iter_mut().filter(|line| line.offset % 2 == 0) {
        (line.client, line.text) = ("attic".into(), format!("{secret} {}", line.offset).into());
    }
    let json = format!(r#"{{"event":"invalid_line","id":"attic","start":"{secret}"}}"#);
    commit.events = vec![EventRow { id: 1, at_ms: 5, json, class: EventClass::Other }];
    commit.sessions = ["attic", "kitchen"].map(|id| (id.into(), session(&[1], 0))).into();
    let mut to = row(1);
    (to.client, to.text) = ("attic".into(), secret.into());
    commit.outbox = vec![to, row(1)];
    log.commit(&commit).unwrap();
    log.purge("attic").unwrap();
    let loaded = log.load().unwrap();
    assert_eq!(loaded.sessions.len(), 1);
    assert_eq!(loaded.outbox, [row(1)]);
    assert_eq!((loaded.next, loaded.next_event), (21, 2));
    let (left, seen) = log.reader().lines(0, 100, 100, None).unwrap();
    assert_eq!((left.len(), seen), (10, 19));
    let holds = |file: &str| {
        let file = std::fs::read(folder.path().join(file)).unwrap();
        file.windows(secret.len()).any(|window| window == secret.as_bytes())
    };
    assert!(!holds("log.db-wal"), "the write-ahead log still has the text");
    drop(log);
    assert!(!holds("log.db"), "the file still has the text");
    let report = Sqlite::check(folder.path()).unwrap();
    assert_eq!(report.problems, Vec::<String>::new());
    assert_eq!((report.lines, report.missing, report.gaps[0]), (10, 10, (2, 2)));
}
