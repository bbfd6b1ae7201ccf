//! Accounts: every line that was written must arrive once, in order.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The accounts of one direction of one link. Lines are known by their numbers, which count up.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    /// Written and not yet arrived, in runs of numbers: the first of each, and the one behind its last. So lines that
    /// are accounted for take no room, nor do those that follow each other.
    runs: BTreeMap<u64, u64>,
    missing: u64,
    written: u64,
    arrived: u64,
    duplicated: u64,
    reordered: u64,
    unknown: u64,
    newest: Option<u64>,
}

/// The totals of a [`Ledger`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Totals {
    /// Lines written.
    pub written: u64,
    /// Lines that arrived, each counted once.
    pub arrived: u64,
    /// Lines that have not arrived.
    pub missing: u64,
    /// Arrivals of lines that had arrived before.
    pub duplicated: u64,
    /// Lines that arrived after a later one.
    pub reordered: u64,
    /// Arrivals of lines that were never written: garbled on their way.
    pub unknown: u64,
}

impl Totals {
    /// Everything arrived once, in order.
    pub fn is_clean(&self) -> bool {
        self.missing == 0 && self.duplicated == 0 && self.reordered == 0 && self.unknown == 0
    }

    /// Returns the sum of both.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        Self {
            written: self.written + other.written,
            arrived: self.arrived + other.arrived,
            missing: self.missing + other.missing,
            duplicated: self.duplicated + other.duplicated,
            reordered: self.reordered + other.reordered,
            unknown: self.unknown + other.unknown,
        }
    }
}

impl Ledger {
    /// Line `number` was written. Numbers count up.
    pub fn wrote(&mut self, number: u64) {
        self.written += 1;
        let last = self.runs.last_entry();
        match last {
            Some(mut run) if *run.get() == number => *run.get_mut() = number + 1,
            Some(run) if *run.get() > number => return,
            _ => drop(self.runs.insert(number, number + 1)),
        }
        self.missing += 1;
    }

    /// Takes a number out of those that are outstanding. Returns true if it was one.
    fn take(&mut self, number: u64) -> bool {
        let Some((&first, &end)) = self.runs.range(..=number).next_back() else { return false };
        if number >= end {
            return false;
        }
        self.runs.remove(&first);
        if first < number {
            self.runs.insert(first, number);
        }
        if number + 1 < end {
            self.runs.insert(number + 1, end);
        }
        self.missing -= 1;
        true
    }

    /// Returns the number of runs of outstanding lines: all that it holds, whatever was written.
    pub fn runs(&self) -> usize {
        self.runs.len()
    }

    /// Line `number` arrived.
    pub fn got(&mut self, number: u64) {
        if self.take(number) {
            self.arrived += 1;
            if self.newest.is_some_and(|newest| number < newest) {
                self.reordered += 1;
            }
            self.newest = self.newest.max(Some(number));
        } else if self.newest.is_some_and(|newest| number <= newest) {
            self.duplicated += 1;
        } else {
            self.unknown += 1;
        }
    }

    /// Something arrived that has no number.
    pub fn got_unknown(&mut self) {
        self.unknown += 1;
    }

    /// Returns the lines that have not arrived yet, oldest first.
    pub fn outstanding(&self) -> impl Iterator<Item = u64> + '_ {
        self.runs.iter().flat_map(|(&first, &end)| first..end)
    }

    /// Returns the highest number that has arrived.
    pub fn newest(&self) -> Option<u64> {
        self.newest
    }

    /// Returns the accounts so far.
    pub fn totals(&self) -> Totals {
        Totals {
            written: self.written,
            arrived: self.arrived,
            missing: self.missing,
            duplicated: self.duplicated,
            reordered: self.reordered,
            unknown: self.unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger(written: u64, got: &[u64]) -> Totals {
        let mut ledger = Ledger::default();
        (0..written).for_each(|n| ledger.wrote(n));
        got.iter().for_each(|&n| ledger.got(n));
        ledger.totals()
    }

    #[test]
    fn lines_that_arrive_once_in_order_are_clean() {
        assert!(ledger(3, &[0, 1, 2]).is_clean());
    }

    #[test]
    fn each_kind_of_fault_is_counted() {
        let totals = ledger(6, &[0, 2, 1, 2, 4, 9]);
        assert_eq!((totals.missing, totals.duplicated), (2, 1));
        assert_eq!((totals.reordered, totals.unknown), (1, 1));
        assert!(!totals.is_clean());
    }

    #[test]
    fn lines_that_are_accounted_for_take_no_room_nor_do_those_in_a_row() {
        let mut ledger = Ledger::default();
        for n in 0..100_000 {
            ledger.wrote(n);
            // Five are on their way.
            if n >= 5 {
                ledger.got(n - 5);
            }
            assert!(ledger.runs() <= 1, "{n}");
        }
        assert_eq!(ledger.totals().missing, 5);
        assert!(ledger.outstanding().eq(99_995..100_000));
        // None of these ever arrives, as at a server that returns nothing.
        (100_000..200_000).for_each(|n| ledger.wrote(n));
        assert_eq!((ledger.runs(), ledger.totals().missing), (1, 100_005));
        (100_000..100_010).step_by(2).for_each(|n| ledger.got(n));
        assert_eq!(ledger.runs(), 6, "a run between each two holes");
    }

    #[test]
    fn runs_count_as_single_lines_do() {
        let (mut ledger, mut lines) = (Ledger::default(), std::collections::BTreeSet::new());
        let (mut dice, mut written) = (1_u64, 0);
        for _ in 0..20_000 {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let throw = dice >> 33;
            if throw % 2 == 0 {
                ledger.wrote(written);
                lines.insert(written);
                written += 1;
            } else {
                let number = written.saturating_sub(throw / 2 % 40);
                ledger.got(number);
                lines.remove(&number);
            }
            assert_eq!(ledger.totals().missing, lines.len() as u64);
        }
        assert!(ledger.outstanding().eq(lines));
    }
}
