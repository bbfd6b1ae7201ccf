//! The part of a session that an owner commits.

use pblink_protocol::tcp::endpoint::Ticket;

use super::inbox::Tag;
use crate::state::SessionState;

/// Lines, state, and what is done, of one moment.
#[derive(Debug)]
pub(crate) struct Content {
    pub(crate) lines: Lines,
    pub(crate) state: SessionState,
    /// The oldest lines to the client, as far as it has acknowledged them.
    pub(crate) done: Vec<Ticket>,
    /// The endpoint had settled so often.
    pub(crate) settled: u32,
}

/// Texts, one behind the other.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    text: String,
    /// The end of each.
    ends: Vec<(usize, Tag)>,
}

impl Lines {
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Returns the bytes of all texts together.
    pub(crate) fn bytes(&self) -> usize {
        self.text.len()
    }

    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = (&str, Tag)> {
        let mut from = 0;
        self.ends.iter().map(move |&(to, tag)| {
            let text = &self.text[from..to];
            from = to;
            (text, tag)
        })
    }

    pub(super) fn push(&mut self, text: &str, tag: Tag) {
        self.text.push_str(text);
        self.ends.push((self.text.len(), tag));
    }
}
