//! The ESP8266's free memory, as its reports show it.

use pblink_protocol::time::Instant;

/// Returns a heap that breathes, so that the monitor has something to draw. Whatever the interval between two
/// reports is, it neither falls nor rises for long: that would look like a leak.
pub(super) fn mem_free(now: Instant) -> u32 {
    // A hash (splitmix64): any simple period meets an interval with which it makes a slope.
    let mut x = (now.as_millis() / 700).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    38_000 + (x >> 52) as u32
}

#[cfg(test)]
mod tests {
    use pblink_protocol::time::Duration;

    use super::{Instant, mem_free};

    #[test]
    fn free_memory_does_not_look_like_a_leak() {
        for seconds in 1..=120 {
            let (mut before, mut falls) = (u32::MAX, 0);
            for report in 1..=500 {
                let now = Instant::from_micros(0) + Duration::from_secs(seconds * report);
                let free = mem_free(now);
                assert!((38_000..38_000 + 4096).contains(&free));
                falls = if free < before { falls + 1 } else { 0 };
                assert!(
                    falls < 10,
                    "it fell {falls} times in a row, with a report every {seconds} s"
                );
                before = free;
            }
        }
    }
}
