//! Consumers and their places, as the writer keeps them.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use tokio::sync::oneshot;

use super::Writer;
use super::pending::Reply;
use super::places::Places;
use crate::log::model::Cursor;
use crate::log::{ConsumerError, From, Place, Role};

/// A consumer, as of the next commit.
#[derive(Debug, Default)]
pub(super) struct Consumer {
    pub(super) required: bool,
    pub(super) running: bool,
    pub(super) places: Places,
}

impl Consumer {
    /// Returns true if it has all lines of this client up to this offset.
    pub(super) fn has(&self, client: &str, offset: u64) -> bool {
        self.places.of(client) >= offset
    }
}

impl Writer {
    /// Returns the offset up to which each required consumer has all lines.
    pub(super) fn consumed(&self) -> u64 {
        let required = self.consumers.values().filter(|consumer| consumer.required);
        required.map(|consumer| consumer.places.whole()).min().unwrap_or(self.next - 1)
    }

    /// Takes a consumer in, and returns its place.
    pub(super) fn register(&mut self, name: Arc<str>, role: Role, from: From) -> Place {
        let head = self.next - 1;
        let first = self.shared.first.load(Ordering::Acquire);
        let new = !self.consumers.contains_key(&name);
        let consumer = self.consumers.entry(Arc::clone(&name)).or_default();
        (consumer.required, consumer.running) = match role {
            Role::Here { required } => (required, true),
            Role::Elsewhere => (false, false),
        };
        if new {
            consumer.places.advance(match from {
                From::Now => head,
                From::Oldest => first - 1,
            });
            self.pending.moved.entry(name).or_default();
            self.pending.since.get_or_insert_with(Instant::now);
        }
        // One that is not required may have fallen behind what is kept.
        consumer.places.advance(first - 1);
        let clients = consumer.places.clients().map(|(id, offset)| (Arc::clone(id), offset));
        Place { offset: consumer.places.whole(), clients: clients.collect() }
    }

    /// Puts into the commit that a consumer goes.
    pub(super) fn unregister(
        &mut self,
        name: Arc<str>,
        to: oneshot::Sender<Result<(), ConsumerError>>,
    ) {
        if self.consumers.remove(&name).is_none() {
            return drop(to.send(Err(ConsumerError::Unknown(name.to_string()))));
        }
        self.drop_cursors(name);
        self.accept_consumed();
        self.settle_soon(to);
    }

    /// Puts into the commit that a consumer has another name.
    pub(super) fn rename(
        &mut self,
        name: Arc<str>,
        new: Arc<str>,
        to: oneshot::Sender<Result<(), ConsumerError>>,
    ) {
        let refusal = match (self.consumers.get(&name), self.consumers.get(&new)) {
            (None, _) => Some(ConsumerError::Unknown(name.to_string())),
            (Some(old), _) if old.running => Some(ConsumerError::Running(name.to_string())),
            (Some(_), _) if name == new => None,
            (Some(_), Some(other)) => {
                Some(ConsumerError::Taken { name: new.to_string(), offset: other.places.whole() })
            }
            (Some(_), None) => None,
        };
        if let Some(refusal) = refusal {
            return drop(to.send(Err(refusal)));
        }
        if let Some(consumer) = self.consumers.remove(&name) {
            self.drop_cursors(name);
            let clients = consumer.places.clients().map(|(id, _)| Arc::clone(id)).collect();
            self.pending.moved.insert(Arc::clone(&new), clients);
            self.consumers.insert(new, consumer);
        }
        self.settle_soon(to);
    }

    fn drop_cursors(&mut self, name: Arc<str>) {
        self.pending.moved.remove(&name);
        self.pending.commit.removed.push(name);
    }

    /// Answers when the next commit is durable, which is soon.
    fn settle_soon(&mut self, to: oneshot::Sender<Result<(), ConsumerError>>) {
        self.pending.replies.push(Reply::Consumer(to));
        self.pending.since.get_or_insert_with(Instant::now);
        self.pending.urgent = true;
        self.publish();
    }

    /// Puts the places that have moved into the commit, as they are now. A place of a client that the whole has passed
    /// may stay in the store: it says nothing any more.
    pub(super) fn note_places(&mut self) {
        let mut cursors = Vec::new();
        for (name, clients) in &self.pending.moved {
            let Some(Consumer { places, .. }) = self.consumers.get(name) else { continue };
            let whole = places.whole();
            let ahead = clients.iter().map(|id| (Arc::clone(id), places.of(id)));
            let ahead = ahead.filter(|(_, place)| *place > whole);
            cursors.extend(
                std::iter::once(("".into(), whole)).chain(ahead).map(|(client, offset)| Cursor {
                    consumer: Arc::clone(name),
                    client,
                    offset,
                }),
            );
        }
        self.pending.commit.cursors = cursors;
    }
}
