//! Lines that a board has written and received: what the ledger judges.

/// Manners of a board.
#[derive(Debug, Clone, Copy)]
pub struct Manners {
    /// Each line waits for the acknowledgement of those before it.
    pub ordered: bool,
    /// It receives as the published client does: a bitmap, and number 0 is always new.
    pub published: bool,
    /// The server returns its lines.
    pub echoed: bool,
}

/// A line that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The text.
    pub text: String,
    /// It must arrive.
    pub guaranteed: bool,
    /// It is a report of the ESP8266, which has no echo.
    pub report: bool,
}

/// Lines that a board has written and received.
#[derive(Debug)]
pub struct Account {
    /// The board's id.
    pub id: String,
    /// Its manners.
    pub manners: Manners,
    /// Lines that it has written, in order.
    pub written: Vec<Written>,
    /// Lines that it has received, in order.
    pub received: Vec<String>,
    /// Connections that it has made.
    pub connects: u32,
    /// It has seen all that it waited for.
    pub finished: bool,
    /// Lines without an acknowledgement.
    pub unacked: usize,
}

impl Account {
    /// Returns one of a board that has written nothing yet.
    pub(crate) fn new(id: String, manners: Manners) -> Self {
        let (written, received) = (Vec::new(), Vec::new());
        Self { id, manners, written, received, connects: 0, finished: false, unacked: 0 }
    }

    /// Returns how often a published client has taken number 0 for new once more. A server repeats it until its removal is
    /// stored, so that each kill before that and each time-out of a commit that stalls is one: the wire allows no better.
    pub fn first_again(&self) -> usize {
        let again = self.received.iter().skip(1).take_while(|text| **text == self.received[0]);
        if self.manners.published { again.count() } else { 0 }
    }
}
