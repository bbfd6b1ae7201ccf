//! From a counter of 32 bits to the machines' clock.

use pblink_protocol::time::Instant;

/// Extends a microsecond counter that wraps every 71 minutes. It must be looked at once in half of that; the
/// keepalives of the link see to it.
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

    /// Returns the time when the counter shows `micros`. One that shows less than before, but not by half of its
    /// range, was read out of turn: time stands still.
    pub fn now(&mut self, micros: u32) -> Instant {
        if (micros.wrapping_sub(self.last) as i32) >= 0 {
            if micros < self.last {
                self.wraps = self.wraps.wrapping_add(1);
            }
            self.last = micros;
        }
        let micros = self.last;
        Instant::from_micros(u64::from(self.wraps) << 32 | u64::from(micros))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_that_wraps_goes_on_and_one_that_steps_back_stands_still() {
        let mut clock = Clock::new();
        assert_eq!(clock.now(5).as_micros(), 5);
        assert_eq!(clock.now(3).as_micros(), 5, "a step back is no 71 minutes");
        assert_eq!(clock.now(u32::MAX / 2).as_micros(), u64::from(u32::MAX / 2));
        assert_eq!(clock.now(1 << 31).as_micros(), 1 << 31);
        assert_eq!(clock.now(u32::MAX).as_micros(), u64::from(u32::MAX));
        assert_eq!(clock.now(2).as_micros(), (1 << 32) + 2);
        assert_eq!(clock.now(u32::MAX).as_micros(), (1 << 32) + 2);
        assert_eq!(clock.now(7).as_micros(), (1 << 32) + 7);
    }
}
