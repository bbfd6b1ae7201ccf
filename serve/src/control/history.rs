//! The last events, and the live ones after them without a gap.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use pblink_server::{Event, EventKind};
use tokio::sync::broadcast;

/// A bounded history of events with any number of live readers.
///
/// The history numbers the events itself: in one program they come from several places (the
/// server, its application, simulated boards), and readers need one order.
#[derive(Debug)]
pub struct History {
    ring: Mutex<Ring>,
    live: broadcast::Sender<Live>,
}

/// Message to live readers.
#[derive(Debug, Clone)]
enum Live {
    Event(Arc<Event>),
    /// Events up to this number are lost.
    LostUpTo(u64),
}

#[derive(Debug)]
struct Ring {
    events: VecDeque<Arc<Event>>,
    /// Number of reports among them.
    reports: usize,
    capacity: usize,
    last: u64,
}

impl Ring {
    fn keep(&mut self, event: Arc<Event>) {
        if self.events.len() == self.capacity {
            // A hundred boards that report would push an outage out within minutes. So reports
            // have at most half of the room once the rest needs it.
            let oldest = match self.reports > self.capacity / 2 {
                true => self.events.iter().position(|event| is_report(event)).unwrap_or(0),
                false => 0,
            };
            let gone = self.events.remove(oldest);
            self.reports -= usize::from(gone.is_some_and(|event| is_report(&event)));
        }
        self.reports += usize::from(is_report(&event));
        self.events.push_back(event);
    }
}

fn is_report(event: &Event) -> bool {
    matches!(event.kind, EventKind::Report { .. })
}

impl Default for History {
    /// Returns a history of 1000 events.
    fn default() -> Self {
        Self::new(1000)
    }
}

impl History {
    /// Returns a history of at most `capacity` events. When it is full, at most about half of them are
    /// reports. A live reader may be as far behind before it misses some. `capacity` 0 counts as 1.
    pub fn new(capacity: usize) -> Self {
        let capacity = capacity.max(1);
        let ring = Ring { events: VecDeque::new(), reports: 0, capacity, last: 0 };
        Self { ring: Mutex::new(ring), live: broadcast::Sender::new(capacity) }
    }

    /// Adds something that happened now. Returns its number.
    pub fn record(&self, kind: EventKind) -> u64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.add(now.as_millis() as u64, kind)
    }

    /// Adds an event that has a time already. It gets the next number of this history, which
    /// need not be the one that it came with. Returns its number.
    pub fn push(&self, event: Event) -> u64 {
        self.add(event.at_ms, event.kind)
    }

    /// Reports to all readers that `count` events were lost before they came here, and leaves their numbers
    /// out.
    pub fn lose(&self, count: u64) {
        let mut ring = self.lock();
        ring.last += count;
        // Without readers this fails, and that is fine. The lock is still held: readers see the order.
        let _ = self.live.send(Live::LostUpTo(ring.last));
    }

    /// Returns the history so far, then everything that follows.
    pub fn subscribe(&self) -> EventStream {
        // Under the lock no event can fall between the copy and the subscription.
        let ring = self.lock();
        EventStream {
            past: ring.events.clone(),
            last: ring.last,
            missed: 0,
            live: self.live.subscribe(),
        }
    }

    fn add(&self, at_ms: u64, kind: EventKind) -> u64 {
        let mut ring = self.lock();
        ring.last += 1;
        let event = Arc::new(Event { seq: ring.last, at_ms, kind });
        ring.keep(event.clone());
        // Without readers this fails, and that is fine. The lock is still held: readers see the order.
        let _ = self.live.send(Live::Event(event));
        ring.last
    }

    fn lock(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Item of an [`EventStream`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// An event.
    Event(Arc<Event>),
    /// The reader was too slow, or came too late: this many events are gone.
    Lagged(u64),
}

/// Past events, then live ones.
#[derive(Debug)]
pub struct EventStream {
    past: VecDeque<Arc<Event>>,
    /// Number of the last event that was given, lost, or is in `past`.
    last: u64,
    missed: u64,
    live: broadcast::Receiver<Live>,
}

impl EventStream {
    /// Leaves out the history up to and including number `since`; 0 leaves out nothing.
    ///
    /// A number that this history has not reached yet comes from an earlier run of the server:
    /// then all of the history is new to the reader.
    pub fn after(mut self, since: u64) -> Self {
        if since == 0 || since > self.last {
            return self;
        }
        self.past.retain(|event| event.seq > since);
        self.missed = self.last - since - self.past.len() as u64;
        self
    }

    /// Waits for the next notice. `None` when the history is gone.
    pub async fn next(&mut self) -> Option<Notice> {
        if self.missed > 0 {
            return Some(Notice::Lagged(std::mem::take(&mut self.missed)));
        }
        if let Some(event) = self.past.pop_front() {
            return Some(Notice::Event(event));
        }
        loop {
            match self.live.recv().await {
                Ok(Live::Event(event)) => {
                    let lost = event.seq.saturating_sub(self.last + 1);
                    self.last = event.seq;
                    if lost == 0 {
                        return Some(Notice::Event(event));
                    }
                    self.past.push_back(event);
                    return Some(Notice::Lagged(lost));
                }
                Ok(Live::LostUpTo(last)) => {
                    let lost = last.saturating_sub(self.last);
                    self.last = last;
                    if lost > 0 {
                        return Some(Notice::Lagged(lost));
                    }
                }
                // The numbers of what follows show how many events these were.
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }
}
