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
    closed: bool,
}

impl<S> Queue<S> {
    fn pop(&mut self) -> Option<Arc<S>> {
        std::iter::from_fn(|| self.waiting.pop_front()).find_map(|session| session.upgrade())
    }
}

/// Forgotten sessions that the queue may hold before it looks for them.
const SWEEP: usize = 64;

impl<S> Sessions<S> {
    pub(crate) fn new() -> Self {
        let queue = Queue { waiting: VecDeque::new(), closed: false };
        Self { queue: Mutex::new(queue), changed: Notify::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Queue<S>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a session behind the others.
    pub(crate) fn push(&self, session: Weak<S>) {
        let mut queue = self.lock();
        // An allocation that would be needed is the time to look for room: this costs a constant for
        // each session, and nothing grows with those that were forgotten.
        if queue.waiting.len() >= SWEEP && queue.waiting.len() == queue.waiting.capacity() {
            queue.waiting.retain(|session| session.strong_count() > 0);
        }
        queue.waiting.push_back(session);
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
                    if !queue.waiting.is_empty() {
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
