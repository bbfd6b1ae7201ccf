//! Lines to a board, each with its number: the outbox, as far as the session has it.

use std::collections::VecDeque;

use pblink_protocol::secure::server::SENT_AHEAD;
use pblink_protocol::secure::{Lines, Outgoing};
use pblink_protocol::time::Instant;

/// See the module's text. The oldest first; numbers grow, and may have gaps.
#[derive(Debug, Default)]
pub(super) struct Rows(VecDeque<Row>);

#[derive(Debug)]
struct Row {
    number: u64,
    text: Box<str>,
    written: Instant,
}

impl Rows {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn push(&mut self, number: u64, text: &str, written: Instant) {
        debug_assert!(self.0.back().is_none_or(|last| last.number < number), "numbers grow");
        self.0.push_back(Row { number, text: text.into(), written });
    }

    pub(super) fn contains(&self, number: u64) -> bool {
        self.0.binary_search_by_key(&number, |row| row.number).is_ok()
    }

    /// Returns how many lines have this number or a smaller one.
    pub(super) fn count_up_to(&self, number: u64) -> usize {
        self.0.partition_point(|row| row.number <= number)
    }

    /// Removes a line, wherever it is. Returns true if it was there.
    pub(super) fn remove(&mut self, number: u64) -> bool {
        let at = self.0.binary_search_by_key(&number, |row| row.number);
        at.is_ok_and(|at| self.0.remove(at).is_some())
    }

    /// Removes the lines up to and including this number, and hands each number, with the time since it was written, to `each`.
    pub(super) fn remove_up_to(&mut self, number: u64, mut each: impl FnMut(u64, Instant)) {
        let count = self.count_up_to(number);
        self.0.drain(..count).for_each(|row| each(row.number, row.written));
    }

    /// Returns the number of the last line that a process may have sent which had these lines.
    pub(super) fn mark(&self) -> u64 {
        self.0.get(SENT_AHEAD - 1).or(self.0.back()).map_or(0, |row| row.number)
    }
}

impl Lines for Rows {
    fn after(&self, after: u64) -> Option<Outgoing<'_>> {
        let at = self.count_up_to(after);
        let row = self.0.get(at).filter(|_| at < SENT_AHEAD)?;
        let prev = at.checked_sub(1).map_or(0, |before| self.0[before].number);
        let Row { number, text, written } = row;
        Some(Outgoing { seq: *number, prev, text: text.as_bytes(), written: *written })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_sent_among_the_first_ones_and_name_the_one_before() {
        let mut rows = Rows::default();
        for number in 1..=100 {
            rows.push(2 * number, &number.to_string(), Instant::ZERO);
        }
        let after = |rows: &Rows, after| rows.after(after).map(|row| (row.seq, row.prev));
        assert_eq!(after(&rows, 0), Some((2, 0)));
        assert_eq!(after(&rows, 2), Some((4, 2)));
        assert_eq!(after(&rows, 3), Some((4, 2)), "between two");
        assert_eq!((after(&rows, 127), after(&rows, 128)), (Some((128, 126)), None));
        assert_eq!(rows.mark(), 128);
        let mut gone = Vec::new();
        rows.remove_up_to(5, |number, _| gone.push(number));
        assert_eq!((gone, rows.len(), rows.count_up_to(7)), (vec![2, 4], 98, 1));
        assert_eq!(after(&rows, 0), Some((6, 0)));
        assert!(rows.contains(8) && rows.remove(8) && !rows.remove(8) && !rows.contains(8));
        assert_eq!(after(&rows, 6), Some((10, 6)));
        rows.remove_up_to(u64::MAX, |_, _| {});
        assert_eq!((rows.mark(), after(&rows, 0)), (0, None));
    }
}
