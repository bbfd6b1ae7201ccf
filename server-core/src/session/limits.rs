//! The limits of a server, and its clock.

use pblink_protocol::tcp::endpoint::Timing;
use pblink_protocol::time::Instant;

use crate::world::wall_ms;

/// The limits that the builder was given.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) timing: Timing,
    pub(crate) max_line: usize,
    pub(crate) max_written: usize,
    pub(crate) queue_lines: usize,
    pub(crate) queue_bytes: usize,
    pub(crate) queue_total: usize,
    pub(crate) hold_reports: bool,
    pub(crate) commits: bool,
    pub(crate) max_clients: usize,
}

/// The protocol's time: microseconds since a server started (or the one that it was restored from).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock(pub(crate) tokio::time::Instant);

impl Clock {
    /// The instant at which a server started: 35 years, so that there is one for what a store has from before.
    const START: u64 = 1 << 50;

    pub(crate) fn now(self) -> Instant {
        Instant::from_micros(Self::START + self.0.elapsed().as_micros() as u64)
    }

    pub(crate) fn at(self, instant: Instant) -> tokio::time::Instant {
        self.0 + std::time::Duration::from_micros(instant.as_micros().saturating_sub(Self::START))
    }

    /// Returns the instant of a time of the wall clock (ms since the Unix epoch) that was before `now`.
    pub(crate) fn instant_of(self, at_ms: u64, now: Instant) -> Instant {
        let ago_ms = wall_ms().saturating_sub(at_ms);
        Instant::from_micros(now.as_micros().saturating_sub(ago_ms.saturating_mul(1000)))
    }
}
