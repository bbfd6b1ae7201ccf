//! Clocks: the time for people, which may be set at any moment, and the time that only passes.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The clocks of the log. Tests have their own.
pub trait Clock: Send + Sync + 'static {
    /// Returns the wall clock in milliseconds since the Unix epoch; 0 before it.
    fn wall_ms(&self) -> u64;

    /// Returns the time since some moment before the log was opened. Nobody sets it, and it passes while the machine
    /// sleeps, too.
    fn passed(&self) -> Duration;
}

/// The machine's clocks.
#[derive(Debug, Clone, Copy, Default)]
pub struct System;

impl Clock for System {
    fn wall_ms(&self) -> u64 {
        wall_ms()
    }

    fn passed(&self) -> Duration {
        use rustix::time::{ClockId, clock_gettime};

        // Linux's monotonic clock stands still in a machine that sleeps: its wall clock would seem to be set when
        // it wakes.
        #[cfg(target_os = "linux")]
        let clock = ClockId::Boottime;
        #[cfg(not(target_os = "linux"))]
        let clock = ClockId::Monotonic;
        let time = clock_gettime(clock);
        Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
    }
}

/// Returns the wall clock in milliseconds since the Unix epoch; 0 before it.
pub(crate) fn wall_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_millis() as u64)
}
