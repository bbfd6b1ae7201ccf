//! Accounts: every line that was written must arrive once, in order.

use std::collections::BTreeSet;

use serde::Serialize;

/// The accounts of one direction of one link. Lines are known by their numbers, which count up.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    /// Written and not yet arrived.
    outstanding: BTreeSet<u64>,
    written: u64,
    arrived: u64,
    duplicated: u64,
    reordered: u64,
    unknown: u64,
    newest: Option<u64>,
}

/// The totals of a [`Ledger`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
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
        self.outstanding.insert(number);
    }

    /// Line `number` arrived.
    pub fn got(&mut self, number: u64) {
        if self.outstanding.remove(&number) {
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
        self.outstanding.iter().copied()
    }

    /// Returns the accounts so far.
    pub fn totals(&self) -> Totals {
        Totals {
            written: self.written,
            arrived: self.arrived,
            missing: self.outstanding.len() as u64,
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
}
