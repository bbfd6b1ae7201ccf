//! A limit for what many parts use together.

use std::sync::atomic::{AtomicUsize, Ordering};

/// The use of all parts together, and its limit.
#[derive(Debug)]
pub(crate) struct Budget {
    used: AtomicUsize,
    max: usize,
}

impl Budget {
    pub(crate) const fn new(max: usize) -> Self {
        Self { used: AtomicUsize::new(0), max }
    }

    /// Returns true if a part that uses `now` may use `wanted` instead. Parts that ask at the same time may go
    /// beyond the limit by what each of them wants at once.
    pub(crate) fn fits(&self, now: usize, wanted: usize) -> bool {
        let others = self.used.load(Ordering::Relaxed).saturating_sub(now);
        others + wanted <= self.max
    }

    /// Changes the use of a part from `from` to `to`.
    pub(crate) fn change(&self, from: usize, to: usize) {
        if to >= from {
            self.used.fetch_add(to - from, Ordering::Relaxed);
        } else {
            self.used.fetch_sub(from - to, Ordering::Relaxed);
        }
    }

    /// Returns the use of all.
    pub(crate) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }
}
