//! The accounts of one direction of one board, with the times of its lines.

use std::collections::BTreeMap;

use pblink_protocol::time::Instant;

use crate::ledger::Ledger;

/// The first line of a direction that was not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// The time: of the arrival, or, for a line that has not arrived, of its writing.
    pub at: Instant,
    /// The line and its fault, such as `line 7 arrived again`.
    pub what: String,
}

/// A ledger that knows times.
#[derive(Debug, Default)]
pub(super) struct Account {
    ledger: Ledger,
    /// Lines on their way, and when they were written.
    under_way: BTreeMap<u64, Instant>,
    wrong: Option<Wrong>,
    /// Lines from this number on were not under way when an ESP8266 or an STM32 last lost what it had.
    after_loss: u64,
    /// Lines that were overtaken before the last loss, although nothing was lost since they were written.
    overtaken: u64,
}

impl Account {
    pub(super) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// A board has lost what it had.
    pub(super) fn lost(&mut self) {
        self.overtaken = self.overtaken();
        self.after_loss = self.under_way.last_key_value().map_or(self.after_loss, |(n, _)| n + 1);
    }

    /// Returns the number of lines that have not arrived although nothing was lost since they were written.
    pub(super) fn unexcused(&self) -> u64 {
        self.under_way.range(self.after_loss..).count() as u64
    }

    /// Returns the number of lines that a later one has overtaken, and that have not arrived, although nothing was lost between
    /// their writing and the next loss. Where lines are in order, they were lost without a cause, whatever happened later.
    pub(super) fn overtaken(&self) -> u64 {
        let newest = self.ledger.newest().unwrap_or(0).max(self.after_loss);
        self.overtaken + self.under_way.range(self.after_loss..newest).count() as u64
    }

    pub(super) fn wrote(&mut self, number: u64, now: Instant) {
        self.ledger.wrote(number);
        self.under_way.insert(number, now);
    }

    pub(super) fn got(&mut self, number: u64, now: Instant) {
        let before = self.ledger.totals();
        self.ledger.got(number);
        let after = self.ledger.totals();
        self.under_way.remove(&number);
        if after.duplicated > before.duplicated {
            self.note(now, || format!("line {number} arrived again"));
        } else if after.reordered > before.reordered {
            self.note(now, || format!("line {number} arrived after a later one"));
        } else if after.unknown > before.unknown {
            self.note(now, || format!("line {number} arrived and was never written"));
        }
    }

    pub(super) fn got_unknown(&mut self, text: &str, now: Instant) {
        self.ledger.got_unknown();
        self.note(now, || format!("{text:?} arrived and was never written"));
    }

    fn note(&mut self, at: Instant, what: impl FnOnce() -> String) {
        if self.wrong.is_none() {
            self.wrong = Some(Wrong { at, what: what() });
        }
    }

    /// Returns the first line that is wrong by now. A line that has not arrived counts as one.
    pub(super) fn first_wrong(&self) -> Option<Wrong> {
        let missing = self
            .under_way
            .first_key_value()
            .map(|(number, at)| Wrong { at: *at, what: format!("line {number} has not arrived") });
        [self.wrong.clone(), missing].into_iter().flatten().min_by_key(|wrong| wrong.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::from_millis(ms)
    }

    #[test]
    fn the_first_wrong_line_has_its_time_and_its_fault() {
        let mut account = Account::default();
        (0..5).for_each(|n| account.wrote(n, at(n)));
        account.got(0, at(10));
        account.got(0, at(11));
        account.got(3, at(12));
        account.got(2, at(13));
        let wrong = account.first_wrong().unwrap();
        assert_eq!((wrong.at, wrong.what.as_str()), (at(1), "line 1 has not arrived"));
        account.got(1, at(14));
        account.got(4, at(15));
        let wrong = account.first_wrong().unwrap();
        assert_eq!((wrong.at, wrong.what.as_str()), (at(11), "line 0 arrived again"));
    }

    #[test]
    fn only_lines_that_were_under_way_at_a_loss_are_excused() {
        let mut account = Account::default();
        (0..3).for_each(|n| account.wrote(n, at(n)));
        assert_eq!(account.unexcused(), 3);
        account.lost();
        account.wrote(3, at(3));
        assert_eq!(account.unexcused(), 1);
        account.got(3, at(4));
        assert_eq!(account.unexcused(), 0);
    }

    #[test]
    fn a_line_that_was_overtaken_before_a_loss_is_not_excused_by_it() {
        let mut account = Account::default();
        (0..4).for_each(|n| account.wrote(n, at(n)));
        account.got(0, at(4));
        account.got(2, at(5));
        assert_eq!(account.overtaken(), 1, "line 1, and not line 3");
        account.lost();
        assert_eq!((account.overtaken(), account.unexcused()), (1, 0));
        account.wrote(4, at(6));
        account.got(4, at(7));
        assert_eq!(account.overtaken(), 1, "line 3 was under way at the loss");
    }

    #[test]
    fn a_clean_account_has_no_wrong_line() {
        let mut account = Account::default();
        account.wrote(0, at(1));
        account.got(0, at(2));
        assert_eq!(account.first_wrong(), None);
    }
}
