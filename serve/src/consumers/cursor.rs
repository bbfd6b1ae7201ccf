//! The place of a consumer that takes the lines of all clients in one order.

use std::sync::Arc;

use tokio::sync::watch;

use crate::log::{Log, Progress};

/// Learns which lines are done, and notes in the log how far that goes without a gap. Clones are the same.
#[derive(Debug, Clone)]
pub struct Cursor(Arc<watch::Sender<Place>>);

#[derive(Debug, Default, Clone, Copy)]
struct Place {
    /// The last line that is done.
    done: u64,
    /// The last line that is to be done.
    handed: u64,
    /// The last line or report that was looked at.
    seen: u64,
}

impl Place {
    /// Returns the offset up to which nothing is left to do.
    fn reached(self) -> u64 {
        if self.done >= self.handed { self.done.max(self.seen) } else { self.done }
    }
}

impl Cursor {
    /// Notes in the log what is done, until the last copy is gone.
    pub(super) fn follow(log: &Log, name: &str, offset: u64) -> Self {
        let sender = watch::Sender::new(Place { done: offset, handed: offset, seen: offset });
        let mut places = sender.subscribe();
        let (log, consumer) = (log.clone(), Arc::<str>::from(name));
        tokio::spawn(async move {
            while places.changed().await.is_ok() {
                let offset = places.borrow_and_update().reached();
                let consumer = Arc::clone(&consumer);
                let (clients, outgoing) = (Vec::new(), Vec::new());
                let step = Progress { consumer, offset, clients, outgoing };
                if log.progress(step).await.is_err() {
                    return;
                }
            }
        });
        Self(Arc::new(sender))
    }

    /// Notes that all lines up to this one are done.
    pub(super) fn note(&self, offset: u64) {
        self.0.send_modify(|place| place.done = place.done.max(offset));
    }

    /// Returns the offset up to which nothing is left to do.
    #[cfg(feature = "mqtt")]
    pub(super) fn reached(&self) -> u64 {
        self.0.borrow().reached()
    }

    /// Notes that this line is to be done, and none behind it yet.
    pub(super) fn hand(&self, offset: u64) {
        self.0.send_modify(|place| (place.handed, place.seen) = (offset, offset));
    }

    /// Notes that this one is nothing for the consumer.
    pub(super) fn skip(&self, offset: u64) {
        self.0.send_modify(|place| place.seen = offset);
    }
}
