//! A queue whose items can be compared and hashed: actions and events that an owner has not taken yet, lines in flight.

use core::hash::{Hash, Hasher};

use heapless::Deque;

/// A bounded queue of actions or events. Unlike heapless's it can be hashed, as a model checker needs
/// it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fifo<T, const N: usize>(Deque<T, N>);

impl<T, const N: usize> Fifo<T, N> {
    pub(crate) const fn new() -> Self {
        Self(Deque::new())
    }

    /// Appends an item. False, and unchanged, if the queue is full.
    pub(crate) fn push(&mut self, item: T) -> bool {
        self.0.push_back(item).is_ok()
    }

    /// Appends an item. Drops the oldest one if the queue is full.
    pub(crate) fn push_newest(&mut self, item: T) {
        if self.0.is_full() {
            self.0.pop_front();
        }
        let fits = self.push(item);
        debug_assert!(fits, "there is room");
    }

    /// Removes the oldest item.
    pub(crate) fn pop(&mut self) -> Option<T> {
        self.0.pop_front()
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.0.is_full()
    }

    /// Returns the oldest item.
    pub(crate) fn front(&self) -> Option<&T> {
        self.0.front()
    }

    /// Returns the newest item.
    pub(crate) fn back(&self) -> Option<&T> {
        self.0.back()
    }

    /// Returns the items to be changed, the oldest first.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.0.iter_mut()
    }
}

impl<T: Hash, const N: usize> Hash for Fifo<T, N> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.len().hash(state);
        self.0.iter().for_each(|item| item.hash(state));
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::collections::HashSet;
    use std::hash::DefaultHasher;

    use super::*;

    #[test]
    fn items_come_out_in_order_and_a_full_queue_takes_none() {
        let mut fifo: Fifo<u8, 2> = Fifo::new();
        assert!(fifo.push(1) && fifo.push(2));
        assert!(!fifo.push(3));
        assert_eq!(fifo.pop(), Some(1));
        fifo.push_newest(4);
        fifo.push_newest(5);
        assert_eq!((fifo.pop(), fifo.pop(), fifo.pop()), (Some(4), Some(5), None));
    }

    #[test]
    fn queues_with_the_same_items_are_the_same_wherever_these_lie() {
        let mut moved: Fifo<u8, 3> = Fifo::new();
        assert!(moved.push(9) && moved.push(1) && moved.push(2));
        assert_eq!(moved.pop(), Some(9));
        assert!(moved.push(3));
        let mut fresh: Fifo<u8, 3> = Fifo::new();
        assert!(fresh.push(1) && fresh.push(2) && fresh.push(3));
        assert_eq!(HashSet::from([moved, fresh]).len(), 1);
    }

    #[test]
    fn queues_with_other_items_have_other_digests() {
        // A model checker knows states by their digests alone.
        let digest = |items: &[u8]| {
            let (mut fifo, mut hasher) = (Fifo::<u8, 3>::new(), DefaultHasher::new());
            assert!(items.iter().all(|item| fifo.push(*item)));
            fifo.hash(&mut hasher);
            hasher.finish()
        };
        let digests = [&[][..], &[1], &[2], &[1, 2], &[2, 1], &[0], &[0, 0]].map(digest);
        assert_eq!(HashSet::from(digests).len(), digests.len());
    }
}
