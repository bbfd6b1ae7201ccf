//! Lines that a board writes, and the echoes that it waits for.

use crate::account::{Account, Written};

/// Lines that may be without their echo.
const BEHIND: usize = 500;

/// Composes lines, and counts echoes.
#[derive(Debug)]
pub(crate) struct Pen {
    random: fastrand::Rng,
    next: u32,
    /// Lines that have an echo for certain.
    echoes: usize,
    /// Lines received of which the guaranteed ones are counted, and their number.
    counted: (usize, usize),
}

/// Returns true for the text of a line that may be lost.
pub(crate) fn is_best_effort(text: &str) -> bool {
    text.starts_with("best")
}

impl Pen {
    /// Returns one that has written nothing. The seed decides what it writes.
    pub(crate) fn new(seed: u64) -> Self {
        Self { random: fastrand::Rng::with_seed(seed), next: 0, echoes: 0, counted: (0, 0) }
    }

    /// Returns the number of lines to be written now.
    pub(crate) fn burst(&mut self) -> u8 {
        self.random.u8(0..6)
    }

    /// Returns the next line. `reports`: some are those of an ESP8266.
    pub(crate) fn compose(&mut self, reports: bool) -> Written {
        let n = self.next;
        // A report is number 0 of every board.
        let (text, guaranteed, report) = match (n, self.random.u8(0..10)) {
            (0, _) if reports => (r#"{"pblink":{"report":[1,1,30000]}}"#.to_owned(), true, true),
            (_, 0) if reports => {
                (format!(r#"{{"pblink":{{"report":[1,{n},30000]}}}}"#), true, true)
            }
            (_, 1 | 2) => (format!("best effort {n}"), false, false),
            // The first lines differ, so that one that comes twice is seen.
            (20.., 3..6) => ("motion".to_owned(), true, false),
            _ => (format!("line {n}"), true, false),
        };
        Written { text, guaranteed, report }
    }

    /// Notes that the line that was composed last is on its way.
    pub(crate) fn wrote(&mut self, account: &mut Account, line: Written) {
        self.next += 1;
        self.echoes += usize::from(line.guaranteed && !line.report);
        account.written.push(line);
    }

    /// Returns true if a board has to wait for echoes before it writes more: they are slower than lines, and a backlog of
    /// minutes proves nothing more.
    pub(crate) fn is_far_behind(&mut self, account: &Account) -> bool {
        account.manners.echoed && self.echoes > self.heard(account) + BEHIND
    }

    /// Returns true if every echo is here, and this many beside.
    pub(crate) fn has_heard_all(&mut self, account: &Account, beside: usize) -> bool {
        !account.manners.echoed || self.heard(account) >= self.echoes + beside
    }

    /// Returns the number of echoes of lines that have one for certain. Others do not count: with each of them a board would
    /// be allowed to be one further behind, for ever.
    fn heard(&mut self, account: &Account) -> usize {
        let new = &account.received[self.counted.0..];
        self.counted.1 += new.iter().filter(|text| !is_best_effort(text)).count();
        self.counted.0 = account.received.len();
        self.counted.1
    }
}
