//! The last events, and the live ones after them without a gap.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pblink_server::{Event, EventKind, LinkStatus};
use tokio::sync::broadcast;

use super::records::{Filter, Outage, OutageList, Records, ReportList};
use crate::log::EventClass;
use crate::times::now_ms;

/// A bounded history of events with any number of live readers, and the [`Records`] of outages and reports
/// that these events make.
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
    /// Numbers of events of each [`EventClass`].
    reports: usize,
    strangers: usize,
    others: usize,
    capacity: usize,
    last: u64,
    /// Fed under the same lock, so that they miss no event.
    records: Records,
}

impl Ring {
    fn keep(&mut self, event: Arc<Event>) {
        if self.events.len() == self.capacity {
            // Reports have half of the room, strangers a quarter.
            let full = if self.strangers > self.capacity / 4 {
                Some(EventClass::Stranger)
            } else if self.reports > self.capacity / 2 {
                Some(EventClass::Report)
            } else {
                None
            };
            let oldest = full
                .and_then(|class| self.events.iter().position(|event| self.class(event) == class));
            if let Some(gone) = self.events.remove(oldest.unwrap_or(0)) {
                *self.count(&gone) -= 1;
            }
        }
        *self.count(&event) += 1;
        self.events.push_back(event);
    }

    fn class(&self, event: &Event) -> EventClass {
        match &event.kind {
            EventKind::Refused { .. } | EventKind::Forgotten { .. } => EventClass::Stranger,
            kind if kind.id().is_some_and(|id| self.records.is_stranger(id)) => {
                EventClass::Stranger
            }
            EventKind::Report { .. } => EventClass::Report,
            _ => EventClass::Other,
        }
    }

    /// Returns the number of events of this one's class.
    fn count(&mut self, event: &Event) -> &mut usize {
        match self.class(event) {
            EventClass::Report => &mut self.reports,
            EventClass::Stranger => &mut self.strangers,
            EventClass::Other => &mut self.others,
        }
    }
}

impl Default for History {
    /// Returns a history of 1000 events.
    fn default() -> Self {
        Self::new(1000)
    }
}

impl History {
    /// Returns a history of at most `capacity` events. When it is full, at most about half of them are
    /// reports, and a quarter come from strangers. A live reader may be as far behind before it misses some.
    /// `capacity` 0 counts as 1.
    pub fn new(capacity: usize) -> Self {
        let capacity = capacity.max(1);
        let ring = Ring {
            events: VecDeque::new(),
            reports: 0,
            strangers: 0,
            others: 0,
            capacity,
            last: 0,
            records: Records::default(),
        };
        Self { ring: Mutex::new(ring), live: broadcast::Sender::new(capacity) }
    }

    /// Sets the clients that are expected. All others are strangers from then on, and have only a part of the room;
    /// if none is expected, nobody is a stranger.
    pub fn expect<I>(&self, ids: I)
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        let mut ring = self.lock();
        ring.records.expect(ids);
        // Some may have changed their class.
        let events = std::mem::take(&mut ring.events);
        (ring.reports, ring.strangers, ring.others) = (0, 0, 0);
        for event in events {
            ring.keep(event);
        }
    }

    /// Returns true if clients are expected, and this one is not among them.
    pub fn is_stranger(&self, id: &str) -> bool {
        self.lock().records.is_stranger(id)
    }

    /// Takes in an event of an earlier run, with its number. Only before the first event of this run: readers see
    /// what this run has recalled as its past.
    pub fn recall(&self, event: Event) {
        let mut ring = self.lock();
        ring.last = ring.last.max(event.seq);
        let event = Arc::new(event);
        ring.records.apply(&event);
        ring.keep(event);
    }

    /// Lets the numbers go on behind this one.
    pub fn continue_after(&self, seq: u64) {
        let mut ring = self.lock();
        ring.last = ring.last.max(seq);
    }

    /// Forgets all events, outages and reports of a client.
    pub fn forget(&self, id: &str) {
        let mut ring = self.lock();
        let events = std::mem::take(&mut ring.events);
        (ring.reports, ring.strangers, ring.others) = (0, 0, 0);
        for event in events.into_iter().filter(|event| event.kind.id() != Some(id)) {
            ring.keep(event);
        }
        ring.records.forget(id);
    }

    /// Adds something that happened now. Returns its number.
    pub fn record(&self, kind: EventKind) -> u64 {
        self.add(now_ms(), kind, |_, _| {})
    }

    /// Adds an event, and gives it to `keep` with its number and class. No two are in `keep` at a time: it must be quick.
    /// Returns the number.
    pub fn add_with(
        &self,
        at_ms: u64,
        kind: EventKind,
        keep: impl FnOnce(&Event, EventClass),
    ) -> u64 {
        self.add(at_ms, kind, keep)
    }

    /// Adds an event that has a time already. It gets the next number of this history, which
    /// need not be the one that it came with. Returns its number.
    pub fn push(&self, event: Event) -> u64 {
        self.add(event.at_ms, event.kind, |_, _| {})
    }

    /// Reports to all readers that `count` events were lost before they came here, and leaves their numbers
    /// out. The ends of open outages may be among them: [`see`](Self::see) says which ones last.
    pub fn lose(&self, count: u64) {
        let mut ring = self.lock();
        ring.last += count;
        ring.records.lose();
        // Without readers this fails, and that is fine. The lock is still held: readers see the order.
        let _ = self.live.send(Live::LostUpTo(ring.last));
    }

    /// Takes in the present state of all links, after events were lost.
    pub fn see(&self, links: &[LinkStatus]) {
        self.lock().records.see(now_ms(), links);
    }

    /// Returns outages, and the revision up to which they are complete: with it as
    /// [`after`](Filter::after) follow those that begin or change.
    pub fn outages(&self, filter: Filter) -> OutageList {
        let ring = self.lock();
        OutageList { revision: ring.records.revision(), outages: ring.records.outages(filter) }
    }

    /// Returns reports, and the revision up to which they are complete: with it as
    /// [`after`](Filter::after) follow new ones.
    pub fn reports(&self, filter: Filter) -> ReportList {
        let ring = self.lock();
        ReportList { revision: ring.records.revision(), reports: ring.records.reports(filter) }
    }

    /// Returns the outage of a link that lasts, and is known to.
    pub fn open_outage(&self, id: &str) -> Option<Outage> {
        self.lock().records.open(id).cloned()
    }

    /// Returns the number of outages of each link that had any.
    pub(crate) fn outage_counts(&self) -> HashMap<String, u64> {
        self.lock().records.counts()
    }

    /// Returns the number of the newest event.
    pub fn last(&self) -> u64 {
        self.lock().last
    }

    /// Returns the number of outages that have begun.
    pub fn outage_count(&self) -> u64 {
        self.lock().records.outage_count()
    }

    /// Returns for how many milliseconds each link was down in all, the present outage included.
    pub fn down_ms(&self, links: &[LinkStatus]) -> Vec<u64> {
        let mut ring = self.lock();
        links.iter().map(|link| ring.records.down_ms(link)).collect()
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

    fn add(&self, at_ms: u64, kind: EventKind, keep: impl FnOnce(&Event, EventClass)) -> u64 {
        let mut ring = self.lock();
        ring.last += 1;
        let event = Arc::new(Event { seq: ring.last, at_ms, kind });
        keep(&event, ring.class(&event));
        ring.records.apply(&event);
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
