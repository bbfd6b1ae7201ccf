//! The place of one consumer: the line up to which it has all, and clients of which it has more.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// The place of one consumer.
///
/// One client whose lines cannot be done holds the whole back, and all others are ahead of it then: nothing here takes
/// time with their number.
#[derive(Debug, Default)]
pub(super) struct Places {
    whole: u64,
    clients: HashMap<Arc<str>, u64>,
    /// The same, by their places.
    by_place: BTreeSet<(u64, Arc<str>)>,
}

/// A place as it was: to go back to.
#[derive(Debug, Default)]
pub(super) struct Before {
    whole: u64,
    clients: Vec<(Arc<str>, Option<u64>)>,
}

impl Places {
    /// Returns the offset up to which it has the lines of all clients.
    pub(super) fn whole(&self) -> u64 {
        self.whole
    }

    /// Returns the clients with places of their own, in no order.
    pub(super) fn clients(&self) -> impl Iterator<Item = (&Arc<str>, u64)> {
        let ahead = self.clients.iter().filter(|(_, place)| **place > self.whole);
        ahead.map(|(id, &place)| (id, place))
    }

    /// Returns the offset up to which it has the lines of this client.
    pub(super) fn of(&self, client: &str) -> u64 {
        self.clients.get(client).map_or(self.whole, |&place| place.max(self.whole))
    }

    /// It has all lines up to this offset. It never goes back.
    pub(super) fn advance(&mut self, whole: u64) {
        self.whole = self.whole.max(whole);
    }

    /// It has all lines of this client up to this offset.
    pub(super) fn set(&mut self, client: Arc<str>, place: u64) {
        self.put(client, Some(place));
    }

    /// The client is gone.
    pub(super) fn forget(&mut self, client: &str) {
        self.put(client.into(), None);
    }

    /// Moves it, and returns its place before.
    pub(super) fn step(&mut self, whole: u64, clients: Vec<(Arc<str>, u64)>) -> Before {
        let mut before = Before { whole: self.whole, clients: Vec::with_capacity(clients.len()) };
        self.advance(whole);
        for (client, place) in clients {
            let old = self.put(Arc::clone(&client), Some(place));
            before.clients.push((client, old));
        }
        before
    }

    /// Undoes a step. Those behind it have to be undone first.
    pub(super) fn restore(&mut self, before: Before) {
        self.whole = before.whole;
        // A client may have been there twice.
        for (client, place) in before.clients.into_iter().rev() {
            self.put(client, place);
        }
    }

    /// Drops places that the whole has passed. Not while a step may have to be undone.
    pub(super) fn prune(&mut self) {
        while let Some((_, client)) =
            self.by_place.first().filter(|(place, _)| *place <= self.whole)
        {
            self.clients.remove(client);
            self.by_place.pop_first();
        }
    }

    fn put(&mut self, client: Arc<str>, place: Option<u64>) -> Option<u64> {
        let old = match place {
            Some(place) => self.clients.insert(Arc::clone(&client), place),
            None => self.clients.remove(&client),
        };
        if let Some(old) = old {
            self.by_place.remove(&(old, Arc::clone(&client)));
        }
        if let Some(place) = place {
            self.by_place.insert((place, client));
        }
        old
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(places: &Places) -> (u64, Vec<(String, u64)>) {
        let mut clients: Vec<_> =
            places.clients().map(|(id, place)| (id.to_string(), place)).collect();
        clients.sort();
        (places.whole(), clients)
    }

    /// Any number of steps, undone from the newest on, at any place between two that stay.
    #[test]
    fn steps_are_undone_whatever_they_were() {
        for seed in 0..2000 {
            let mut rng = fastrand::Rng::with_seed(seed);
            let mut places = Places::default();
            let mut steps = Vec::new();
            for _ in 0..rng.usize(1..20) {
                let clients: Vec<(Arc<str>, u64)> = (0..rng.usize(0..3))
                    .map(|_| (["a", "b", "c"][rng.usize(0..3)].into(), rng.u64(0..30)))
                    .collect();
                let was = all(&places);
                steps.push((was, places.step(rng.u64(0..30), clients)));
                if rng.u8(0..5) == 0 {
                    // All of it is durable.
                    let was = all(&places);
                    places.prune();
                    assert_eq!(all(&places), was);
                    steps.clear();
                }
            }
            while let Some((was, before)) = steps.pop() {
                places.restore(before);
                assert_eq!(all(&places), was, "seed {seed}");
            }
        }
    }

    #[test]
    fn what_the_whole_has_passed_is_dropped() {
        let mut places = Places::default();
        for n in 1..=100 {
            places.set(format!("client {n}").into(), n);
        }
        places.advance(60);
        assert_eq!((places.of("client 7"), places.of("client 70"), places.of("new")), (60, 70, 60));
        places.prune();
        assert_eq!((places.clients.len(), places.by_place.len()), (40, 40));
        assert_eq!((places.of("client 7"), places.of("client 70")), (60, 70));
    }
}
