//! An entry of the monitor's log.

use std::collections::BTreeSet;

use pblink_server::{Cause, Layer};

/// Look of an entry of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// As it is.
    Plain,
    /// Something works again.
    Good,
    /// Something is down.
    Bad,
    /// Something that should not be.
    Warning,
    /// The monitor's own words.
    Own,
}

/// One line of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// Counts up, so that a selection holds while new ones come.
    pub key: u64,
    /// Wall clock.
    pub at_ms: u64,
    /// The client's id, if it concerns one.
    pub id: Option<String>,
    /// The text without the id, safe to show.
    pub text: String,
    /// The text with the id, safe to show.
    pub whole: String,
    /// Its look.
    pub tone: Tone,
    /// Cause and layer, if it is the begin of an outage.
    pub began: Option<(Cause, Layer)>,
    /// The links, if it concerns several that went down together.
    pub group: Option<Box<Group>>,
}

/// Links that went down together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    pub(super) cause: Cause,
    pub(super) layer: Layer,
    pub(super) links: BTreeSet<String>,
    /// Those that are still down.
    pub(super) down: BTreeSet<String>,
    pub(super) longest_ms: u64,
}
