//! The gateways that share a log, as one of them knows the others.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use pblink_protocol::tcp::line::Escaped;

use super::record::Presence;
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
    /// Name of this one.
    own: String,
    /// What stands for its keys of boards.
    keys: Option<String>,
    /// Names of those with other keys.
    differing: BTreeSet<String>,
    /// Number of the last message of the store.
    last: u64,
    others: BTreeMap<String, Heard>,
    by: HashMap<SocketAddr, String>,
    oldest: VecDeque<SocketAddr>,
}

#[derive(Debug)]
struct Heard {
    behind: u64,
    keys: Option<String>,
    at: Instant,
}

impl Fellows {
    /// Returns the gateways as one of this name knows them at its start.
    pub fn new(own: &str) -> Self {
        Self(Arc::new(Mutex::new(State {
            own: own.to_owned(),
            keys: None,
            differing: BTreeSet::new(),
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

    /// Tells the others which keys of boards this gateway has, by a text that only the same keys have. Where the others' is
    /// another one, both warn: whichever leads serves boards with its own.
    pub fn tell_keys(&self, keys: impl Into<String>) {
        self.lock().keys = Some(keys.into());
    }

    /// Returns what was told of this gateway's keys.
    pub(super) fn keys(&self) -> Option<String> {
        self.lock().keys.clone()
    }

    /// Compares another gateway's keys with those of this one. A word is said of each change.
    pub(super) fn compare(&self, name: &str, keys: Option<&str>) {
        let mut state = self.lock();
        if name == state.own {
            return;
        }
        match differ(state.keys.as_deref(), keys) {
            true if state.differing.len() < MOST && state.differing.insert(name.to_owned()) => {
                tracing::warn!(
                    "gateway {} has other keys of boards than this one: a board that one of them does not know is refused \
                     while that one leads; copy the file of keys (link.keys), and link.classic, to all",
                    Escaped(name)
                );
            }
            false if state.differing.remove(name) => {
                tracing::warn!("gateway {} has the same keys of boards again", Escaped(name));
            }
            _ => {}
        }
    }

    /// Notes that another gateway is there, and how far it has read.
    pub(super) fn note(&self, presence: Presence) {
        let Presence { gateway: name, read, keys } = presence;
        self.compare(&name, keys.as_deref());
        let mut state = self.lock();
        let now = Instant::now();
        state.others.retain(|_, heard| now.saturating_duration_since(heard.at) < FORGOTTEN);
        if name != state.own && (state.others.len() < MOST || state.others.contains_key(&name)) {
            // Compared at once: a second later there is more, and what it has read by then is not known.
            let behind = state.last.saturating_sub(read);
            state.others.insert(name, Heard { behind, keys, at: now });
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

    /// Returns all gateways, as the one that leads knows them: that one first.
    pub fn list(&self) -> Vec<GatewayInfo> {
        let state = self.lock();
        let now = Instant::now();
        let leader = GatewayInfo {
            name: state.own.clone(),
            leads: true,
            behind: 0,
            heard_ms: 0,
            other_keys: false,
        };
        let others = state.others.iter().map(|(name, heard)| GatewayInfo {
            name: name.clone(),
            leads: false,
            behind: heard.behind,
            heard_ms: now.saturating_duration_since(heard.at).as_millis() as u64,
            other_keys: differ(state.keys.as_deref(), heard.keys.as_deref()),
        });
        std::iter::once(leader).chain(others).collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns true if both have told of their keys, and not the same.
pub(super) fn differ(a: Option<&str>, b: Option<&str>) -> bool {
    a.is_some() && b.is_some() && a != b
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_keys_are_known_only_of_a_gateway_that_has_told() {
        let fellows = Fellows::new("a");
        let other_keys = |keys: Option<&str>| {
            let keys = keys.map(str::to_owned);
            fellows.note(Presence { gateway: "b".into(), read: 0, keys });
            let warned = !fellows.lock().differing.is_empty();
            let shown = fellows.list()[1].other_keys;
            assert_eq!(warned, shown);
            shown
        };
        assert!(!other_keys(Some("1")), "its own are not known");
        fellows.tell_keys("1");
        assert!(!other_keys(None));
        assert!(other_keys(Some("2")));
        assert!(!other_keys(Some("1")));
        fellows.tell_keys("2");
        assert!(other_keys(Some("1")));
    }
}
