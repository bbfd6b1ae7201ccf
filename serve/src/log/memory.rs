//! The log in memory: for `demo`, tests and `--state off`.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::engine::{Engine, EngineError, Reader, Retention};
use super::model::{
    Commit, Cursor, EventClass, EventRow, KeyRow, Line, Loaded, LogName, OutboxRow, SessionRow,
};

/// Events of each class that are kept.
const fn most(class: EventClass) -> usize {
    match class {
        EventClass::Other | EventClass::Report => 10_000,
        EventClass::Stranger => 2_500,
    }
}

/// A log that ends with the process. Clones share their contents, so that one can be opened again.
#[derive(Debug, Clone)]
pub struct Memory(Arc<Mutex<Contents>>);

#[derive(Debug)]
struct Contents {
    name: LogName,
    lines: VecDeque<Line>,
    bytes: u64,
    next: u64,
    sessions: BTreeMap<Arc<str>, SessionRow>,
    outbox: BTreeMap<(Arc<str>, u64), OutboxRow>,
    undetermined: BTreeMap<(Arc<str>, u64), OutboxRow>,
    keys: Vec<KeyRow>,
    cursors: BTreeMap<(Arc<str>, Arc<str>), u64>,
    events: VecDeque<EventRow>,
    next_event: u64,
    alive_ms: u64,
    hold_ms: u64,
}

impl Memory {
    /// Returns an empty log with this id.
    pub fn new(id: impl Into<String>) -> Self {
        Self(Arc::new(Mutex::new(Contents {
            name: LogName { id: id.into(), generation: 1 },
            lines: VecDeque::new(),
            bytes: 0,
            next: 1,
            sessions: BTreeMap::new(),
            outbox: BTreeMap::new(),
            undetermined: BTreeMap::new(),
            keys: Vec::new(),
            cursors: BTreeMap::new(),
            events: VecDeque::new(),
            next_event: 1,
            alive_ms: 0,
            hold_ms: 0,
        })))
    }

    fn lock(&self) -> MutexGuard<'_, Contents> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Contents {
    fn first(&self) -> u64 {
        self.lines.front().map_or(self.next, |line| line.offset)
    }

    /// Takes the lines to a client up to and including this row out of those that wait.
    fn take_up_to(
        &mut self,
        client: &Arc<str>,
        up_to: u64,
    ) -> BTreeMap<(Arc<str>, u64), OutboxRow> {
        let mut all = std::mem::take(&mut self.outbox);
        let mut taken = all.split_off(&(Arc::clone(client), 0));
        let mut rest = taken.split_off(&(Arc::clone(client), up_to.saturating_add(1)));
        self.outbox = all;
        self.outbox.append(&mut rest);
        taken
    }

    fn remove_client(&mut self, client: &str) {
        self.sessions.remove(client);
        self.outbox.retain(|(id, _), _| **id != *client);
        self.keys.retain(|key| *key.client != *client);
    }
}

impl Engine for Memory {
    fn load(&mut self) -> Result<Loaded, EngineError> {
        let contents = self.lock();
        Ok(Loaded {
            name: contents.name.clone(),
            first: contents.first(),
            next: contents.next,
            next_event: contents.next_event,
            sessions: contents.sessions.clone().into_iter().collect(),
            outbox: contents.outbox.values().cloned().collect(),
            undetermined: contents.undetermined.values().cloned().collect(),
            keys: contents.keys.clone(),
            cursors: (contents.cursors.iter())
                .map(|((consumer, client), &offset)| Cursor {
                    consumer: Arc::clone(consumer),
                    client: Arc::clone(client),
                    offset,
                })
                .collect(),
            alive_ms: contents.alive_ms,
            hold_ms: contents.hold_ms,
        })
    }

    fn commit(&mut self, commit: &Commit) -> Result<(), EngineError> {
        let contents = &mut *self.lock();
        for client in &commit.forgotten {
            contents.remove_client(client);
        }
        let next = contents.next;
        for line in commit.lines.iter().filter(|line| line.offset >= next) {
            contents.bytes += line.weight();
            contents.next = line.offset + 1;
            contents.lines.push_back(line.clone());
        }
        contents.sessions.extend(commit.sessions.iter().cloned());
        for key in &commit.released {
            contents.undetermined.remove(key);
        }
        for (client, up_to) in &commit.undetermined {
            let rows = contents.take_up_to(client, *up_to);
            contents.undetermined.extend(rows);
        }
        for row in &commit.outbox {
            contents.outbox.insert((Arc::clone(&row.client), row.row), row.clone());
        }
        for (client, up_to) in &commit.done {
            contents.take_up_to(client, *up_to);
        }
        for key in &commit.keys {
            contents.keys.retain(|known| (&known.client, &known.key) != (&key.client, &key.key));
            contents.keys.push(key.clone());
        }
        for name in &commit.removed {
            contents.cursors.retain(|(consumer, _), _| consumer != name);
        }
        for Cursor { consumer, client, offset } in &commit.cursors {
            contents.cursors.insert((Arc::clone(consumer), Arc::clone(client)), *offset);
        }
        contents.alive_ms = commit.alive_ms.unwrap_or(contents.alive_ms);
        contents.hold_ms = commit.hold_ms.unwrap_or(contents.hold_ms);
        let next_event = contents.next_event;
        for event in commit.events.iter().filter(|event| event.id >= next_event) {
            let of_class = |known: &EventRow| known.class == event.class;
            // Nothing is counted as long as there is room for all.
            if contents.events.len() >= most(event.class)
                && contents.events.iter().filter(|known| of_class(known)).count()
                    >= most(event.class)
                && let Some(oldest) = contents.events.iter().position(of_class)
            {
                contents.events.remove(oldest);
            }
            contents.next_event = event.id + 1;
            contents.events.push_back(event.clone());
        }
        Ok(())
    }

    fn reopen(&mut self) -> Result<(), EngineError> {
        Ok(())
    }

    fn retain(&mut self, retention: Retention, limit: u64) -> Result<(u64, bool), EngineError> {
        let contents = &mut *self.lock();
        while contents.lines.len() > 1
            && let Some(line) = contents.lines.front()
            && line.offset <= limit
            && (line.at_ms < retention.before_ms || contents.bytes > retention.max_bytes)
        {
            contents.bytes -= line.weight();
            contents.lines.pop_front();
        }
        contents.keys.retain(|key| key.at_ms >= retention.before_ms);
        contents.events.retain(|event| event.at_ms >= retention.before_ms);
        Ok((contents.first(), false))
    }

    fn purge(&mut self, client: &str) -> Result<(), EngineError> {
        let contents = &mut *self.lock();
        contents.remove_client(client);
        contents.undetermined.retain(|(id, _), _| **id != *client);
        contents.cursors.retain(|(_, id), _| **id != *client);
        contents.events.retain(|event| !event.is_of(client));
        let mut bytes = 0;
        contents.lines.retain(|line| {
            let stays = *line.client != *client;
            bytes += if stays { line.weight() } else { 0 };
            stays
        });
        contents.bytes = bytes;
        Ok(())
    }

    fn is_durable(&self) -> bool {
        false
    }

    fn backup(&mut self, _: &Path) -> Result<(), EngineError> {
        Err(EngineError::NotKept("back up"))
    }

    fn reader(&self) -> Arc<dyn Reader> {
        Arc::new(self.clone())
    }
}

impl Reader for Memory {
    fn lines(
        &self,
        after: u64,
        limit: usize,
        scan: usize,
        client: Option<&str>,
    ) -> Result<(Vec<Line>, u64), EngineError> {
        let contents = self.lock();
        // Purged lines leave gaps, so offsets are searched for.
        let from = contents.lines.partition_point(|line| line.offset <= after);
        let (mut found, mut seen) = (Vec::new(), after);
        for line in contents.lines.iter().skip(from).take(scan) {
            if found.len() == limit {
                break;
            }
            seen = line.offset;
            if client.is_none_or(|client| *line.client == *client) {
                found.push(line.clone());
            }
        }
        Ok((found, seen))
    }

    fn events(&self, after: u64, limit: usize) -> Result<Vec<EventRow>, EngineError> {
        let contents = self.lock();
        let events = contents.events.iter().filter(|event| event.id > after);
        Ok(events.take(limit).cloned().collect())
    }
}
