//! From a counter of 32 bits to the machines' clock.

use pblink_protocol::time::Instant;

/// Extends a microsecond counter that wraps every 71 minutes. It must be looked at more often than
/// that; the keepalives of the link see to it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Clock {
    last: u32,
    wraps: u32,
}

impl Clock {
    /// Makes a clock whose zero point is that of the counter.
    pub const fn new() -> Self {
        Self { last: 0, wraps: 0 }
    }

    /// Returns the time when the counter shows `micros`.
    pub fn now(&mut self, micros: u32) -> Instant {
        if micros < self.last {
            self.wraps = self.wraps.wrapping_add(1);
        }
        self.last = micros;
        Instant::from_micros(u64::from(self.wraps) << 32 | u64::from(micros))
    }
}
