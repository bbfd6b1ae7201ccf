//! A board's flash for keys, as tests have it.

#![allow(dead_code, reason = "tests of the cryptography use the rest, by the path of this file")]

use std::sync::{Arc, Mutex, MutexGuard};

use pblink_protocol::secure::frame::KeyOutcome;
use pblink_secure_suite::board::{Board, Shared, Store};
use pblink_secure_suite::drbg::Drbg;
use pblink_secure_suite::keys::BoardKeys;

/// The contents of it.
#[derive(Debug, Default)]
pub struct Flash {
    /// Shared keys, the newest last, and which of them are confirmed.
    pub records: Vec<(Shared, bool)>,
    /// The next write is cut off.
    pub torn: bool,
    pub full: bool,
}

/// The flash, which outlives its board's program.
#[derive(Debug, Clone, Default)]
pub struct Sector(Arc<Mutex<Flash>>);

impl Sector {
    pub fn lock(&self) -> MutexGuard<'_, Flash> {
        self.0.lock().expect("no panic")
    }

    /// Makes the suite of a board that has just started. `keys`: those that came over a cable.
    pub fn open(&self, keys: &BoardKeys, drbg: Drbg) -> Board<Self> {
        let mut flash = self.lock();
        if flash.records.is_empty() {
            let first = Shared { generation: keys.generation, key: keys.shared.clone() };
            flash.records.push((first, true));
        }
        let (newest, confirmed) = flash.records.last().cloned().expect("there is one");
        let before = flash.records.iter().rev().skip(1).find(|it| it.1).map(|it| it.0.clone());
        let Shared { generation, key } = newest;
        let keys = BoardKeys { generation, shared: key, ..keys.clone() };
        Board::with_store(keys, before.filter(|_| !confirmed), self.clone(), drbg)
    }
}

impl Store for Sector {
    fn append(&mut self, keys: &BoardKeys) -> KeyOutcome {
        let mut flash = self.lock();
        if flash.full {
            return KeyOutcome::Full;
        }
        if std::mem::take(&mut flash.torn) {
            return KeyOutcome::Failed;
        }
        let shared = Shared { generation: keys.generation, key: keys.shared.clone() };
        flash.records.push((shared, false));
        KeyOutcome::Taken
    }

    fn settle(&mut self) {
        let mut flash = self.lock();
        if !std::mem::take(&mut flash.torn) {
            flash.records.last_mut().expect("there is one").1 = true;
        }
    }
}
