//! Result of a soak, and whether the server grew in it.

use std::time::Duration;

use serde::Serialize;

use super::Options;
use crate::ledger::Ledger;
use crate::process::Used;

/// The shortest soak in which a server that has grown counts as one that grows: before, its caches fill.
const LONG: Duration = Duration::from_secs(600);

/// Memory and descriptors by which a server may grow beside half of what it had.
const SLACK: Used = Used { memory: 8 << 20, descriptors: 16 };

/// Result of a soak.
#[derive(Debug, Default, Serialize)]
pub struct Outcome {
    /// The number that decides faults and lines.
    pub seed: u64,
    /// Time for which boards wrote and faults happened.
    pub seconds: u64,
    /// Lines in the log.
    pub lines: usize,
    /// Times that the server was killed.
    pub kills: u32,
    /// Times that it was halted.
    pub halts: u32,
    /// Connections that were cut.
    pub cuts: usize,
    /// Times that its disk was full.
    pub full_disks: u32,
    /// Times that its wall clock was set.
    pub clock_steps: u32,
    /// Faults that cannot be had here, and why.
    pub passed_over: Vec<String>,
    /// The most that a server has used.
    pub most: Used,
    /// The most that it used in the first quarter of the time.
    pub first_quarter: Used,
    /// The most that it used in the last quarter.
    pub last_quarter: Used,
    /// The boards' ledger.
    pub ledger: Ledger,
    /// Anything else that is wrong, in words.
    pub problems: Vec<String>,
}

impl Outcome {
    /// Returns that of a soak that has just begun.
    pub(super) fn of(options: &Options, has_clock: bool) -> Self {
        let no_clock = "clock steps: libfaketime is not installed";
        let passed_over = if has_clock { Vec::new() } else { vec![no_clock.to_owned()] };
        Self { seed: options.seed, passed_over, ..Self::default() }
    }

    /// Takes in what the server uses at this time.
    pub(super) fn note(&mut self, used: Used, time: Duration, options: &Options) {
        let (most, before) = (options.most, self.most);
        if used.memory > most.memory && before.memory <= most.memory {
            let (is, may) = (used.memory >> 20, most.memory >> 20);
            self.problems.push(format!("the server uses {is} MB, and may use {may}"));
        }
        if used.descriptors > most.descriptors && before.descriptors <= most.descriptors {
            let (is, may) = (used.descriptors, most.descriptors);
            self.problems.push(format!("the server has {is} descriptors, and may have {may}"));
        }
        self.most = before.max(used);
        if time <= options.time / 4 {
            self.first_quarter = self.first_quarter.max(used);
        }
        if time >= options.time / 4 * 3 {
            let last = self.last_quarter.max(used);
            if options.time >= LONG && self.is_flat() && !is_flat(self.first_quarter, last) {
                self.problems.push(format!(
                    "the server grows: from {} MB and {} descriptors in the first quarter to {} MB and {} in the last",
                    self.first_quarter.memory >> 20,
                    self.first_quarter.descriptors,
                    last.memory >> 20,
                    last.descriptors
                ));
            }
            self.last_quarter = last;
        }
    }

    /// Returns true if the server used about as much in the last quarter as in the first.
    pub fn is_flat(&self) -> bool {
        is_flat(self.first_quarter, self.last_quarter)
    }

    /// Returns true if no line was lost, doubled or in disorder.
    pub fn has_clean_ledger(&self) -> bool {
        self.ledger == Ledger::default()
    }

    /// Returns true if nothing was lost, doubled, in disorder or beyond its bounds.
    pub fn is_clean(&self) -> bool {
        self.has_clean_ledger() && self.problems.is_empty()
    }
}

fn is_flat(first: Used, last: Used) -> bool {
    last.memory <= first.memory + first.memory / 2 + SLACK.memory
        && last.descriptors <= first.descriptors + first.descriptors / 2 + SLACK.descriptors
}

/// State of a soak at work.
#[derive(Debug)]
pub struct Progress<'a> {
    /// Time since it began.
    pub time: Duration,
    /// Lines that have passed both ways.
    pub passed: u64,
    /// Faults and what the server has used so far.
    pub outcome: &'a Outcome,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noted(time: Duration, memory: [u64; 4], descriptors: [usize; 4]) -> Outcome {
        let options = Options { time, ..Options::default() };
        let mut outcome = Outcome::default();
        for (n, (memory, descriptors)) in memory.into_iter().zip(descriptors).enumerate() {
            let used = Used { memory: memory << 20, descriptors };
            outcome.note(used, time / 8 * (2 * n as u32 + 1), &options);
        }
        outcome
    }

    #[test]
    fn a_server_that_grows_is_found_in_a_long_soak_and_said_once() {
        let flat = noted(LONG, [30, 40, 35, 32], [60, 70, 60, 60]);
        assert!(flat.is_flat() && flat.is_clean(), "{flat:?}");
        for (memory, descriptors) in [([20, 30, 40, 50], [60; 4]), ([30; 4], [60, 80, 100, 120])] {
            let grown = noted(LONG, memory, descriptors);
            assert!(!grown.is_flat() && grown.problems.len() == 1, "{grown:?}");
            assert!(grown.problems[0].contains("grows"), "{grown:?}");
            let short = noted(LONG / 10, memory, descriptors);
            assert!(!short.is_flat() && short.is_clean(), "{short:?}");
        }
    }

    #[test]
    fn a_bound_that_is_passed_is_said_once() {
        let outcome = noted(LONG / 10, [97, 98, 50, 99], [60, 500, 60, 600]);
        assert_eq!(outcome.problems.len(), 2, "{outcome:?}");
        assert_eq!(outcome.most, Used { memory: 99 << 20, descriptors: 600 });
    }
}
