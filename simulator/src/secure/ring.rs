//! The keys of a simulated board: they outlive its program, and its power.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pblink_protocol::secure::frame::KeyOutcome;
use pblink_secure_suite::board::{Board, Shared, Store};
use pblink_secure_suite::drbg::Drbg;
use pblink_secure_suite::keys::BoardKeys;

/// A place in which a simulated board's keys outlive the process.
pub trait Keeper: Send + fmt::Debug {
    /// Keeps the keys, and the shared key before them, which is there while these are not settled. False: it cannot, and what was
    /// there is there.
    fn keep(&mut self, keys: &BoardKeys, before: Option<&Shared>) -> bool;
}

#[derive(Debug)]
struct Held {
    keys: BoardKeys,
    before: Option<Shared>,
    keeper: Option<Box<dyn Keeper>>,
}

/// The keys of one board. Clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct Ring(Arc<Mutex<Held>>);

impl Ring {
    pub(crate) fn new(
        keys: BoardKeys,
        before: Option<Shared>,
        keeper: Option<Box<dyn Keeper>>,
    ) -> Self {
        Self(Arc::new(Mutex::new(Held { keys, before, keeper })))
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the suite of a program that has just started.
    pub(crate) fn suite(&self, random: Drbg) -> Board<Self> {
        let held = self.held();
        Board::with_store(held.keys.clone(), held.before.clone(), self.clone(), random)
    }
}

impl Held {
    fn keep(&mut self, keys: BoardKeys, before: Option<Shared>) -> bool {
        let kept = self.keeper.as_mut().is_none_or(|keeper| keeper.keep(&keys, before.as_ref()));
        if kept {
            (self.keys, self.before) = (keys, before);
        }
        kept
    }
}

impl Store for Ring {
    fn append(&mut self, keys: &BoardKeys) -> KeyOutcome {
        let mut held = self.held();
        let old = Shared { generation: held.keys.generation, key: held.keys.shared.clone() };
        let before = held.before.clone().unwrap_or(old);
        match held.keep(keys.clone(), Some(before)) {
            true => KeyOutcome::Taken,
            false => KeyOutcome::Failed,
        }
    }

    fn settle(&mut self) {
        let mut held = self.held();
        let keys = held.keys.clone();
        // If it cannot be kept, the server says it again.
        held.keep(keys, None);
    }
}
