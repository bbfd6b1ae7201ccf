//! The last 24 hours of a link: when it was down, for how long, and how available it was.

use pblink_serve::control::{End, Outage};

/// Milliseconds that are looked at.
pub const DAY_MS: u64 = 86_400_000;

/// The outages of one link within a day.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Day {
    /// Begin and end of each, wall clock in milliseconds.
    spans: Vec<(u64, u64)>,
    /// The part of the day of which something is known, wall clock in milliseconds.
    known: (u64, u64),
    /// Number of outages, those included whose end is not known.
    pub outages: u64,
    /// Milliseconds down in all.
    pub down_ms: u64,
    /// The longest outage in milliseconds, as far as it lies within the day.
    pub longest_ms: u64,
}

impl Day {
    /// Returns the day that ends at `now_ms`, of a link that has been watched since `since_ms`. Outages whose end is
    /// not known are counted, but have no length.
    pub fn new<'a>(outages: impl Iterator<Item = &'a Outage>, since_ms: u64, now_ms: u64) -> Self {
        let from = now_ms.saturating_sub(DAY_MS);
        let mut day = Self { known: (since_ms.clamp(from, now_ms), now_ms), ..Self::default() };
        for outage in outages {
            let end = match outage.end {
                End::Open => Some(now_ms),
                _ => outage.ended_ms(),
            };
            let began = outage.began_ms.min(now_ms);
            if end.unwrap_or(began) < from {
                continue;
            }
            day.outages += 1;
            // What is known of an outage is known of the link.
            day.known.0 = day.known.0.min(began.max(from));
            if let Some(end) = end {
                let span = (began.max(from), end.min(now_ms).max(began.max(from)));
                day.down_ms += span.1 - span.0;
                day.longest_ms = day.longest_ms.max(span.1 - span.0);
                day.spans.push(span);
            }
        }
        day
    }

    /// Returns the part of the known time for which it was up, in millionths; `None` if nothing is known.
    pub fn availability_ppm(&self) -> Option<u64> {
        let known = self.known.1 - self.known.0;
        let up = known.saturating_sub(self.down_ms);
        (u128::from(up) * 1_000_000).checked_div(known.into()).map(|ppm| ppm as u64)
    }

    /// Draws the day from left to right: a line while it was up, a bar as high as the part for which it was
    /// down, a blank where nothing is known.
    pub fn bar(&self, cells: usize) -> String {
        let cells_u64 = (cells as u64).max(1);
        let from = self.known.1.saturating_sub(DAY_MS);
        let edge =
            |cell: u64| from + DAY_MS / cells_u64 * cell + DAY_MS % cells_u64 * cell / cells_u64;
        (0..cells as u64)
            .map(|cell| {
                let (left, right) = (edge(cell), edge(cell + 1).max(edge(cell) + 1));
                let overlap = |span: &(u64, u64)| {
                    // The shortest outage is seen, too.
                    let touches = span.0 < right && span.1.max(span.0 + 1) > left;
                    let length = span.1.min(right).saturating_sub(span.0.max(left));
                    if touches { length.max(1) } else { 0 }
                };
                let down: u64 = self.spans.iter().map(overlap).sum();
                match down * 4 / (right - left) {
                    _ if right <= self.known.0 => ' ',
                    _ if down == 0 => '─',
                    0 => '▂',
                    1 => '▄',
                    2 => '▆',
                    _ => '█',
                }
            })
            .collect()
    }
}

/// Formats millionths as a percentage, cut and never rounded up: `99.98 %`.
pub fn percent(ppm: u64) -> String {
    format!("{}.{:02} %", ppm / 10_000, ppm % 10_000 / 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_772_366_400_000;
    const HOUR: u64 = 3_600_000;

    fn outage(began_ms: u64, end: End) -> Outage {
        let client = "1".to_owned();
        Outage { number: 1, client, began_ms, end, layer: None, cause: None, finding: None }
    }

    #[test]
    fn a_day_adds_up_what_lies_within_it() {
        let outages = [
            outage(NOW - 30 * HOUR, End::Reconnected(HOUR)),
            outage(NOW - 25 * HOUR, End::Reconnected(2 * HOUR)),
            outage(NOW - 12 * HOUR, End::Reconnected(1000)),
            outage(NOW - 6 * HOUR, End::Unseen),
            outage(NOW - HOUR, End::Open),
        ];
        let day = Day::new(outages.iter(), 0, NOW);
        assert_eq!((day.outages, day.longest_ms), (4, HOUR));
        assert_eq!(day.down_ms, 2 * HOUR + 1000);
        assert_eq!(percent(day.availability_ppm().unwrap()), "91.66 %");
        assert_eq!(day.bar(24), "█───────────▂──────────█");
    }

    #[test]
    fn what_is_not_known_is_not_up() {
        let day = Day::new([].iter(), NOW - 6 * HOUR, NOW);
        assert_eq!(day.bar(8), "      ──");
        assert_eq!(day.availability_ppm(), Some(1_000_000));
        assert_eq!(Day::new([].iter(), NOW, NOW).availability_ppm(), None);
        let outages = [outage(NOW - 12 * HOUR, End::Reconnected(HOUR))];
        let day = Day::new(outages.iter(), NOW - HOUR, NOW);
        assert_eq!(day.bar(8), "    ▄───", "an outage is known from its begin on");
        assert_eq!(percent(99_999 * 10), "99.99 %", "never rounded up to 100");
    }
}
