//! Refusals as events: the first for each reason and source at once, then a count each ten seconds.
//!
//! Whoever knocks a thousand times makes a handful of events, so that nobody's history is pushed out of
//! a log by strangers. Totals count every one.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, MutexGuard, PoisonError};

use pblink_protocol::time::{Duration, Instant, earliest};
use tokio::sync::Notify;

use crate::event::{EventKind, Refusal};
use crate::sources::source;

/// Time between two events for the same reason and source.
const EVERY: Duration = Duration::from_secs(10);

/// Sources with a count of their own. Those that come while it is full share one for each reason.
const MAX_SOURCES: usize = 256;

/// The address that a count without a source shows.
const SEVERAL: &str = "several addresses";

/// The refusals of a server.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    table: Mutex<Table>,
    /// There is something to wait for.
    changed: Notify,
}

impl Refusals {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a refused connection. Returns the event to publish, if it has one of its own.
    pub(crate) fn on_refusal(
        &self,
        now: Instant,
        reason: Refusal,
        peer: SocketAddr,
        id: Option<String>,
    ) -> Option<EventKind> {
        let event = self.table().on_refusal(now, reason, peer, id);
        if event.is_some() {
            self.changed.notify_one();
        }
        event
    }

    /// Counts whose time has come, as events.
    pub(crate) fn due(&self, now: Instant) -> Vec<EventKind> {
        self.table().due(now)
    }

    /// Returns all counts as events, since the server stops.
    pub(crate) fn rest(&self) -> Vec<EventKind> {
        let recent = std::mem::take(&mut self.table().recent).into_iter();
        recent.filter_map(|((source, reason), r)| r.event(source, reason)).collect()
    }

    /// Returns when [`due`](Self::due) has something to look at.
    pub(crate) fn poll_at(&self) -> Option<Instant> {
        self.table().recent.values().map(|recent| Some(recent.until)).fold(None, earliest)
    }

    /// Waits until [`poll_at`](Self::poll_at) may have changed.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Returns the number of connections that were refused for this reason.
    pub(crate) fn total(&self, reason: Refusal) -> u64 {
        self.table().totals.get(&reason).copied().unwrap_or(0)
    }
}

#[derive(Debug, Default)]
struct Table {
    recent: BTreeMap<(Option<IpAddr>, Refusal), Recent>,
    totals: BTreeMap<Refusal, u64>,
}

/// Refusals since the last event for a reason and a source.
#[derive(Debug)]
struct Recent {
    /// The next event is not before.
    until: Instant,
    times: u64,
    /// The id that the last one gave.
    id: Option<String>,
}

impl Recent {
    /// Returns an event for those that had none of their own.
    fn event(self, source: Option<IpAddr>, reason: Refusal) -> Option<EventKind> {
        let peer = source.map_or_else(|| SEVERAL.to_owned(), |source| source.to_string());
        (self.times > 0).then_some(EventKind::Refused {
            id: self.id,
            peer,
            reason,
            times: self.times,
        })
    }
}

impl Table {
    fn on_refusal(
        &mut self,
        now: Instant,
        reason: Refusal,
        peer: SocketAddr,
        id: Option<String>,
    ) -> Option<EventKind> {
        *self.totals.entry(reason).or_default() += 1;
        let own = (Some(source(peer.ip())), reason);
        let key = match self.recent.len() >= MAX_SOURCES && !self.recent.contains_key(&own) {
            true => (None, reason),
            false => own,
        };
        if let Some(recent) = self.recent.get_mut(&key) {
            recent.times += 1;
            recent.id = id;
            return None;
        }
        self.recent.insert(key, Recent { until: now + EVERY, times: 0, id: None });
        Some(EventKind::Refused { id, peer: peer.to_string(), reason, times: 1 })
    }

    fn due(&mut self, now: Instant) -> Vec<EventKind> {
        let mut events = Vec::new();
        self.recent.retain(|(source, reason), recent| {
            if now < recent.until {
                return true;
            }
            let next = Recent { until: now + EVERY, times: 0, id: None };
            let event = std::mem::replace(recent, next).event(*source, *reason);
            let go_on = event.is_some();
            events.extend(event);
            // Ten quiet seconds: the next one counts as the first.
            go_on
        });
        events
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(n: u32) -> SocketAddr {
        (std::net::Ipv4Addr::from(0x0a00_0000 + n), 4000).into()
    }

    fn refused(event: Option<EventKind>) -> Option<(Option<String>, String, Refusal, u64)> {
        match event? {
            EventKind::Refused { id, peer, reason, times } => Some((id, peer, reason, times)),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_first_at_once_then_a_count_each_ten_seconds() {
        let refusals = Refusals::default();
        let at = Instant::from_millis;
        let id = |id: &str| Some(id.to_owned());
        let knock = |now, reason, n, id| refused(refusals.on_refusal(now, reason, peer(n), id));
        let reason = Refusal::UnknownId;
        let first = knock(at(0), reason, 1, id("a"));
        assert_eq!(first, Some((id("a"), "10.0.0.1:4000".into(), reason, 1)));
        for n in 1..1000 {
            assert_eq!(knock(at(n), reason, 1, id("b")), None);
        }
        // Another reason and another source count for themselves.
        assert!(knock(at(5), Refusal::BadHello, 1, None).is_some());
        assert!(knock(at(6), reason, 2, None).is_some());
        assert_eq!(refusals.poll_at(), Some(at(10_000)));
        assert_eq!(refusals.due(at(9_999)), []);
        let counted = refusals.due(at(10_000)).pop();
        assert_eq!(refused(counted), Some((id("b"), "10.0.0.1".into(), reason, 999)));
        assert_eq!(knock(at(10_001), reason, 1, None), None, "the next ten seconds");
        let counted = refusals.due(at(20_000)).pop();
        assert_eq!(refused(counted), Some((None, "10.0.0.1".into(), reason, 1)));
        assert_eq!(refusals.due(at(40_000)), []);
        assert_eq!(refusals.poll_at(), None);
        assert!(knock(at(40_001), reason, 1, None).is_some(), "a first one again");
        assert_eq!(refusals.total(reason), 1003);
        assert_eq!((refusals.total(Refusal::BadHello), refusals.total(Refusal::Duplicate)), (1, 0));
    }

    #[test]
    fn many_sources_share_a_count_and_nothing_grows() {
        let refusals = Refusals::default();
        let mut events = 0;
        for n in 0..100_000 {
            let event = refusals.on_refusal(Instant::ZERO, Refusal::BadHello, peer(n), None);
            events += u64::from(event.is_some());
        }
        assert_eq!(events, MAX_SOURCES as u64 + 1);
        assert_eq!(refusals.table().recent.len(), MAX_SOURCES + 1);
        let counted = refusals.rest().pop();
        let expected = (None, SEVERAL.to_owned(), Refusal::BadHello, 100_000 - events);
        assert_eq!(refused(counted), Some(expected));
    }
}
