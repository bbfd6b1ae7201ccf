//! The taking of lines: in order, each once, from pieces.

use heapless::Vec;

use super::super::frame::Data;
use crate::MAX_TEXT;
use crate::tcp::line::check_text;

/// Receiver of one session.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in super::super) struct Receiver {
    received: u64,
    /// The line whose beginning is in `text`.
    part: Option<u64>,
    text: Vec<u8, MAX_TEXT>,
}

/// The result of taking a piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in super::super) enum Taken<'a> {
    /// A line is complete. It counts as received.
    Line { seq: u64, text: &'a str },
    /// A line is complete and cannot be one, so that it is passed over. The other end's program is wrong.
    Invalid { seq: u64 },
    /// More has to come, or the piece is not one that is waited for.
    Nothing,
}

impl Receiver {
    pub(in super::super) const fn new() -> Self {
        Self { received: 0, part: None, text: Vec::new() }
    }

    /// Begins anew behind this line.
    pub(in super::super) fn resume(&mut self, received: u64) {
        self.received = received;
        self.part = None;
    }

    /// Returns the last line that has come, in order.
    pub(in super::super) const fn received(&self) -> u64 {
        self.received
    }

    /// Takes a piece. `fits` says whether there is room for a line of this length: without it the line comes again.
    pub(in super::super) fn on_data(
        &mut self,
        data: &Data<'_>,
        fits: impl FnOnce(usize) -> bool,
    ) -> Taken<'_> {
        // Rows may go at any time, so that numbers have gaps: `prev` says which are none.
        if !(data.prev <= self.received && self.received < data.seq) {
            return Taken::Nothing;
        }
        let offset = usize::from(data.piece.offset);
        if offset == 0 {
            self.text.clear();
        } else if (self.part, self.text.len()) != (Some(data.seq), offset) {
            return Taken::Nothing;
        }
        if self.text.extend_from_slice(data.bytes).is_err() {
            // Nobody writes lines that are longer. The rest of it counts as old.
            return self.pass_over(data.seq);
        }
        if data.piece.more {
            self.part = Some(data.seq);
            return Taken::Nothing;
        }
        self.part = None;
        if !fits(self.text.len()) {
            return Taken::Nothing;
        }
        self.received = data.seq;
        match core::str::from_utf8(&self.text).map(check_text) {
            Ok(Ok(text)) => Taken::Line { seq: data.seq, text },
            _ => Taken::Invalid { seq: data.seq },
        }
    }

    fn pass_over(&mut self, seq: u64) -> Taken<'static> {
        (self.received, self.part) = (seq, None);
        Taken::Invalid { seq }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::frame::Piece;
    use super::*;

    fn data(seq: u64, prev: u64, offset: u16, more: bool, bytes: &[u8]) -> Data<'_> {
        Data { seq, prev, piece: Piece { offset, more }, age_ms: 0, bytes }
    }

    /// A sender cuts a line anew each time.
    #[test]
    fn pieces_of_two_sendings_make_the_line_or_wait_for_the_next_one() {
        let mut receiver = Receiver::new();
        let mut take = |data| receiver.on_data(&data, |_| true) == Taken::Nothing;
        assert!(take(data(1, 0, 0, true, b"abcdef")));
        // Those of another sending, whose first piece was shorter and is lost.
        assert!(take(data(1, 0, 4, true, b"efgh")));
        assert!(take(data(1, 0, 8, false, b"ij")));
        assert!(take(data(1, 0, 6, true, b"gh")));
        let line = Taken::Line { seq: 1, text: "abcdefghij" };
        assert_eq!(receiver.on_data(&data(1, 0, 8, false, b"ij"), |_| true), line);
    }

    #[test]
    fn a_line_that_is_gone_is_no_gap_and_one_that_is_missing_is() {
        let mut receiver = Receiver::new();
        let mut lines = |data| match receiver.on_data(&data, |_| true) {
            Taken::Line { seq, .. } => Some(seq),
            _ => None,
        };
        assert_eq!(lines(data(5, 0, 0, false, b"first")), Some(5));
        assert_eq!(lines(data(7, 6, 0, false, b"6 is missing")), None);
        assert_eq!(lines(data(7, 5, 0, false, b"6 was dropped")), Some(7));
        assert_eq!(lines(data(7, 5, 0, false, b"again")), None);
        assert_eq!(lines(data(9, 0, 0, false, b"all before it were dropped")), Some(9));
    }

    #[test]
    fn texts_that_are_none_are_passed_over_and_what_has_no_room_comes_again() {
        let mut receiver = Receiver::new();
        for (seq, bytes) in [(1, &b"a\nb"[..]), (2, b""), (3, b"\xff")] {
            let taken = receiver.on_data(&data(seq, seq - 1, 0, false, bytes), |_| true);
            assert_eq!(taken, Taken::Invalid { seq });
        }
        let long = [b'x'; 200];
        for offset in (0..1000).step_by(200) {
            let piece = data(4, 3, offset, true, &long);
            assert_eq!(receiver.on_data(&piece, |_| true), Taken::Nothing);
        }
        assert_eq!(
            receiver.on_data(&data(4, 3, 1000, true, &long), |_| true),
            Taken::Invalid { seq: 4 }
        );
        assert_eq!(receiver.on_data(&data(4, 3, 1200, false, &long), |_| true), Taken::Nothing);
        assert_eq!(receiver.on_data(&data(5, 4, 0, false, b"x"), |_| false), Taken::Nothing);
        assert_eq!(receiver.received(), 4);
        let line = Taken::Line { seq: 5, text: "x" };
        assert_eq!(receiver.on_data(&data(5, 4, 0, false, b"x"), |_| true), line);
    }
}
