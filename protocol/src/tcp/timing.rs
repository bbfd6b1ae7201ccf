//! The times of a link.

use crate::time::Duration;

/// The times of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Timing {
    /// Silence for this long is an outage; a line is repeated when no acknowledgement came for this
    /// long; a keepalive goes out after a quarter of it. Both ends must use the same value.
    pub timeout: Duration,
    /// The time that a server holds lines back after the first sign of life: an ESP8266 that has just
    /// connected loses what comes too soon (micropython-iot: "let ESP get out of bed").
    pub write_pause: Duration,
}

impl Timing {
    /// The reference's pause.
    pub const WRITE_PAUSE: Duration = Duration::from_millis(200);

    /// Makes the times of the reference's code: 2 s (its manual says 1.5 s).
    pub const fn classic() -> Self {
        Self::new(Duration::from_millis(2000))
    }

    /// Makes the times that belong to a time-out.
    pub const fn new(timeout: Duration) -> Self {
        Self { timeout, write_pause: Self::WRITE_PAUSE }
    }

    /// Returns the time without sending after which a connection gets a keepalive.
    pub const fn keepalive(&self) -> Duration {
        self.timeout.part(4)
    }
}

impl Default for Timing {
    fn default() -> Self {
        Self::classic()
    }
}
