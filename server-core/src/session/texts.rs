//! Lines that are lent together.

use crate::origin::Origin;

/// Properties of a line beside its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Tag {
    /// It is a report of the ESP8266.
    pub(crate) report: bool,
    /// Times that its sender had begun anew before it.
    pub(crate) restarts: u32,
}

/// Texts, one behind the other.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    text: String,
    /// The length of each.
    lens: Vec<(u32, Tag)>,
    /// Of a secure link: one for each.
    origins: Vec<Option<Origin>>,
}

impl Lines {
    /// Makes room for this many lines, and bytes of texts.
    pub(super) fn with_room(lines: usize, bytes: usize) -> Self {
        Self {
            text: String::with_capacity(bytes),
            lens: Vec::with_capacity(lines),
            origins: Vec::new(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.lens.len()
    }

    /// Returns the bytes of all texts together.
    pub(crate) fn bytes(&self) -> usize {
        self.text.len()
    }

    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = (&str, Tag, Option<Origin>)> {
        let mut rest = self.text.as_str();
        self.lens.iter().enumerate().map(move |(at, &(len, tag))| {
            let (text, after) = rest.split_at(len as usize);
            rest = after;
            (text, tag, self.origins.get(at).copied().flatten())
        })
    }

    /// Adds lines whose texts are one behind the other, of these lengths.
    pub(super) fn extend(&mut self, texts: &str, lens: impl Iterator<Item = (u32, Tag)>) {
        self.text.push_str(texts);
        self.lens.extend(lens);
    }

    /// Notes where all lines are from, of a secure link.
    pub(super) fn set_origins(&mut self, origins: impl Iterator<Item = Option<Origin>>) {
        self.origins = origins.collect();
    }
}
