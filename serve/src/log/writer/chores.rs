//! Chores of the writer: room on the disk, the mark that the server is alive, and deletion.

use std::sync::atomic::Ordering;
use std::time::Instant;

use super::{ALIVE, KEY_AGE_MS, RETAIN, RETRY, Writer};
use crate::log::engine::{EngineError, Retention, Room};
use crate::log::steps::ClockStep;
use crate::log::{Shared, lock};
use crate::times::Rfc3339;

impl Writer {
    /// Looks at the room on the disk, marks that the server is alive, and deletes old lines, each in its time.
    pub(super) fn chores(&mut self) -> Result<(), EngineError> {
        self.look_at_clock();
        let now = Instant::now();
        if now >= self.room_at {
            self.room_at = now + RETRY;
            self.held = match self.engine.room() {
                Room::Enough => None,
                Room::Short { free, wanted } => {
                    let (free, wanted) = (free / 1_000_000, wanted / 1_000_000);
                    let why = format!(
                        "{free} MB are free on the log's disk, and {wanted} MB have to be: lines wait at \
                         their boards until there is room"
                    );
                    if self.status.held.is_none() {
                        tracing::warn!("{why}");
                    }
                    self.status.held = Some(why);
                    Some(now + RETRY)
                }
            };
            // A store that did not answer is asked first.
            let is_asking = self.unavailable && self.pending.in_doubt;
            if self.held.is_none() && !is_asking && self.status.held.take().is_some() {
                match std::mem::take(&mut self.unavailable) {
                    true => tracing::warn!("the store of the log answers again"),
                    false => tracing::warn!("there is room on the log's disk again"),
                }
            }
            self.publish();
        }
        if now >= self.alive_at {
            self.alive_at = now + ALIVE;
            if self.engine.is_durable() {
                self.note_alive();
            }
        }
        // Lines that come quickly do not wait for the next round.
        if now >= self.retain_at || self.grown > self.keep.bytes / 8 {
            self.retain_at = now + RETAIN;
            self.grown = 0;
            self.retain()?;
        }
        Ok(())
    }

    pub(super) fn retain(&mut self) -> Result<(), EngineError> {
        if self.pending.since.is_some() {
            // A place that is not durable must not cost lines.
            self.commit()?;
            if self.pending.since.is_some() {
                return Ok(());
            }
        }
        // After the commit, which may have waited for the disk.
        self.look_at_clock();
        let now_ms = self.clock.wall_ms();
        let held = !self.watch.hold().is_zero();
        if !held {
            self.keys.retain(|_, key| key.at_ms + KEY_AGE_MS > now_ms);
        }
        let retention = Retention {
            before_ms: match held {
                true => 0,
                false => now_ms.saturating_sub(self.keep.age.as_millis() as u64),
            },
            max_bytes: self.keep.bytes,
        };
        let limit = self.consumed();
        match self.engine.retain(retention, limit) {
            Ok((first, more)) => {
                if first > self.shared.first.swap(first, Ordering::AcqRel) && first < self.next {
                    // The ring may hold lines that are gone; nobody must see them come back.
                    lock(&self.shared.ring).clear();
                }
                if more {
                    self.retain_at = Instant::now();
                }
                Ok(())
            }
            // Deleting needs room, too; it is tried again.
            Err(EngineError::Full | EngineError::Unavailable { .. }) => Ok(()),
            Err(error @ (EngineError::Replaced { .. } | EngineError::CutOff { .. })) => Err(error),
            Err(error) => {
                tracing::warn!("old lines were not deleted: {error}");
                match self.engine.reopen() {
                    Err(EngineError::Full) => Ok(()),
                    other => other,
                }
            }
        }
    }

    /// Puts the mark that the server is alive into the commit, and for how long nothing is to be deleted for its age: the
    /// next server goes on from both.
    pub(super) fn note_alive(&mut self) {
        self.look_at_clock();
        self.pending.commit.alive_ms = Some(self.clock.wall_ms());
        self.note_hold();
        self.pending.since.get_or_insert_with(Instant::now);
    }

    /// Compares both clocks. After a step nothing is deleted for its age for an hour, and a restart does not
    /// change that.
    fn look_at_clock(&mut self) {
        let (passed, wall_ms) = (self.clock.passed(), self.clock.wall_ms());
        if let Some(step) = self.watch.look(passed, wall_ms) {
            announce(&self.shared, step);
            self.note_hold();
            // The mark of before would look like a step at the next start.
            self.alive_at = Instant::now();
        }
    }

    /// Puts into the commit for how long nothing is to be deleted for its age.
    fn note_hold(&mut self) {
        let hold = self.watch.hold();
        if hold.is_zero() && !self.hold_noted {
            return;
        }
        self.hold_noted = !hold.is_zero();
        self.pending.commit.hold_ms = Some(hold.as_millis() as u64);
        self.pending.since.get_or_insert_with(Instant::now);
    }
}

/// Lets all know that the wall clock was set.
pub(super) fn announce(shared: &Shared, step: ClockStep) {
    let ClockStep { from_ms, to_ms } = step;
    tracing::warn!(
        "the wall clock was set by {} s (from {} to {}): nothing is deleted for its age within the next hour",
        (to_ms as i64 - from_ms as i64) / 1000,
        Rfc3339(from_ms),
        Rfc3339(to_ms)
    );
    shared.steps.push(step);
}
