//! Consumers that cannot go on at all: since when, why, and when they try again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::calls::Stall;
use super::{Log, wall_ms};

/// Consumers that cannot go on, by name.
#[derive(Debug, Default)]
pub(super) struct Stalled(Mutex<BTreeMap<Arc<str>, Stall>>);

impl Stalled {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, Stall>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the reason why a consumer cannot go on, if it cannot.
    pub(super) fn of(&self, consumer: &str) -> Option<Stall> {
        self.lock().get(consumer).cloned()
    }
}

#[cfg_attr(not(feature = "mqtt"), allow(dead_code, reason = "only brokers go away"))]
impl Log {
    /// Notes that a consumer cannot go on, and tries again after this time.
    pub(crate) fn stalls(&self, consumer: &str, why: &str, pause: Duration) {
        let now = wall_ms();
        let mut all = self.shared.stalled.lock();
        let stall = all.entry(consumer.into()).or_insert_with(|| Stall {
            since_ms: now,
            why: String::new(),
            next_ms: 0,
        });
        why.clone_into(&mut stall.why);
        stall.next_ms = now + pause.as_millis() as u64;
        drop(all);
        self.shared.status.send_modify(|_| {});
    }

    /// Notes that a consumer goes on.
    pub(crate) fn goes_on(&self, consumer: &str) {
        let stall = self.shared.stalled.lock().remove(consumer);
        if stall.is_some() {
            self.shared.status.send_modify(|_| {});
        }
    }
}
