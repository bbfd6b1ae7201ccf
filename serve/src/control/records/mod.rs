//! Outages and reports of all links, derived from events.

mod link;
mod outage;
mod report;
mod room;

pub use outage::{End, Finding, Outage, OutageList};
pub use report::{LinkReports, ReportList, Sample};

use std::collections::{HashMap, HashSet};

use pblink_server::{Cause, Event, EventKind, Layer, LinkState, LinkStatus};

use link::{Link, Numbers};
use room::{ALL, Room};

/// The outages and reports of all links, as far as they are kept.
///
/// It takes events in their order ([`apply`](Self::apply)), and learns of those that were lost
/// ([`lose`](Self::lose)). Each change has a number, the *revision*, so that a reader can ask for what
/// changed.
///
/// Bounded: at most 200 outages and 240 reports of one link, and 50,000 outages and 500,000 reports in all. A
/// link that has many loses its oldest before one that has few loses any. Once there are
/// [expected](Self::expect) clients, all others share a quarter of that, so that strangers push none of the
/// expected clients' records out.
#[derive(Debug, Clone)]
pub struct Records {
    links: HashMap<String, Link>,
    expected: HashSet<String>,
    /// Clients that are connected, as far as events say: with the end of a server they all lose their links.
    up: HashSet<String>,
    /// The room in all.
    all: Room,
    used_by_expected: Room,
    used_by_others: Room,
    revision: u64,
    /// Outages so far, those that are forgotten included.
    outages: u64,
}

/// A selection of records.
#[derive(Debug, Clone, Copy, Default)]
pub struct Filter<'a> {
    /// Leaves out outages that had ended, and reports that had come, before this time, milliseconds since
    /// the Unix epoch.
    pub since_ms: u64,
    /// Leaves out what has not changed after this revision.
    pub after: u64,
    /// Leaves out all other clients.
    pub client: Option<&'a str>,
}

impl Default for Records {
    fn default() -> Self {
        Self::with_room(ALL)
    }
}

impl Records {
    /// Returns no records, with room for these.
    fn with_room(all: Room) -> Self {
        Self {
            links: HashMap::new(),
            expected: HashSet::new(),
            up: HashSet::new(),
            all,
            used_by_expected: Room::default(),
            used_by_others: Room::default(),
            revision: 0,
            outages: 0,
        }
    }

    /// Sets the clients whose records are to be kept before those of others, in the place of those set before.
    pub fn expect<I>(&mut self, ids: I)
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.expected = ids.into_iter().map(Into::into).collect();
        (self.used_by_expected, self.used_by_others) = Default::default();
        for (id, link) in &self.links {
            let expected = self.expected.contains(id);
            let used = if expected { &mut self.used_by_expected } else { &mut self.used_by_others };
            *used += Room::of(link);
        }
    }

    /// Returns true if clients are expected, and this one is not among them.
    pub fn is_stranger(&self, id: &str) -> bool {
        !self.expected.is_empty() && !self.expected.contains(id)
    }

    /// Takes in the next event.
    pub fn apply(&mut self, event: &Event) {
        let at_ms = event.at_ms;
        self.note_up(&event.kind);
        match &event.kind {
            EventKind::OutageBegan { id, cause, layer } => {
                self.outage(id, |link, new| link.on_begin(at_ms, (*layer, *cause), new));
            }
            EventKind::OutageEnded { id, lasted_ms, .. } => {
                self.outage(id, |link, new| link.on_end(at_ms, *lasted_ms, new));
            }
            EventKind::ServerWasDown { began_ms, stopped, .. } => {
                let cause = if *stopped { Cause::Shutdown } else { Cause::ServerDied };
                let mut cut: Vec<String> = self.up.drain().collect();
                cut.sort_unstable();
                for id in cut {
                    self.outage(&id, |link, new| {
                        link.on_begin(*began_ms, (Layer::Server, cause), new)
                    });
                }
            }
            EventKind::Connected { id, .. } if self.links.contains_key(id) => {
                self.change(id, |link, revision| link.on_connected(at_ms, revision));
            }
            EventKind::Report { id, report } => {
                let sample = Sample { at_ms, report: *report };
                self.change(id, |link, revision| link.on_report(sample, revision));
            }
            _ => {}
        }
    }

    /// Notes who is connected: whoever was heard of since its link went down.
    fn note_up(&mut self, kind: &EventKind) {
        match kind {
            EventKind::OutageBegan { id, .. } => drop(self.up.remove(id)),
            EventKind::Connected { id, .. }
            | EventKind::OutageEnded { id, .. }
            | EventKind::Report { id, .. }
                if !self.up.contains(id) =>
            {
                self.up.insert(id.clone());
            }
            _ => {}
        }
    }

    /// Returns the outage of a link that lasts, and is known to.
    pub fn open(&self, id: &str) -> Option<&Outage> {
        let mut outages = self.links.get(id)?.outages.iter().rev().map(|dated| &dated.item);
        outages.find(|outage| outage.end == End::Open)
    }

    /// Returns the number of outages of each link.
    pub fn counts(&self) -> HashMap<String, u64> {
        let counts = self.links.iter().map(|(id, link)| (id.clone(), link.outages.len() as u64));
        counts.filter(|(_, count)| *count > 0).collect()
    }

    /// Forgets all of a client.
    pub fn forget(&mut self, id: &str) {
        self.up.remove(id);
        if let Some(link) = self.links.remove(id) {
            let used = match self.expected.contains(id) {
                true => &mut self.used_by_expected,
                false => &mut self.used_by_others,
            };
            *used -= Room::of(&link);
        }
    }

    /// Takes in that events were lost: the end of each open outage may be among them.
    pub fn lose(&mut self) {
        let revision = self.revision + 1;
        for link in self.links.values_mut() {
            if link.on_loss(revision) {
                link.revision = revision;
                self.revision = revision;
            }
        }
    }

    /// Takes in the state of the links after a loss: outages that last are open.
    pub fn see(&mut self, now_ms: u64, links: &[LinkStatus]) {
        for status in links {
            if let LinkState::Down { layer, cause } = status.state {
                let began_ms = now_ms.saturating_sub(status.since_ms);
                self.outage(&status.id, |link, new| link.on_look(began_ms, (layer, cause), new));
            }
        }
    }

    /// Returns the number of the last change.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Returns the number of outages that have begun, those included that are not kept any more.
    pub fn outage_count(&self) -> u64 {
        self.outages
    }

    /// Returns the outages of a selection, in the order in which they were seen.
    pub fn outages(&self, filter: Filter) -> Vec<Outage> {
        let mut found: Vec<Outage> = Vec::new();
        for (_, link) in self.select(filter) {
            let outages = link.outages.iter().filter(|o| o.revision > filter.after);
            let outages = outages.map(|o| &o.item).filter(|o| o.reaches(filter.since_ms));
            found.extend(outages.cloned());
        }
        found.sort_unstable_by_key(|outage| outage.number);
        found
    }

    /// Returns the reports of a selection, by client; clients without any are left out.
    pub fn reports(&self, filter: Filter) -> Vec<LinkReports> {
        let mut found: Vec<LinkReports> = Vec::new();
        for (id, link) in self.select(filter) {
            let new = link.samples.iter().rev().take_while(|s| s.revision > filter.after);
            let mut samples: Vec<Sample> =
                new.map(|s| s.item).filter(|s| s.at_ms >= filter.since_ms).collect();
            samples.reverse();
            if !samples.is_empty() {
                found.push(LinkReports { client: id.clone(), boots: link.boots, samples });
            }
        }
        found.sort_unstable_by(|a, b| a.client.cmp(&b.client));
        found
    }

    /// Returns for how many milliseconds a link was down, the present outage included. It never falls as long as the
    /// link is kept. Outages whose end was lost are not counted.
    pub fn down_ms(&mut self, status: &LinkStatus) -> u64 {
        let present = match status.state {
            LinkState::Down { .. } => status.since_ms,
            LinkState::Up | LinkState::Waiting => 0,
        };
        match self.links.get_mut(&status.id) {
            // The link may be ahead of the event that says so.
            Some(link) => {
                link.shown_ms = link.shown_ms.max(link.ended_ms.saturating_add(present));
                link.shown_ms
            }
            None => present,
        }
    }

    /// Changes the outages of a client. `change` returns true if it has used the number for a new one.
    fn outage(&mut self, id: &str, change: impl FnOnce(&mut Link, Numbers) -> bool) {
        let number = self.outages + 1;
        let used = self.change(id, |link, revision| change(link, Numbers { revision, number }));
        self.outages += u64::from(used);
    }

    fn select<'a>(&'a self, filter: Filter<'a>) -> impl Iterator<Item = (&'a String, &'a Link)> {
        let one = filter.client.map(|id| self.links.get_key_value(id));
        // Most followers ask when nothing has changed.
        let all = (one.is_none() && self.revision > filter.after).then(|| self.links.iter());
        (one.flatten().into_iter().chain(all.into_iter().flatten()))
            .filter(move |(_, link)| link.revision > filter.after)
    }

    /// Changes the records of a client, and makes room if they have become too many.
    fn change<T>(&mut self, id: &str, change: impl FnOnce(&mut Link, u64) -> T) -> T {
        self.revision += 1;
        let new = !self.links.contains_key(id);
        let link = self.links.entry(id.to_owned()).or_insert_with(|| Link::new(id));
        let before = if new { Room::default() } else { Room::of(link) };
        let result = change(link, self.revision);
        link.revision = self.revision;
        link.trim(room::OF_ONE);
        let after = Room::of(link);
        let expected = self.expected.contains(id);
        let used = if expected { &mut self.used_by_expected } else { &mut self.used_by_others };
        *used -= before;
        *used += after;
        self.make_room(expected);
        result
    }

    /// Forgets the oldest of a class of clients if it has more than its room.
    fn make_room(&mut self, expected: bool) {
        let room = self.all.of_class(expected, self.expected.is_empty());
        let used = if expected { self.used_by_expected } else { self.used_by_others };
        if used.fits(room) {
            return;
        }
        let is_expected = &self.expected;
        // The links of an expected client have a place in any case: pblink.toml bounds their number.
        if !expected && used.links > room.links {
            let ids = self.links.iter().filter(|(id, _)| !is_expected.contains(*id));
            let oldest = room::cut(ids.map(|(_, link)| link.revision), room.links);
            self.links.retain(|id, link| link.revision >= oldest || is_expected.contains(id));
        }
        let mut links: Vec<&mut Link> = (self.links.iter_mut())
            .filter(|(id, _)| is_expected.contains(*id) == expected)
            .map(|(_, link)| link)
            .collect();
        if used.outages > room.outages {
            room::shrink(&mut links, room.outages, |link| &mut link.outages);
        }
        if used.samples > room.samples {
            room::shrink(&mut links, room.samples, |link| &mut link.samples);
        }
        let used = links.iter().map(|link| Room::of(link)).fold(Room::default(), |mut sum, one| {
            sum += one;
            sum
        });
        *(if expected { &mut self.used_by_expected } else { &mut self.used_by_others }) = used;
    }
}

#[cfg(test)]
mod tests;
