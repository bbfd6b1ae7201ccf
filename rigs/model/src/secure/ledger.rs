//! The lines that both applications have written and got.

use pblink_protocol::secure::board::Memory;
use pblink_protocol::secure::frame::Epoch;

use super::owner::Store;
use super::ram::Ram;

/// The ledger of a run.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Ledger {
    /// Lines that were written: by the board, to the board.
    pub up: u8,
    /// The same to the board.
    pub down: u8,
    /// Epoch and number of each line of the board.
    labels: Vec<(Epoch, u64)>,
    /// Lines that the board's application has got.
    got: Vec<u8>,
    /// Lines that a loss of power took.
    gone: Vec<u8>,
    /// Lines that only the lost part of a log had.
    forgotten: Vec<u8>,
    /// Lines to the board when the store was copied.
    copied: u8,
    /// Those that were written between then and the restore: no store knows of them.
    excused: u8,
    /// The board lost its power, or the store was replaced: there may be exceptions.
    powered: bool,
    restored: bool,
    /// A line has come twice, or out of order: from the board, to the board.
    pub wrong_up: bool,
    /// The same to the board.
    pub wrong_down: bool,
    /// A counter was used for two packets.
    pub repeated: bool,
}

/// Returns the number of a text.
fn number(text: &str) -> u8 {
    text.split(' ').next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

fn text(number: u8, long: bool) -> String {
    // A long one needs two packets.
    if long { format!("{number} {}", "x".repeat(130)) } else { number.to_string() }
}

fn rises(numbers: impl Iterator<Item = u8>) -> bool {
    numbers.is_sorted_by(|a, b| a < b)
}

impl Ledger {
    pub(super) fn write_up(&mut self, long: bool) -> String {
        self.up += 1;
        text(self.up, long)
    }

    pub(super) fn write_down(&mut self, long: bool) -> String {
        self.down += 1;
        text(self.down, long)
    }

    pub(super) fn label(&mut self, epoch: Epoch, seq: u64) {
        self.labels.push((epoch, seq));
    }

    pub(super) fn got(&mut self, line: String) {
        self.got.push(number(&line));
        self.wrong_down |= !rises(self.got.iter().copied());
    }

    pub(super) fn check_log(&mut self, store: &Store) {
        self.wrong_up |= store.gap || !rises(store.log.iter().map(|text| number(text)));
    }

    pub(super) fn lose_power(&mut self, memory: &Ram) {
        self.powered = true;
        self.gone.extend(memory.lines.iter().map(|text| number(text)));
    }

    pub(super) fn back_up(&mut self) {
        self.copied = self.down;
    }

    pub(super) fn restore(&mut self, now: &Store, old: &Store) {
        self.restored = true;
        self.excused = self.down;
        self.forgotten.extend(now.log[old.log.len()..].iter().map(|text| number(text)));
    }

    /// Returns true if no line from the board is missing without a word, when all have had their time.
    pub fn is_complete_up(&self, store: &Store, memory: &Ram) -> bool {
        let kept = |n: u8| store.log.iter().chain(&memory.lines).any(|text| number(text) == n);
        let label = |n: u8| self.labels[usize::from(n) - 1];
        let told = |n: u8| {
            let (epoch, seq) = label(n);
            store.lost.iter().any(|&(of, from, to)| of == epoch && (from..=to).contains(&seq))
        };
        // Those of a board that has no power any more, too, can be told by nobody.
        let forgotten =
            |n: u8| self.powered && label(n).0 != memory.epoch() && self.forgotten.contains(&n);
        (1..=self.up).all(|n| kept(n) || told(n) || self.gone.contains(&n) || forgotten(n))
    }

    /// Returns true if no line to the board is missing without a word, when all have had their time.
    pub fn is_complete_down(&self, store: &Store) -> bool {
        let waits = |n: u8| store.rows.iter().any(|row| number(&row.text) == n);
        let told = |n: u8| store.undetermined.iter().any(|text| number(text) == n);
        let excused = |n: u8| self.copied < n && n <= self.excused;
        (1..=self.down).all(|n| self.got.contains(&n) || waits(n) || told(n) || excused(n))
    }

    /// Returns true if nothing was called undetermined or lost that need not be.
    pub fn is_certain(&self, store: &Store) -> bool {
        (self.powered || self.restored || store.undetermined.is_empty())
            && (self.restored || store.lost.is_empty())
    }
}
