//! The ledger: what boards have written, beside what came of it.

use std::collections::HashMap;

use serde::Serialize;

use crate::board::Account;

/// Result of a run.
#[derive(Default, PartialEq, Eq, Serialize)]
pub struct Ledger {
    /// Guaranteed lines that are not in the log, or have no echo.
    pub lost: Vec<String>,
    /// Lines that are there more often than they were written.
    pub doubled: Vec<String>,
    /// Boards whose ordered lines are not in order.
    pub disordered: Vec<String>,
}

impl std::fmt::Debug for Ledger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (what, names) in
            [("lost", &self.lost), ("doubled", &self.doubled), ("in disorder", &self.disordered)]
        {
            write!(f, "{} {what} {:?}; ", names.len(), &names[..names.len().min(5)])?;
        }
        Ok(())
    }
}

impl Ledger {
    /// Compares what `account` has written with what came of it.
    pub fn check(&mut self, what: &str, account: &Account, found: &[String], reports: bool) {
        let mut left: HashMap<&str, (i64, bool)> = HashMap::new();
        for line in account.written.iter().filter(|line| reports || !line.report) {
            let entry = left.entry(&line.text).or_insert((0, line.guaranteed));
            entry.0 += 1;
        }
        // The echo with number 0 is always new for a published client.
        let again = if reports { 0 } else { account.first_again() };
        let found = &found[again..];
        for text in found {
            left.entry(text).or_insert((0, true)).0 -= 1;
        }
        for (text, (count, guaranteed)) in left {
            let name = || format!("{what} {}: {text}", account.id);
            if count > 0 && guaranteed {
                self.lost.push(name());
            } else if count < 0 {
                self.doubled.push(name());
            }
        }
        if account.manners.ordered {
            let wanted = account.written.iter().filter(|line| line.guaranteed);
            let wanted = wanted.filter(|line| reports || !line.report).map(|line| &*line.text);
            // A best-effort line may overtake those that are repeated.
            let found = found.iter().map(|text| &**text).filter(|text| !text.starts_with("best"));
            if !wanted.eq(found) {
                self.disordered.push(format!("{what} {}", account.id));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Ledger;
    use crate::board::{Account, Manners, Written};

    fn account(published: bool, received: &[&str]) -> Account {
        let written = ["a", "b", "c"].map(|text| Written {
            text: text.to_owned(),
            guaranteed: true,
            report: false,
        });
        Account {
            id: "board 0".to_owned(),
            manners: Manners { ordered: true, published, echoed: true },
            written: written.to_vec(),
            received: received.iter().map(|&text| text.to_owned()).collect(),
            connects: 1,
            finished: true,
            unacked: 0,
        }
    }

    fn judge(account: &Account) -> Ledger {
        let mut ledger = Ledger::default();
        ledger.check("board", account, &account.received, false);
        ledger
    }

    #[test]
    fn number_0_may_come_to_a_published_client_any_number_of_times_and_nothing_else_twice() {
        for received in
            [&["a", "b", "c"][..], &["a", "a", "b", "c"], &["a", "a", "a", "a", "b", "c"]]
        {
            assert_eq!(judge(&account(true, received)), Ledger::default(), "{received:?}");
        }
        let again = judge(&account(true, &["a", "b", "a", "c"]));
        assert_eq!((again.doubled.len(), again.disordered.len()), (1, 1));
        assert_eq!(judge(&account(true, &["a", "b", "b", "c"])).doubled.len(), 1);
        assert_eq!(judge(&account(true, &["a", "a", "c"])).lost.len(), 1);
        assert_eq!(judge(&account(false, &["a", "a", "b", "c"])).doubled.len(), 1);
    }
}
