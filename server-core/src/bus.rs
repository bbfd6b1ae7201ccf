//! The stream of events: numbered, in order, and bounded.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use crate::event::{Event, EventKind};
use crate::world::wall_ms;

/// Events that a reader may be behind before it misses the oldest.
const CAPACITY: usize = 1024;

/// Numbers events and hands them to whoever listens.
#[derive(Debug)]
pub(crate) struct Bus(Mutex<Inner>);

#[derive(Debug)]
struct Inner {
    seq: u64,
    /// Gone once the server has stopped, so that readers see an end.
    sender: Option<broadcast::Sender<Event>>,
    /// Listens from the start on behalf of whoever asks first.
    first: Option<broadcast::Receiver<Event>>,
}

impl Bus {
    pub(crate) fn new() -> Self {
        let (sender, first) = broadcast::channel(CAPACITY);
        Self(Mutex::new(Inner { seq: 0, sender: Some(sender), first: Some(first) }))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn publish(&self, kind: EventKind) {
        tracing::debug!(?kind, "event");
        let mut inner = self.lock();
        inner.seq += 1;
        let event = Event { seq: inner.seq, at_ms: wall_ms(), kind };
        if let Some(sender) = &inner.sender {
            // A bus without readers is not an error.
            let _ = sender.send(event);
        }
    }

    pub(crate) fn subscribe(&self) -> Events {
        let mut inner = self.lock();
        let receiver =
            inner.first.take().or_else(|| inner.sender.as_ref().map(broadcast::Sender::subscribe));
        Events(receiver)
    }

    /// Closes the bus: no more events will come.
    pub(crate) fn close(&self) {
        self.lock().sender = None;
    }
}

/// A server's next event, or the number of those that its reader has missed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// Something happened.
    Event(Event),
    /// The reader was too slow: this many events are lost, between the one before and the one behind.
    Lost(u64),
}

/// Events of a server, in the order in which they happened: see [`Server::events`].
///
/// For eyes and logs. Work must not be started from them, since a slow reader loses some: clients are
/// handed out by [`Server::next_client`], which cannot miss one.
///
/// [`Server::events`]: crate::Server::events
/// [`Server::next_client`]: crate::Server::next_client
#[derive(Debug)]
pub struct Events(Option<broadcast::Receiver<Event>>);

impl Events {
    /// Waits for the next event. `None`: the server has stopped, and all events were read.
    ///
    /// A reader that is more than 1024 events behind misses the oldest, and learns how many:
    /// [`Notice::Lost`]. Dropping the future loses nothing.
    pub async fn recv(&mut self) -> Option<Notice> {
        match self.0.as_mut()?.recv().await {
            Ok(event) => Some(Notice::Event(event)),
            Err(RecvError::Lagged(lost)) => Some(Notice::Lost(lost)),
            Err(RecvError::Closed) => {
                self.0 = None;
                None
            }
        }
    }
}
