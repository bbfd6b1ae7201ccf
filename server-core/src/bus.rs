//! The stream of events: numbered, in order, and bounded.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use crate::event::{Event, EventKind};

/// How many events a reader may be behind before it misses the oldest.
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
        let event = Event {
            seq: inner.seq,
            at_ms: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| since.as_millis() as u64),
            kind,
        };
        if let Some(sender) = &inner.sender {
            // Nobody listening is no error.
            let _ = sender.send(event);
        }
    }

    pub(crate) fn subscribe(&self) -> Events {
        let mut inner = self.lock();
        let receiver =
            inner.first.take().or_else(|| inner.sender.as_ref().map(broadcast::Sender::subscribe));
        Events(receiver)
    }

    /// No more events will come.
    pub(crate) fn close(&self) {
        self.lock().sender = None;
    }
}

/// Events of a server, in the order in which they happened: see [`Server::events`].
///
/// [`Server::events`]: crate::Server::events
#[derive(Debug)]
pub struct Events(Option<broadcast::Receiver<Event>>);

impl Events {
    /// Waits for the next event. `None`: the server has stopped, and all events were read.
    ///
    /// A reader that is more than 1024 events behind misses the oldest; [`Event::seq`] shows the gap.
    /// Dropping the future loses nothing.
    pub async fn recv(&mut self) -> Option<Event> {
        let receiver = self.0.as_mut()?;
        loop {
            match receiver.recv().await {
                Ok(event) => return Some(event),
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => {
                    self.0 = None;
                    return None;
                }
            }
        }
    }
}
