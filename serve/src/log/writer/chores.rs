//! Chores of the writer: room on the disk, the mark that the server is alive, and deletion.

use std::sync::atomic::Ordering;
use std::time::Instant;

use super::{ALIVE, KEY_AGE_MS, RETAIN, RETRY, Writer};
use crate::log::engine::{EngineError, Retention, Room};
use crate::log::{lock, wall_ms};

impl Writer {
    /// Looks at the room on the disk, marks that the server is alive, and deletes old lines, each in its time.
    pub(super) fn chores(&mut self) -> Result<(), EngineError> {
        let now = Instant::now();
        if now >= self.room_at {
            self.room_at = now + RETRY;
            self.held = match self.engine.room() {
                Room::Enough => None,
                Room::Short { free, wanted } => {
                    let (free, wanted) = (free / 1_000_000, wanted / 1_000_000);
                    self.status.held = Some(format!(
                        "{free} MB are free on the log's disk, and {wanted} MB have to be: lines wait at \
                         their boards until there is room"
                    ));
                    Some(now + RETRY)
                }
            };
            if self.held.is_none() {
                self.status.held = None;
            }
            self.publish();
        }
        if now >= self.alive_at {
            self.alive_at = now + ALIVE;
            if self.engine.is_durable() {
                self.pending.commit.alive_ms = Some(wall_ms());
                self.pending.since.get_or_insert(now);
            }
        }
        // What comes quickly does not wait for the next round.
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
        let now_ms = wall_ms();
        self.keys.retain(|_, key| key.at_ms + KEY_AGE_MS > now_ms);
        let retention = Retention {
            before_ms: now_ms.saturating_sub(self.keep.age.as_millis() as u64),
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
            Err(EngineError::Full) => Ok(()),
            Err(error) => {
                tracing::warn!("old lines were not deleted: {error}");
                self.engine.reopen()
            }
        }
    }
}
