//! Lines per second and acknowledgement times of each link, as they were while the monitor looked.

use std::collections::{HashMap, VecDeque};

use pblink_server::LinkStatus;

/// Links that are watched, the first of them.
const LINKS: usize = 1000;
/// Values kept of one: as many as the widest terminal shows.
const KEPT: usize = 240;
/// Looks that follow closer give no rate: one line more or less would be a peak.
const CLOSEST_MS: u64 = 500;

/// One look at a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Time of the look, on the monitor's own clock.
    pub at_ms: u64,
    /// Lines in both directions, in tenths of a line per second.
    pub tenths: u64,
    /// Time from write to acknowledgement of the last line, in microseconds.
    pub write_ack_us: Option<u64>,
}

#[derive(Debug, Clone, Default)]
struct Watched {
    /// Time and number of lines at the last look.
    last: Option<(u64, u64)>,
    rates: VecDeque<Rate>,
}

/// The rates of all links.
#[derive(Debug, Clone, Default)]
pub struct Rates(HashMap<String, Watched>);

impl Rates {
    /// Takes in a look at all links.
    pub(super) fn look(&mut self, links: &[LinkStatus], now_ms: u64) {
        let links = &links[..links.len().min(LINKS)];
        if self.0.len() > 2 * LINKS {
            self.0.retain(|id, _| links.iter().any(|link| link.id == *id));
        }
        for link in links {
            let lines = link.lines_in.saturating_add(link.lines_out);
            let watched = self.0.entry(link.id.clone()).or_default();
            let Some((before_ms, before)) = watched.last else {
                watched.last = Some((now_ms, lines));
                continue;
            };
            let passed = now_ms.saturating_sub(before_ms);
            if passed < CLOSEST_MS {
                continue;
            }
            watched.last = Some((now_ms, lines));
            // Fewer lines than before: another run of the server.
            let tenths = lines.saturating_sub(before).saturating_mul(10_000) / passed;
            if watched.rates.len() == KEPT {
                watched.rates.pop_front();
            }
            let write_ack_us = link.write_ack_us;
            watched.rates.push_back(Rate { at_ms: now_ms, tenths, write_ack_us });
        }
    }

    /// Returns the rates of a link, oldest first.
    pub fn of(&self, id: &str) -> impl ExactSizeIterator<Item = &Rate> + Clone {
        self.0.get(id).map(|watched| watched.rates.iter()).unwrap_or_default()
    }
}
