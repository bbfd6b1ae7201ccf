//! The tasks that wait for written lines to be sent or acknowledged.

use std::collections::VecDeque;
use std::task::Waker;

/// Who waits for a line.
#[derive(Debug)]
struct Waiter<T> {
    ticket: T,
    /// Waits until the line is sent, not until it is acknowledged.
    best_effort: bool,
    waker: Waker,
}

/// All who wait, in the order of their lines: mostly the last one has just been written, and the first one is
/// acknowledged next. `T` names a line.
#[derive(Debug)]
pub(super) struct Waiters<T> {
    waiters: VecDeque<Waiter<T>>,
    /// Number of those that wait until their line is sent.
    best_effort: usize,
}

impl<T> Default for Waiters<T> {
    fn default() -> Self {
        Self { waiters: VecDeque::new(), best_effort: 0 }
    }
}

impl<T: Ord + Copy> Waiters<T> {
    /// Returns where the line's waiter is, or where it would have to be.
    #[inline]
    fn find(&self, ticket: T) -> Result<usize, usize> {
        match (self.waiters.front(), self.waiters.back()) {
            (Some(first), _) if first.ticket == ticket => Ok(0),
            (_, Some(last)) if last.ticket == ticket => Ok(self.waiters.len() - 1),
            (_, Some(last)) if last.ticket > ticket => {
                self.waiters.binary_search_by_key(&ticket, |waiter| waiter.ticket)
            }
            _ => Err(self.waiters.len()),
        }
    }

    /// Notes that `waker` is to be woken for this line, in the place of another one.
    pub(super) fn wait_for(&mut self, ticket: T, best_effort: bool, waker: &Waker) {
        let at = match self.find(ticket) {
            Ok(at) => return self.waiters[at].waker.clone_from(waker),
            Err(at) => at,
        };
        self.best_effort += usize::from(best_effort);
        let waiter = Waiter { ticket, best_effort, waker: waker.clone() };
        // Inserting at the end would do the same with some 80 instructions more.
        if at == self.waiters.len() {
            self.waiters.push_back(waiter);
        } else {
            self.waiters.insert(at, waiter);
        }
    }

    /// Forgets who waits for a line.
    pub(super) fn remove(&mut self, ticket: T) -> Option<Waker> {
        let waiter = match self.find(ticket).ok()? {
            0 => self.waiters.pop_front(),
            at => self.waiters.remove(at),
        }?;
        self.best_effort -= usize::from(waiter.best_effort);
        Some(waiter.waker)
    }

    /// Wakes those who wait until a line is sent that is no longer `pending`.
    pub(super) fn wake_best_effort(&mut self, pending: impl Fn(T) -> bool, wakes: &mut Vec<Waker>) {
        if self.best_effort == 0 {
            return;
        }
        self.waiters.retain_mut(|waiter| {
            let done = waiter.best_effort && !pending(waiter.ticket);
            if done {
                self.best_effort -= 1;
                wakes.push(std::mem::replace(&mut waiter.waker, Waker::noop().clone()));
            }
            !done
        });
    }

    /// Wakes all, and returns their lines that are still `pending`.
    pub(super) fn wake_all(
        &mut self,
        pending: impl Fn(T) -> bool,
        wakes: &mut Vec<Waker>,
    ) -> Vec<T> {
        let waiters = std::mem::take(self).waiters;
        let tickets = waiters.iter().map(|waiter| waiter.ticket);
        let pending = tickets.filter(|&ticket| pending(ticket)).collect();
        wakes.extend(waiters.into_iter().map(|waiter| waiter.waker));
        pending
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiters.is_empty()
    }

    /// Gives back memory beyond `bytes`, if nobody waits.
    pub(super) fn shrink_to(&mut self, bytes: usize) {
        if self.waiters.is_empty() {
            self.waiters.shrink_to(bytes / size_of::<Waiter<T>>());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waiters for these lines, best effort for odd ones, and for each one how often it was woken.
    fn waiters(tickets: &[u64]) -> (Waiters<u64>, Vec<Arc<Woken>>) {
        let mut waiters = Waiters::default();
        let woken: Vec<Arc<Woken>> = tickets.iter().map(|_| Arc::default()).collect();
        for (&ticket, woken) in tickets.iter().zip(&woken) {
            waiters.wait_for(ticket, ticket % 2 == 1, &Arc::clone(woken).into());
        }
        (waiters, woken)
    }

    fn counts(woken: &[Arc<Woken>]) -> Vec<usize> {
        woken.iter().map(|woken| woken.0.load(Ordering::Relaxed)).collect()
    }

    #[test]
    fn each_line_has_one_waiter_wherever_it_is() {
        // Not in order: a task may ask again for a line whose waiter is gone.
        let tickets = [4, 9, 2, 7, 3, 12, 5, 0];
        for (at, &ticket) in tickets.iter().enumerate() {
            let (mut waiters, woken) = waiters(&tickets);
            let other = Arc::new(Woken::default());
            waiters.wait_for(ticket, false, &Arc::clone(&other).into());
            for unknown in [1, 6, 13] {
                assert!(waiters.remove(unknown).is_none());
            }
            waiters.remove(ticket).unwrap().wake();
            assert!(waiters.remove(ticket).is_none());
            assert_eq!(counts(&[other]), [1]);
            let mut wakes = Vec::new();
            let mut left = tickets.to_vec();
            left.remove(at);
            left.sort_unstable();
            assert_eq!(waiters.wake_all(|_| true, &mut wakes), left);
            wakes.into_iter().for_each(Waker::wake);
            assert!(waiters.is_empty());
            let expected: Vec<usize> = (0..tickets.len()).map(|n| usize::from(n != at)).collect();
            assert_eq!(counts(&woken), expected);
        }
    }

    #[test]
    fn those_whose_lines_are_sent_are_woken() {
        let (mut waiters, woken) = waiters(&[1, 2, 3, 4, 5]);
        let mut wakes = Vec::new();
        waiters.wake_best_effort(|ticket| ticket > 3, &mut wakes);
        wakes.drain(..).for_each(Waker::wake);
        assert_eq!(counts(&woken), [1, 0, 1, 0, 0]);
        assert!(waiters.remove(5).is_some());
        // Nobody is left who waits for that, so that nobody is looked for.
        assert_eq!(waiters.best_effort, 0);
        waiters.wake_best_effort(|_| false, &mut wakes);
        assert!(wakes.is_empty());
        assert_eq!(waiters.wake_all(|ticket| ticket != 2, &mut wakes), [4]);
        assert_eq!(wakes.len(), 2);
    }
}
