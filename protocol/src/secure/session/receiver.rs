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

/// What a piece has led to.
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
