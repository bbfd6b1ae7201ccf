//! The engine on disk beside the one in memory: the same commits, the same contents.

use std::collections::BTreeMap;
use std::sync::Arc;

use fastrand::Rng;
use pblink_serve::log::{
    Commit, Cursor, Engine, EventClass, EventRow, KeyRow, Kind, Line, Loaded, Memory, OutboxRow,
    Reader, Retention, SessionRow, Sqlite,
};
use pblink_server::Delivery;

const CLIENTS: [&str; 5] = ["kitchen", "attic", "ünïcödé", "a\0b", "x"];
const CONSUMERS: [&str; 3] = ["print", "mqtt", "exec"];

/// Places that the writer knows: where offsets, rows and events go on.
struct Writer {
    random: Rng,
    next: u64,
    next_event: u64,
    now: u64,
    rows: BTreeMap<&'static str, u64>,
    keys: u64,
}

impl Writer {
    fn client(&mut self) -> &'static str {
        CLIENTS[self.random.usize(..CLIENTS.len())]
    }

    fn text(&mut self) -> Arc<str> {
        let len = if self.random.u8(..) == 0 { 3000 } else { self.random.usize(..60) };
        (0..len).map(|_| self.random.alphanumeric()).chain(['ß', '\0']).collect::<String>().into()
    }

    fn commit(&mut self) -> Commit {
        let mut commit = Commit::default();
        self.now += self.random.u64(..1000);
        if self.random.u8(..20) == 0 {
            let client = self.client();
            self.rows.remove(client);
            commit.forgotten.push(client.into());
        }
        for _ in 0..self.random.usize(..30) {
            commit.lines.push(Line {
                offset: self.next,
                client: self.client().into(),
                epoch: self.random.u64(..4),
                seq: self.random.u64(..1000),
                at_ms: self.now,
                kind: if self.random.bool() { Kind::Line } else { Kind::Report },
                written_ms: self.random.bool().then(|| self.random.u64(..1 << 40)),
                text: self.text(),
            });
            self.next += 1;
        }
        for _ in 0..self.random.usize(..3) {
            let client = self.client();
            let session = SessionRow {
                state: self.random.bool().then(|| vec![self.random.u8(..); 45]),
                epoch: self.random.u64(..9),
                seq: self.random.u64(..9),
                last_row: self.rows.get(client).copied().unwrap_or(0),
                last_line: self.random.u64(..self.next),
                last_line_ms: self.now,
            };
            commit.sessions.push((client.into(), session));
        }
        for _ in 0..self.random.usize(..4) {
            let client = self.client();
            let row = self.rows.entry(client).or_default();
            *row += 1;
            let row = *row;
            let ordered = self.random.bool();
            commit.outbox.push(OutboxRow {
                client: client.into(),
                row,
                at_ms: self.now,
                text: self.text(),
                delivery: match self.random.u8(..3) {
                    0 => Delivery::BestEffort,
                    _ => Delivery::Guaranteed { ordered },
                },
            });
            if self.random.bool() {
                self.keys += 1;
                let key = format!("key {}", self.keys).into();
                let (client, at_ms, digest) = (client.into(), self.now, self.random.i64(..));
                commit.keys.push(KeyRow { client, key, row, at_ms, digest });
            }
        }
        if self.random.bool() {
            let client = self.client();
            let row = self.rows.get(client).map_or(0, |&last| self.random.u64(..=last));
            commit.done.push((client.into(), row));
        }
        if self.random.u8(..4) == 0 {
            let client = self.client();
            let row = self.rows.get(client).map_or(0, |&last| self.random.u64(..=last));
            commit.undetermined.push((client.into(), row));
        }
        if self.random.bool() {
            let client = self.client();
            let row = self.rows.get(client).map_or(0, |&last| self.random.u64(..=last));
            commit.released.push((client.into(), row));
        }
        if self.random.bool() {
            let consumer = CONSUMERS[self.random.usize(..3)].into();
            let client = if self.random.bool() { "" } else { self.client() };
            let offset = self.random.u64(..self.next);
            commit.cursors.push(Cursor { consumer, client: client.into(), offset });
        }
        if self.random.u8(..10) == 0 {
            commit.removed.push(CONSUMERS[self.random.usize(..3)].into());
        }
        for _ in 0..self.random.usize(..3) {
            let json = format!("{{\"event\":\"queue_full\",\"id\":{:?}}}", self.random.u8(..))
                .replace("\"id\":1", "\"id\":\"attic\",\"n\":1");
            // The clock may be set back.
            let at_ms = self.now.saturating_sub(self.random.u64(..3000));
            commit.events.push(EventRow {
                id: self.next_event,
                at_ms,
                json,
                class: EventClass::default(),
            });
            self.next_event += 1;
        }
        if self.random.bool() {
            commit.alive_ms = Some(self.now);
        }
        commit
    }
}

fn sorted(mut loaded: Loaded) -> Loaded {
    loaded.name = Default::default();
    loaded.keys.sort_by(|a, b| (&a.client, &a.key).cmp(&(&b.client, &b.key)));
    loaded
}

fn assert_same(disk: &mut Sqlite, memory: &mut Memory, context: &str) {
    let (a, b) = (sorted(disk.load().unwrap()), sorted(memory.load().unwrap()));
    assert_eq!(format!("{a:?}"), format!("{b:?}"), "{context}");
}

fn assert_same_pages(disk: &dyn Reader, memory: &dyn Reader, writer: &mut Writer, context: &str) {
    let random = &mut writer.random;
    for _ in 0..10 {
        let after = random.u64(..writer.next + 3);
        let (limit, scan) = (random.usize(..40), random.usize(..200));
        let client = random.bool().then(|| CLIENTS[random.usize(..CLIENTS.len())]);
        assert_eq!(
            disk.lines(after, limit, scan, client).unwrap(),
            memory.lines(after, limit, scan, client).unwrap(),
            "{context}: {limit} of {scan} after {after} of {client:?}"
        );
        let (after, limit) = (random.u64(..writer.next_event + 3), random.usize(..50));
        assert_eq!(
            disk.events(after, limit).unwrap(),
            memory.events(after, limit).unwrap(),
            "{context}: {limit} events after {after}"
        );
    }
    assert_eq!(
        disk.lines(0, usize::MAX, usize::MAX, None).unwrap(),
        memory.lines(0, usize::MAX, usize::MAX, None).unwrap(),
        "{context}"
    );
}

#[test]
fn both_engines_hold_the_same_after_the_same_commits() {
    for seed in 0..8 {
        let folder = tempfile::tempdir().unwrap();
        let mut disk = Sqlite::open(folder.path()).unwrap();
        let mut memory = Memory::new("m");
        let mut writer = Writer {
            random: Rng::with_seed(seed),
            next: 1,
            next_event: 1,
            now: 1_000_000,
            rows: BTreeMap::new(),
            keys: 0,
        };
        for step in 0..60 {
            let context = format!("seed {seed}, step {step}");
            let commit = writer.commit();
            disk.commit(&commit).unwrap();
            memory.commit(&commit).unwrap();
            match writer.random.u8(..12) {
                0 => {
                    let all = writer.random.u8(..4) == 0;
                    let retention = Retention {
                        before_ms: writer.now.saturating_sub(writer.random.u64(..20_000)),
                        max_bytes: if all { 0 } else { writer.random.u64(..100_000) },
                    };
                    let limit = if all { u64::MAX } else { writer.random.u64(..writer.next) };
                    let first = memory.retain(retention, limit).unwrap();
                    assert_eq!(disk.retain(retention, limit).unwrap(), first, "{context}");
                }
                1 => {
                    let client = writer.client();
                    disk.purge(client).unwrap();
                    memory.purge(client).unwrap();
                    writer.rows.remove(client);
                }
                2 => {
                    // As the server does after an error: nobody knows whether it was stored.
                    disk.reopen().unwrap();
                    disk.commit(&commit).unwrap();
                    memory.commit(&commit).unwrap();
                }
                3 => {
                    drop(disk);
                    disk = Sqlite::open(folder.path()).unwrap();
                    assert!(!disk.is_restored(), "{context}");
                }
                _ => {}
            }
            assert_same(&mut disk, &mut memory, &context);
            assert_same_pages(&*disk.reader(), &*memory.reader(), &mut writer, &context);
        }
        assert_eq!(disk.load().unwrap().name.generation, 1);
    }
}
