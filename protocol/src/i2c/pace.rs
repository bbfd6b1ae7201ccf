//! The initiator's times, and the pause between two exchanges.

use crate::time::{Duration, Instant};

/// The initiator's times that are not fixed by the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct InitiatorTiming {
    /// The time for which the reset wire is active, at least. 200 ms.
    pub reset_pulse: Duration,
    /// The time from one look at `ack` to the next while the ESP8266 boots. 100 ms.
    pub boot_poll: Duration,
    /// Reset again if the ESP8266 has not shown itself for this long. 10 s (MicroPython takes 3 s).
    /// Twice as long after each reset that did not help, up to [`boot_limit_most`](Self::boot_limit_most),
    /// until an exchange succeeds: an ESP8266 that is being flashed does not show itself either.
    pub boot_limit: Duration,
    /// The longest that `boot_limit` grows to. 120 s.
    pub boot_limit_most: Duration,
    /// From "both wires low" to the first exchange: a reference ESP8266 polls its wire every 100 ms
    /// and needs time to arm its interrupt. 1 s.
    pub settle: Duration,
    /// From one exchange to the next when there is nothing to pass. 100 ms.
    pub idle_poll: Duration,
    /// The same while payloads flow. 20 ms leaves the ESP8266's WiFi stack most of its time.
    pub busy_poll: Duration,
    /// Pauses are shorter than these two if the ESP8266 is quick. They are multiples of the time that an empty
    /// exchange takes, so that each ESP8266 keeps its own pace: 2 while lines pass, 10 after 10 s without. Without a
    /// server to [expect lines](super::Initiator::expect_lines) of, only [`busy_poll`](Self::busy_poll) is shorter.
    pub adaptive: bool,
}

impl InitiatorTiming {
    /// The reference's times, except that payloads flow faster.
    pub const fn classic() -> Self {
        Self {
            reset_pulse: Duration::from_millis(200),
            boot_poll: Duration::from_millis(100),
            boot_limit: Duration::from_secs(10),
            boot_limit_most: Duration::from_secs(120),
            settle: Duration::from_secs(1),
            idle_poll: Duration::from_millis(100),
            busy_poll: Duration::from_millis(20),
            adaptive: false,
        }
    }

    /// The same with pauses that adapt to the ESP8266 and to what there is to pass.
    pub const fn adaptive() -> Self {
        Self { adaptive: true, ..Self::classic() }
    }
}

impl Default for InitiatorTiming {
    fn default() -> Self {
        Self::classic()
    }
}

/// The shortest pause: an ESP8266 that is at something else for a moment must see that `syn` was low.
const LEAST: Duration = Duration::from_millis(2);
/// The pause is this many times as long as an empty exchange while lines pass.
const BUSY: u64 = 2;
/// And after [`SILENCE`]: an ESP8266 of which nobody wants anything has more than nine tenths of its time for itself.
const IDLE: u64 = 10;
/// The time without lines after which the pause is longest.
const SILENCE: Duration = Duration::from_secs(10);
/// Assumed length of an empty exchange, until one was measured.
const ASSUMED: Duration = Duration::from_millis(10);
/// An ESP8266 that has missed the start of an exchange gets the fixed pauses for this long.
const WARY: Duration = Duration::from_secs(3600);

/// The present pace of one initiator.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Pace {
    /// The time that an exchange without payloads takes, an average of the last.
    empty: Duration,
    began: Instant,
    /// The last line was submitted, or has come, then.
    active: Instant,
    /// Lines may come: the ESP8266 has a server.
    expected: bool,
    wary_until: Instant,
}

impl Pace {
    pub(super) const fn new() -> Self {
        Self {
            empty: ASSUMED,
            began: Instant::ZERO,
            active: Instant::ZERO,
            expected: false,
            wary_until: Instant::ZERO,
        }
    }

    /// Forgets what was measured: after a reset, another program may run.
    pub(super) fn restart(&mut self) {
        self.empty = ASSUMED;
        self.expected = false;
    }

    /// Sets whether lines may come.
    pub(super) fn expect(&mut self, lines: bool) {
        self.expected = lines;
    }

    /// Notes that an exchange begins.
    pub(super) fn begin(&mut self, now: Instant) {
        self.began = now;
    }

    /// Notes that it has ended, and whether it carried nothing.
    pub(super) fn end(&mut self, now: Instant, empty: bool) {
        if empty {
            let sum = self.empty.times(3).as_micros() + now.since(self.began).as_micros();
            self.empty = Duration::from_micros(sum / 4);
        }
    }

    /// Notes that there is a line.
    pub(super) fn active(&mut self, now: Instant) {
        self.active = now;
    }

    /// Notes that the start of an exchange was not seen.
    pub(super) fn missed(&mut self, now: Instant) {
        self.wary_until = now + WARY;
    }

    /// Returns the pause after an exchange that has ended at `now`. `busy`: something passed, or is to pass.
    pub(super) fn pause(&self, timing: &InitiatorTiming, now: Instant, busy: bool) -> Duration {
        let longest = if busy { timing.busy_poll } else { timing.idle_poll };
        let waits = busy || self.expected;
        if !timing.adaptive || !waits || now < self.wary_until {
            return longest;
        }
        let silent = if busy { Duration::ZERO } else { now.since(self.active).min(SILENCE) };
        let more = self.empty.times(IDLE - BUSY).as_micros() * silent.as_micros();
        let more = Duration::from_micros(more / SILENCE.as_micros());
        (self.empty.times(BUSY).max(LEAST) + more).min(longest)
    }
}
