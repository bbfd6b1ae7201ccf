//! Lines, and random commits.

use std::collections::BTreeMap;
use std::sync::Arc;

use fastrand::Rng;
use pblink_serve::log::{
    Commit, Cursor, EventClass, EventRow, KeyRow, Kind, Line, OutboxRow, SessionRow,
};
use pblink_server::Delivery;

pub const CLIENTS: [&str; 5] = ["kitchen", "attic", "ünïcödé", "a\0b", "x"];
const CONSUMERS: [&str; 3] = ["print", "mqtt", "exec"];

/// Returns a line of "kitchen" with this offset.
pub fn line(offset: u64, text: impl Into<Arc<str>>) -> Line {
    Line {
        offset,
        client: "kitchen".into(),
        epoch: 1,
        seq: offset,
        at_ms: 1_000 * offset,
        kind: Kind::Line,
        written_ms: None,
        text: text.into(),
    }
}

/// Places that the writer knows: where offsets, rows and events go on.
pub struct Writer {
    pub random: Rng,
    pub next: u64,
    pub next_event: u64,
    pub now: u64,
    pub rows: BTreeMap<&'static str, u64>,
    keys: u64,
}

impl Writer {
    pub fn new(seed: u64) -> Self {
        let random = Rng::with_seed(seed);
        Self { random, next: 1, next_event: 1, now: 1_000_000, rows: BTreeMap::new(), keys: 0 }
    }

    pub fn client(&mut self) -> &'static str {
        CLIENTS[self.random.usize(..CLIENTS.len())]
    }

    fn text(&mut self) -> Arc<str> {
        let len = if self.random.u8(..) == 0 { 3000 } else { self.random.usize(..60) };
        (0..len).map(|_| self.random.alphanumeric()).chain(['ß', '\0']).collect::<String>().into()
    }

    pub fn commit(&mut self) -> Commit {
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
