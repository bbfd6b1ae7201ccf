//! Outages of many links with one cause, as one entry of the log: "server stopped: 100 links for 3.8 s".

use std::collections::{BTreeSet, VecDeque};

use pblink_server::{Cause, Layer};

use super::entry::{Group, LogEntry, Tone};
use crate::output::{events, units};

/// Outages with the same cause that begin within this time are one, in milliseconds.
const TOGETHER_MS: u64 = 2000;
/// Fewer links are no group.
const SMALLEST: usize = 3;

impl Group {
    fn new(cause: Cause, layer: Layer) -> Self {
        Self { cause, layer, links: BTreeSet::new(), down: BTreeSet::new(), longest_ms: 0 }
    }

    /// Returns true if the link is one of them.
    pub fn has(&self, id: &str) -> bool {
        self.links.contains(id)
    }

    fn add(&mut self, id: String) {
        self.links.insert(id.clone());
        self.down.insert(id);
    }

    /// Returns how it looks.
    fn look(&self) -> (String, Tone) {
        let what = match self.cause {
            Cause::Shutdown => "server stopped".to_owned(),
            cause => format!("{} down ({cause})", events::layer_name(self.layer)),
        };
        let (all, down) = (self.links.len(), self.down.len());
        match down {
            _ if all == 1 => (format!("outage began, {what}"), Tone::Bad),
            0 => (format!("{what}: {all} links for {}", units::span(self.longest_ms)), Tone::Good),
            _ if down == all => (format!("{what}: {all} links"), Tone::Bad),
            _ => (format!("{what}: {all} links, {} are back", all - down), Tone::Bad),
        }
    }
}

fn show(entry: &mut LogEntry) {
    if let Some(group) = &entry.group {
        (entry.text, entry.tone) = group.look();
        entry.whole = entry.text.clone();
    }
}

/// Takes the begin of an outage into a group at the end of the log, if there is one or if this makes one. Returns
/// false if it is an entry of its own.
pub(super) fn begin(
    log: &mut VecDeque<LogEntry>,
    at_ms: u64,
    id: &str,
    (cause, layer): (Cause, Layer),
) -> bool {
    let recent = |entry: &LogEntry| entry.at_ms.abs_diff(at_ms) <= TOGETHER_MS;
    let first = log.len() - log.iter().rev().take_while(|entry| recent(entry)).count();
    let same = |entry: &LogEntry| entry.began == Some((cause, layer));
    let grouped = log.range_mut(first..).rev().find(|entry| {
        entry.group.as_ref().is_some_and(|g| (g.cause, g.layer) == (cause, layer) && !g.has(id))
    });
    if let Some(entry) = grouped {
        if let Some(group) = &mut entry.group {
            group.add(id.to_owned());
        }
        show(entry);
        return true;
    }
    let alone: Vec<usize> = (first..log.len()).filter(|i| same(&log[*i])).collect();
    if alone.len() + 1 < SMALLEST || alone.iter().any(|i| log[*i].id.as_deref() == Some(id)) {
        return false;
    }
    let mut group = Group::new(cause, layer);
    group.add(id.to_owned());
    for i in &alone {
        group.links.extend(log[*i].id.clone());
        group.down.extend(log[*i].id.clone());
    }
    // The first one becomes the group; the others are in it.
    let entry = &mut log[alone[0]];
    (entry.id, entry.began, entry.group) = (None, None, Some(Box::new(group)));
    show(entry);
    for i in alone[1..].iter().rev() {
        log.remove(*i);
    }
    true
}

/// Takes the end of an outage into its group. Returns false if it was in none.
pub(super) fn end(log: &mut VecDeque<LogEntry>, id: &str, lasted_ms: u64) -> bool {
    for entry in log.iter_mut().rev() {
        if entry.began.is_some() && entry.id.as_deref() == Some(id) {
            return false;
        }
        if let Some(group) = &mut entry.group
            && group.down.remove(id)
        {
            group.longest_ms = group.longest_ms.max(lasted_ms);
            show(entry);
            return true;
        }
    }
    false
}
