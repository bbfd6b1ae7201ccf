//! Times, counted in buckets that are 6 % wide.

use std::time::Duration;

/// Buckets for each power of two.
const PARTS: usize = 16;

/// Counts of times from 1 ns on.
#[derive(Debug, Clone)]
pub struct Histogram {
    counts: Vec<u64>,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: vec![0; 64 * PARTS] }
    }
}

impl Histogram {
    /// Counts `times` lines that took `took` each.
    pub fn add(&mut self, took: Duration, times: u64) {
        let ns = (took.as_nanos() as u64).max(PARTS as u64);
        let power = ns.ilog2() as usize;
        let part = (ns >> (power - PARTS.ilog2() as usize)) as usize - PARTS;
        self.counts[power * PARTS + part] += times;
    }

    /// Adds those of another.
    pub fn merge(&mut self, other: &Self) {
        self.counts.iter_mut().zip(&other.counts).for_each(|(count, more)| *count += more);
    }

    /// Returns all counts that are not zero, as words that [`parse`](Self::parse) understands.
    pub fn words(&self) -> String {
        let counted = self.counts.iter().enumerate().filter(|(_, count)| **count > 0);
        counted.map(|(bucket, count)| format!("{bucket}:{count}")).collect::<Vec<_>>().join(" ")
    }

    /// Reads counts. Words that are none are passed over.
    pub fn parse<'a>(words: impl Iterator<Item = &'a str>) -> Self {
        let mut histogram = Self::default();
        for (bucket, count) in words.filter_map(|word| word.split_once(':')) {
            let place =
                bucket.parse().ok().and_then(|bucket: usize| histogram.counts.get_mut(bucket));
            if let (Some(place), Ok(count)) = (place, count.parse::<u64>()) {
                *place += count;
            }
        }
        histogram
    }

    /// Returns the time that this part (0 to 1) of all stayed below; zero if there is none.
    pub fn percentile(&self, part: f64) -> Duration {
        let all: u64 = self.counts.iter().sum();
        let wanted = (all as f64 * part).ceil() as u64;
        let mut sum = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            sum += count;
            if *count > 0 && sum >= wanted {
                let (power, part) = (bucket / PARTS, bucket % PARTS);
                let ns = ((PARTS + part + 1) as u64) << (power - PARTS.ilog2() as usize);
                return Duration::from_nanos(ns);
            }
        }
        Duration::ZERO
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_right_within_a_bucket() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.percentile(0.5), Duration::ZERO);
        for us in 1..=1000 {
            histogram.add(Duration::from_micros(us), 1);
        }
        for (part, us) in [(0.01, 10.0), (0.5, 500.0), (0.99, 990.0), (1.0, 1000.0)] {
            let found = histogram.percentile(part).as_secs_f64() * 1e6;
            assert!((us..us * 1.0625 + 0.1).contains(&found), "{part}: {found} µs");
        }
        let mut twice = Histogram::parse(histogram.words().split(' '));
        twice.merge(&histogram);
        assert_eq!(twice.percentile(0.99), histogram.percentile(0.99));
        assert_eq!(twice.counts.iter().sum::<u64>(), 2000);
        histogram.add(Duration::from_secs(1), 10_000);
        assert!(histogram.percentile(0.5) >= Duration::from_secs(1));
    }
}
