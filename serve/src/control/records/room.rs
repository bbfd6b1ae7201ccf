//! The bounds of the records: no client pushes out the records of another.

use std::collections::VecDeque;
use std::ops::{AddAssign, SubAssign};

use super::link::{Dated, Link};

/// Numbers of things that are kept, or may be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Room {
    pub(super) links: usize,
    pub(super) outages: usize,
    pub(super) samples: usize,
}

/// Room for all clients together. Links of expected clients come on top, as many as there are.
pub(super) const ALL: Room = Room { links: 20_000, outages: 50_000, samples: 500_000 };

/// Room for one client.
pub(super) const OF_ONE: Room = Room { links: 1, outages: 200, samples: 240 };

impl Room {
    /// Returns what a link takes.
    pub(super) fn of(link: &Link) -> Self {
        Self { links: 1, outages: link.outages.len(), samples: link.samples.len() }
    }

    /// Returns the part of a class of clients: a quarter for those that are not expected, if any are.
    pub(super) fn of_class(self, expected: bool, none_is_expected: bool) -> Self {
        let part = |n: usize| match (none_is_expected, expected) {
            (true, _) => n,
            (false, true) => n - n / 4,
            (false, false) => n / 4,
        };
        Self {
            // Never counted for expected clients.
            links: if expected { usize::MAX } else { part(self.links) },
            outages: part(self.outages),
            samples: part(self.samples),
        }
    }

    pub(super) fn fits(self, room: Self) -> bool {
        self.links <= room.links && self.outages <= room.outages && self.samples <= room.samples
    }
}

impl AddAssign for Room {
    fn add_assign(&mut self, more: Self) {
        self.links += more.links;
        self.outages += more.outages;
        self.samples += more.samples;
    }
}

impl SubAssign for Room {
    fn sub_assign(&mut self, less: Self) {
        self.links -= less.links;
        self.outages -= less.outages;
        self.samples -= less.samples;
    }
}

impl Link {
    /// Forgets the oldest beyond the room of one client.
    pub(super) fn trim(&mut self, room: Room) {
        trim(&mut self.outages, room.outages);
        trim(&mut self.samples, room.samples);
    }
}

fn trim<T>(queue: &mut VecDeque<T>, most: usize) {
    let excess = queue.len().saturating_sub(most);
    queue.drain(..excess);
}

/// Brings queues down to three quarters of `room` together, so that this is not needed at each change. The
/// longest lose their oldest first; if there is not room for one each, the oldest of all go.
pub(super) fn shrink<T>(
    links: &mut [&mut Link],
    room: usize,
    queue: impl Fn(&mut Link) -> &mut VecDeque<Dated<T>>,
) {
    let room = room - room / 4;
    let mut lengths: Vec<usize> = links.iter_mut().map(|link| queue(link).len()).collect();
    lengths.sort_unstable();
    let share = fair_share(&lengths, room).max(1);
    for link in &mut *links {
        trim(queue(link), share);
    }
    let revisions: Vec<u64> =
        links.iter_mut().flat_map(|link| queue(link).iter().map(|d| d.revision)).collect();
    if revisions.len() > room {
        let oldest = cut(revisions.into_iter(), room);
        for link in links {
            queue(link).retain(|dated| dated.revision >= oldest);
        }
    }
}

/// Returns the greatest length to which queues can be cut so that they fit together. `lengths` rise.
fn fair_share(lengths: &[usize], mut room: usize) -> usize {
    for (i, length) in lengths.iter().enumerate() {
        let share = room / (lengths.len() - i);
        if *length > share {
            return share;
        }
        room -= length;
    }
    usize::MAX
}

/// Returns the least revision among those to keep, if about three quarters of `room` are kept.
pub(super) fn cut(revisions: impl Iterator<Item = u64>, room: usize) -> u64 {
    let mut revisions: Vec<u64> = revisions.collect();
    let keep = (room - room / 4).max(1);
    let Some(first) = revisions.len().checked_sub(keep) else { return 0 };
    *revisions.select_nth_unstable(first).1
}
