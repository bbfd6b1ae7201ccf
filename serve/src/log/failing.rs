//! Lines on which consumers fail again and again: who waits for them, since when, and how to pass over one.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::calls::FailingLine;
use super::{Log, wall_ms};

/// Lines of one consumer that are named.
const SHOWN: usize = 100;

/// Faults by consumer and client.
type Faults = BTreeMap<(Arc<str>, Arc<str>), Fault>;

/// The lines on which consumers fail, by consumer and client: one for each.
#[derive(Debug, Default)]
pub(super) struct Failing(Mutex<Faults>);

#[derive(Debug)]
struct Fault {
    offset: u64,
    since_ms: u64,
    why: String,
    /// Someone wants the line to be passed over.
    skip: bool,
    changed: Arc<Notify>,
}

/// A line that a consumer passes over because someone asked for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// The client's id.
    pub client: Arc<str>,
    /// The line's offset.
    pub offset: u64,
}

/// Why no line is passed over.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SkipError {
    /// No consumer has this name.
    #[error("there is no consumer \"{}\"", .0.escape_debug())]
    Unknown(String),
    /// It fails on no line, or on none of this client.
    #[error("consumer \"{}\" fails on no line{}", .consumer.escape_debug(), of(.client.as_deref()))]
    Works {
        /// The consumer's name.
        consumer: String,
        /// The client that was named.
        client: Option<String>,
    },
    /// It fails on lines of several clients.
    #[error("consumer \"{}\" fails on lines of {} clients: name one of {}", .consumer.escape_debug(),
        .clients.len(), list(.clients))]
    Several {
        /// The consumer's name.
        consumer: String,
        /// The clients' ids.
        clients: Vec<String>,
    },
}

fn of(client: Option<&str>) -> String {
    client.map_or_else(String::new, |id| format!(" of \"{}\"", id.escape_debug()))
}

fn list(clients: &[String]) -> String {
    let some: Vec<_> =
        (clients.iter().take(10)).map(|id| format!("\"{}\"", id.escape_debug())).collect();
    some.join(", ")
}

impl Failing {
    fn lock(&self) -> MutexGuard<'_, Faults> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the lines on which a consumer fails, the first ones, and the number of all.
    pub(super) fn of(&self, consumer: &str) -> (Vec<FailingLine>, u64) {
        let faults = self.lock();
        let faults = faults.iter().filter(|((name, _), _)| **name == *consumer);
        let line = |((_, client), fault): (&(_, Arc<str>), &Fault)| FailingLine {
            client: Arc::clone(client),
            offset: fault.offset,
            since_ms: fault.since_ms,
            why: fault.why.clone(),
        };
        (faults.clone().take(SHOWN).map(line).collect(), faults.count() as u64)
    }
}

impl Log {
    /// Passes over the line on which a consumer fails: it is done then, for this consumer. `client`: the one that
    /// has sent the line; it may be left out if there is only one such line. Returns the line; the consumer goes on
    /// at once.
    ///
    /// # Errors
    /// If the consumer fails on no such line, or on several.
    pub fn skip(&self, consumer: &str, client: Option<&str>) -> Result<Skipped, SkipError> {
        let known = self.status().consumers.iter().any(|known| *known.name == *consumer);
        let mut faults = self.shared.failing.lock();
        let mut found: Vec<_> = (faults.iter_mut())
            .filter(|((name, id), _)| {
                **name == *consumer && client.is_none_or(|client| **id == *client)
            })
            .collect();
        match &mut found[..] {
            [] if !known => Err(SkipError::Unknown(consumer.to_owned())),
            [] => Err(SkipError::Works {
                consumer: consumer.to_owned(),
                client: client.map(str::to_owned),
            }),
            [((_, client), fault)] => {
                fault.skip = true;
                fault.changed.notify_one();
                Ok(Skipped { client: Arc::clone(client), offset: fault.offset })
            }
            several => Err(SkipError::Several {
                consumer: consumer.to_owned(),
                clients: several.iter().map(|((_, client), _)| client.to_string()).collect(),
            }),
        }
    }

    /// Notes that a consumer fails on a line of a client. Returns what is notified when the line is to be passed
    /// over.
    pub(crate) fn fails(
        &self,
        consumer: &Arc<str>,
        client: &Arc<str>,
        offset: u64,
        why: String,
    ) -> Arc<Notify> {
        let mut faults = self.shared.failing.lock();
        let key = (Arc::clone(consumer), Arc::clone(client));
        let fault = faults.entry(key).or_insert_with(|| Fault {
            offset,
            since_ms: wall_ms(),
            why: String::new(),
            skip: false,
            changed: Arc::default(),
        });
        if fault.offset != offset {
            (fault.offset, fault.since_ms, fault.skip) = (offset, wall_ms(), false);
        }
        fault.why = why;
        let changed = Arc::clone(&fault.changed);
        drop(faults);
        self.shared.status.send_modify(|_| {});
        changed
    }

    /// Notes that a consumer does not fail on a line of this client any more.
    pub(crate) fn works(&self, consumer: &Arc<str>, client: &Arc<str>) {
        let fault = self.shared.failing.lock().remove(&(Arc::clone(consumer), Arc::clone(client)));
        if fault.is_some() {
            self.shared.status.send_modify(|_| {});
        }
    }

    /// Returns true, once, if a line is to be passed over.
    pub(crate) fn take_skip(&self, consumer: &Arc<str>, client: &Arc<str>, offset: u64) -> bool {
        let mut faults = self.shared.failing.lock();
        let key = (Arc::clone(consumer), Arc::clone(client));
        let asked = faults.get(&key).is_some_and(|fault| fault.skip && fault.offset == offset);
        if asked {
            faults.remove(&key);
            drop(faults);
            self.shared.status.send_modify(|_| {});
        }
        asked
    }
}
