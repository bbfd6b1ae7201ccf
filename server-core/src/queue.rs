//! Queues of sessions for the application: the clients that nobody has taken on yet
//! ([`Server::next_client`](crate::Server::next_client)), and those that have something to commit
//! ([`Server::next_batch`](crate::Server::next_batch)).

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::Notify;

/// A queue of sessions `S`. Each is in it at most once, so the number of sessions bounds it.
#[derive(Debug)]
pub(crate) struct Sessions<S> {
    queue: Mutex<Queue<S>>,
    changed: Notify,
}

#[derive(Debug)]
struct Queue<S> {
    /// Weak: a session that the registry forgets is gone from here, too.
    waiting: VecDeque<Weak<S>>,
    /// Those that come before them.
    first: VecDeque<Weak<S>>,
    /// Number of sessions of `first` that came since one of `waiting` did.
    ahead: usize,
    closed: bool,
}

/// Sessions that come before others in a row, at most, while others wait.
const AHEAD: usize = 64;

impl<S> Queue<S> {
    fn pop(&mut self) -> Option<Arc<S>> {
        if (self.ahead < AHEAD || self.waiting.is_empty())
            && let Some(session) = pop(&mut self.first)
        {
            self.ahead += 1;
            return Some(session);
        }
        self.ahead = 0;
        pop(&mut self.waiting).or_else(|| pop(&mut self.first))
    }

    fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.first.is_empty()
    }
}

fn pop<S>(queue: &mut VecDeque<Weak<S>>) -> Option<Arc<S>> {
    std::iter::from_fn(|| queue.pop_front()).find_map(|session| session.upgrade())
}

/// Forgotten sessions that the queue may hold before it looks for them.
const SWEEP: usize = 64;

impl<S> Sessions<S> {
    pub(crate) fn new() -> Self {
        let queue =
            Queue { waiting: VecDeque::new(), first: VecDeque::new(), ahead: 0, closed: false };
        Self { queue: Mutex::new(queue), changed: Notify::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Queue<S>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a session behind the others.
    pub(crate) fn push(&self, session: Weak<S>) {
        self.put(session, |queue| &mut queue.waiting);
    }

    /// Puts a session before those of [`push`](Self::push), and behind those that came this way. Of many in a row the
    /// others get a turn now and then.
    pub(crate) fn push_first(&self, session: Weak<S>) {
        self.put(session, |queue| &mut queue.first);
    }

    fn put(&self, session: Weak<S>, part: fn(&mut Queue<S>) -> &mut VecDeque<Weak<S>>) {
        let mut queue = self.lock();
        let waiting = part(&mut queue);
        // An allocation that would be needed is the time to look for room: this costs a constant for
        // each session, and nothing grows with those that were forgotten.
        if waiting.len() >= SWEEP && waiting.len() == waiting.capacity() {
            waiting.retain(|session| session.strong_count() > 0);
        }
        waiting.push_back(session);
        drop(queue);
        self.changed.notify_one();
    }

    /// Ends all waiting.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_waiters();
    }

    /// Waits for the next session. `None` once the queue is closed.
    ///
    /// Dropping the future loses none; each session goes to one of those who wait.
    pub(crate) async fn next(&self) -> Option<Arc<S>> {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            // Closing wakes only those who are on the list.
            changed.as_mut().enable();
            {
                let mut queue = self.lock();
                if queue.closed {
                    return None;
                }
                if let Some(session) = queue.pop() {
                    if !queue.is_empty() {
                        // Several may have come with one call.
                        self.changed.notify_one();
                    }
                    return Some(session);
                }
            }
            changed.await;
        }
    }

    /// Returns the next session, if there is one and the queue is open.
    pub(crate) fn try_next(&self) -> Option<Arc<S>> {
        let mut queue = self.lock();
        if queue.closed { None } else { queue.pop() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_comes_first_does_not_keep_others_out() {
        let queue: Sessions<usize> = Sessions::new();
        let all: Vec<Arc<usize>> = (0..300).map(Arc::new).collect();
        // The last ten are large.
        all[290..].iter().for_each(|session| queue.push(Arc::downgrade(session)));
        all[..290].iter().for_each(|session| queue.push_first(Arc::downgrade(session)));
        let order: Vec<usize> = std::iter::from_fn(|| queue.try_next()).map(|n| *n).collect();
        let mut expected: Vec<usize> = (0..290).collect();
        for (n, large) in (290..294).enumerate() {
            expected.insert((n + 1) * AHEAD + n, large);
        }
        expected.extend(294..300);
        assert_eq!(order, expected);
    }
}
