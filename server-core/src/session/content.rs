//! The part of a session that an owner commits.

use std::sync::Arc;

use pblink_protocol::secure::frame::Epoch;
use pblink_protocol::secure::server::Resolution;
use pblink_protocol::tcp::endpoint::Ticket;

use super::inbox::{Loan, Tag};
use crate::origin::Origin;
use crate::state::SessionState;

/// Lines, state, and what is done, of one moment.
#[derive(Debug)]
pub(crate) struct Content {
    pub(crate) lines: Lines,
    pub(crate) state: SessionState,
    pub(crate) done: Done,
}

/// Parts of a batch that are done, or are done with its commit.
#[derive(Debug)]
pub(crate) enum Done {
    Classic {
        /// The oldest lines to the client, as far as it has acknowledged them.
        tickets: Vec<Ticket>,
        /// The endpoint had settled so often.
        settled: u32,
    },
    Secure {
        /// The last line of the batch.
        last: Option<(Epoch, u64)>,
        /// Lines to the client that it has: how many, and the number of the last.
        delivered: (usize, u64),
        /// The answer to a client that has said where it stands.
        resolution: Option<Resolution>,
    },
}

impl Content {
    /// Returns the number of lines to the client that are done.
    pub(crate) fn done(&self) -> usize {
        match &self.done {
            Done::Classic { tickets, .. } => tickets.len(),
            Done::Secure { delivered, .. } => delivered.0,
        }
    }

    /// Returns the resolution, of a secure link.
    pub(crate) fn resolution(&self) -> Option<&Resolution> {
        match &self.done {
            Done::Classic { .. } => None,
            Done::Secure { resolution, .. } => resolution.as_ref(),
        }
    }
}

/// A line that was lent.
#[derive(Debug)]
pub(crate) struct Lent {
    pub(crate) loan: Loan,
    pub(crate) text: Arc<str>,
    pub(crate) report: bool,
    pub(crate) origin: Option<Origin>,
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
