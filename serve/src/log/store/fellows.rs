//! The gateways that share a log, as the one that leads knows them.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::log::GatewayInfo;

/// A gateway that has said nothing for this long is not shown any more.
const FORGOTTEN: Duration = Duration::from_secs(24 * 3600);

/// Gateways that are remembered.
const MOST: usize = 64;

/// Addresses of boards that other gateways have passed on, of which the oldest go first: more than boards are served at a time.
const PASSED: usize = 64 * 1024;

/// The gateways of a store. Clones are the same.
#[derive(Debug, Clone)]
pub struct Fellows(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    /// Name of the one that leads, this one.
    own: String,
    /// Number of the last message of the store.
    last: u64,
    others: BTreeMap<String, Heard>,
    by: HashMap<SocketAddr, String>,
    oldest: VecDeque<SocketAddr>,
}

#[derive(Debug)]
struct Heard {
    behind: u64,
    at: Instant,
}

impl Fellows {
    /// Returns the gateways as one that begins to lead, with this name, knows them.
    pub fn new(own: &str) -> Self {
        Self(Arc::new(Mutex::new(State {
            own: own.to_owned(),
            last: 0,
            others: BTreeMap::new(),
            by: HashMap::new(),
            oldest: VecDeque::new(),
        })))
    }

    /// Notes the number of the last message.
    pub(super) fn note_last(&self, last: u64) {
        self.lock().last = last;
    }

    /// Notes that another gateway is there, and has read this far.
    pub(super) fn note(&self, name: String, read: u64) {
        let mut state = self.lock();
        let now = Instant::now();
        state.others.retain(|_, heard| now.saturating_duration_since(heard.at) < FORGOTTEN);
        if name != state.own && (state.others.len() < MOST || state.others.contains_key(&name)) {
            // Compared at once: a second later there is more, and what it has read by then is not known.
            let behind = state.last.saturating_sub(read);
            state.others.insert(name, Heard { behind, at: now });
        }
    }

    /// Notes the gateway by which a board has come.
    pub(crate) fn note_way(&self, peer: SocketAddr, gateway: &str) {
        let mut state = self.lock();
        if state.by.insert(peer, gateway.to_owned()).is_none() {
            state.oldest.push_back(peer);
        }
        if state.oldest.len() > PASSED
            && let Some(peer) = state.oldest.pop_front()
        {
            state.by.remove(&peer);
        }
    }

    /// Returns the gateway by which the board at this address has come.
    pub fn way_of(&self, peer: SocketAddr) -> String {
        let state = self.lock();
        state.by.get(&peer).unwrap_or(&state.own).clone()
    }

    /// Returns all gateways, the one that leads first.
    pub fn list(&self) -> Vec<GatewayInfo> {
        let state = self.lock();
        let now = Instant::now();
        let leader = GatewayInfo { name: state.own.clone(), leads: true, behind: 0, heard_ms: 0 };
        let others = state.others.iter().map(|(name, heard)| GatewayInfo {
            name: name.clone(),
            leads: false,
            behind: heard.behind,
            heard_ms: now.saturating_duration_since(heard.at).as_millis() as u64,
        });
        std::iter::once(leader).chain(others).collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
