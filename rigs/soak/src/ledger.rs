//! The ledger: what boards have written, beside what came of it.

use std::collections::HashMap;

use crate::board::Account;

/// Result of a run.
#[derive(Default, PartialEq, Eq)]
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
        for text in found {
            left.entry(text).or_insert((0, true)).0 -= 1;
        }
        // The echo with number 0 is always new for a published client.
        let excuse = (!reports && account.had_first_twice()).then(|| found.first()).flatten();
        for (text, (count, guaranteed)) in left {
            let name = || format!("{what} {}: {text}", account.id);
            if count > 0 && guaranteed {
                self.lost.push(name());
            } else if count < 0 && !(count == -1 && excuse.is_some_and(|first| first == text)) {
                self.doubled.push(name());
            }
        }
        if account.manners.ordered {
            let wanted = account.written.iter().filter(|line| line.guaranteed);
            let wanted = wanted.filter(|line| reports || !line.report).map(|line| &*line.text);
            // A best-effort line may overtake those that are repeated.
            let found = found.iter().map(|text| &**text).filter(|text| !text.starts_with("best"));
            let in_order =
                wanted.clone().eq(found.clone()) || excuse.is_some() && wanted.eq(found.skip(1));
            if !in_order {
                self.disordered.push(format!("{what} {}", account.id));
            }
        }
    }
}
