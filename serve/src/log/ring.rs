//! The newest lines, in memory: consumers that keep up never read the disk.

use std::collections::VecDeque;

use super::model::Line;

/// Lines that are kept.
const LINES: usize = 8192;

/// Bytes of their texts.
const BYTES: usize = 8 * 1024 * 1024;

/// A bounded queue of the newest lines, in order.
#[derive(Debug, Default)]
pub(super) struct Ring {
    lines: VecDeque<Line>,
    bytes: usize,
    /// Offset of the newest line that was ever here, or that the log began with.
    head: u64,
}

impl Ring {
    /// Returns a ring for a log whose newest line has this offset.
    pub(super) fn new(head: u64) -> Self {
        Self { head, ..Self::default() }
    }

    pub(super) fn push(&mut self, line: Line) {
        self.head = line.offset;
        self.bytes += line.text.len();
        self.lines.push_back(line);
        while self.lines.len() > LINES || self.bytes > BYTES && self.lines.len() > 1 {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        if let Some(line) = self.lines.pop_front() {
            self.bytes -= line.text.len();
        }
    }

    /// Forgets all lines: some of them are gone from the log.
    pub(super) fn clear(&mut self) {
        self.lines.clear();
        self.bytes = 0;
    }

    /// Returns at most `limit` lines behind `after`, and the offset up to which it has looked. `None`: that is
    /// for the disk to say.
    pub(super) fn page(
        &self,
        after: u64,
        limit: usize,
        client: Option<&str>,
    ) -> Option<(Vec<Line>, u64)> {
        if after >= self.head {
            return Some((Vec::new(), after));
        }
        // A gap before the first line here would have to be looked at on the disk.
        let first = self.lines.front()?.offset;
        if after + 1 < first {
            return None;
        }
        let from = self.lines.partition_point(|line| line.offset <= after);
        let (mut found, mut seen) = (Vec::new(), after);
        for line in self.lines.iter().skip(from) {
            if found.len() == limit {
                break;
            }
            seen = line.offset;
            if client.is_none_or(|client| *line.client == *client) {
                found.push(line.clone());
            }
        }
        Some((found, seen))
    }
}

#[cfg(test)]
mod tests {
    use super::super::model::Kind;
    use super::*;

    fn line(offset: u64, client: &str) -> Line {
        let text = "x".repeat(1024).into();
        Line {
            offset,
            client: client.into(),
            epoch: 1,
            seq: 1,
            at_ms: 0,
            kind: Kind::Line,
            written_ms: None,
            text,
        }
    }

    fn offsets(page: Option<(Vec<Line>, u64)>) -> Option<(Vec<u64>, u64)> {
        page.map(|(lines, seen)| (lines.iter().map(|line| line.offset).collect(), seen))
    }

    #[test]
    fn a_page_is_what_comes_behind_an_offset_as_long_as_nothing_of_it_is_gone() {
        let mut ring = Ring::new(6);
        assert_eq!(offsets(ring.page(6, 10, None)), Some((vec![], 6)));
        assert_eq!(offsets(ring.page(5, 10, None)), None);
        for (offset, client) in [(7, "a"), (8, "b"), (9, "a"), (10, "b")] {
            ring.push(line(offset, client));
        }
        assert_eq!(offsets(ring.page(5, 10, None)), None);
        assert_eq!(offsets(ring.page(6, 2, None)), Some((vec![7, 8], 8)));
        assert_eq!(offsets(ring.page(7, 10, Some("a"))), Some((vec![9], 10)));
        assert_eq!(offsets(ring.page(8, 1, Some("a"))), Some((vec![9], 9)));
        assert_eq!(offsets(ring.page(99, 1, None)), Some((vec![], 99)));
        ring.clear();
        assert_eq!(offsets(ring.page(9, 10, None)), None);
        assert_eq!(offsets(ring.page(10, 10, None)), Some((vec![], 10)));
    }

    #[test]
    fn it_is_bounded_in_lines_and_bytes() {
        let mut ring = Ring::new(0);
        for offset in 1..=20_000 {
            ring.push(line(offset, "a"));
        }
        assert_eq!((ring.lines.len(), ring.bytes), (8192, 8192 * 1024));
        ring.push(Line { text: "x".repeat(BYTES).into(), ..line(20_001, "a") });
        assert_eq!((ring.lines.len(), ring.bytes), (1, BYTES));
    }
}
