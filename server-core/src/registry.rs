//! The sessions of a server, by the ids of their clients.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

use pblink_protocol::time::Instant;
use tokio::sync::Semaphore;

use crate::event::{Cause, EventKind, Refusal};
use crate::gate::Gate;
use crate::keys::{Keys, Route};
use crate::refusals::Refusals;
use crate::session::{Clock, Limits, Saved, Session, Shared};
use crate::sources::Sources;

/// When the registry is full, this part of it is forgotten at once (at most, and at least one).
const FORGET: usize = 16;

/// Settings that the builder has checked.
#[derive(Debug)]
pub(crate) struct Setup {
    pub(crate) limits: Limits,
    pub(crate) guests: Guests,
    pub(crate) keys: Option<Keys>,
    pub(crate) gate: Option<Gate>,
    pub(crate) max_connections: usize,
    pub(crate) max_pending: usize,
    pub(crate) max_per_address: usize,
}

/// The clients that may connect.
#[derive(Debug, Clone, Default)]
pub(crate) struct Guests {
    pub(crate) expected: BTreeSet<String>,
    pub(crate) allow_unknown: bool,
}

/// The part of a server that handles and tasks share.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) shared: Arc<Shared>,
    /// One permit for each connection, and one for the listener.
    pub(crate) connections: Arc<Semaphore>,
    pub(crate) registry: Mutex<Registry>,
    /// All connections, by where they come from.
    pub(crate) present: Arc<Sources>,
    /// Those of them that no session has yet.
    pub(crate) pending: Arc<Sources>,
    pub(crate) refusals: Refusals,
    /// Nothing else is locked while this is.
    pub(crate) guests: RwLock<Guests>,
    /// `None`: the server was given none, and all links are classic. Nothing else is locked while this is.
    pub(crate) keys: RwLock<Option<Arc<Keys>>>,
    /// Asked before a connection is served.
    pub(crate) gate: Option<Gate>,
    pub(crate) max_connections: usize,
    pub(crate) address: SocketAddr,
}

#[derive(Debug, Default)]
pub(crate) struct Registry {
    pub(crate) sessions: BTreeMap<String, Arc<Session>>,
    /// Ids that the application has asked for: they are not strangers.
    wanted: BTreeSet<String>,
    /// Ids that were forgotten since the owner asked, if it commits.
    forgotten: Vec<String>,
    /// The server was shut down: sessions that are made from now on are over at once.
    over: bool,
    /// The sessions that the shutdown has to give back. Here, so that one that is given up half way loses nothing.
    pub(crate) saved: SavedSessions,
}

/// The sessions of a server that was shut down: what a new server in the same process needs so that
/// nothing is lost or duplicated. See [`Builder::restore`](crate::Builder::restore).
///
/// They hold, for each client that has connected: which messages it has sent (so that a repeated one
/// is known), the lines that it sent and nobody has accepted, and the lines that were written and that it
/// has not acknowledged.
#[derive(Debug, Default)]
pub struct SavedSessions {
    pub(crate) sessions: Vec<(String, Saved)>,
    /// Times in the sessions count from here.
    pub(crate) origin: Option<(Clock, Limits)>,
}

impl SavedSessions {
    /// Returns the number of sessions.
    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    /// Returns true if there are none.
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// Lines that have arrived and that nobody has accepted. Their clients repeat them.
    pub fn unread(&self) -> usize {
        (self.sessions.iter().map(|(_, saved)| saved.lines().0)).sum()
    }

    /// Lines that were written and that are not acknowledged.
    pub fn unacked(&self) -> usize {
        (self.sessions.iter().map(|(_, saved)| saved.lines().1)).sum()
    }

    pub(crate) fn fits(&self, limits: &Limits) -> bool {
        (self.origin).is_none_or(|(_, saved)| {
            saved.timing == limits.timing && saved.max_line == limits.max_line
        })
    }
}

impl Inner {
    pub(crate) fn registry(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn insert(&self, registry: &mut Registry, id: &str) -> Arc<Session> {
        let (id_of, shared) = (id.to_owned(), Arc::clone(&self.shared));
        let session = match self.keys() {
            Some(keys) if keys.route(id) == Route::Secure => Session::secure(id_of, shared, &keys),
            _ => Session::new(id_of, shared),
        };
        if registry.over {
            session.finish();
        }
        (registry.sessions).insert(id.to_owned(), Arc::clone(&session));
        session
    }

    /// Returns the session of a client that the application asks for.
    pub(crate) fn session(&self, id: &str) -> Arc<Session> {
        let mut registry = self.registry();
        if !self.is_expected(id) && !registry.wanted.contains(id) {
            registry.wanted.insert(id.to_owned());
        }
        match registry.sessions.get(id) {
            Some(session) => Arc::clone(session),
            None => self.insert(&mut registry, id),
        }
    }

    /// Returns the keys of boards, if there are any.
    pub(crate) fn keys(&self) -> Option<Arc<Keys>> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns the generation of the keys that the board of this id was the last to prove.
    pub(crate) fn proven_keys(&self, id: &str) -> Option<u32> {
        self.registry().sessions.get(id)?.proven_keys()
    }

    /// Takes other keys. Links whose keys have changed are cut; those of clients that get their first keys begin anew.
    pub(crate) fn set_keys(&self, keys: Keys) {
        let keys = Arc::new(keys);
        let old = {
            let mut place = self.keys.write().unwrap_or_else(PoisonError::into_inner);
            place.replace(Arc::clone(&keys)).unwrap_or_default()
        };
        let mut registry = self.registry();
        let ids: Vec<String> = registry.sessions.keys().cloned().collect();
        for id in ids {
            let Some(session) = registry.sessions.get(&id).cloned() else { continue };
            match (session.is_secure(), keys.route(&id)) {
                // One that had keys does not become classic by losing them.
                (true, _) if old.are_same(&keys, &id) => {}
                (true, _) => session.set_keys(&keys, &old),
                (false, Route::Secure) => {
                    session.give_way();
                    self.insert(&mut registry, &id);
                }
                (false, Route::Stranger) => session.end(Cause::KeysChanged),
                (false, Route::Classic) => {}
            }
        }
        for id in keys.boards() {
            if !registry.sessions.contains_key(id) {
                self.insert(&mut registry, id);
            }
        }
    }

    /// Returns the way of a connection that claims this id.
    pub(crate) fn route(&self, id: &str) -> Route {
        let Some(keys) = self.keys() else { return Route::Classic };
        let known = self.registry().sessions.get(id).is_some_and(|session| session.is_secure());
        match keys.route(id) {
            // From a store: it had keys.
            _ if known => Route::Secure,
            Route::Secure if !self.is_welcome(id) => Route::Stranger,
            route => route,
        }
    }

    fn guests(&self) -> RwLockReadGuard<'_, Guests> {
        self.guests.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the ids of the clients that are expected.
    pub(crate) fn expected(&self) -> BTreeSet<String> {
        self.guests().expected.clone()
    }

    fn is_expected(&self, id: &str) -> bool {
        self.guests().expected.contains(id)
    }

    pub(crate) fn is_welcome(&self, id: &str) -> bool {
        let guests = self.guests();
        guests.allow_unknown || guests.expected.contains(id)
    }

    /// Takes other guests, and closes the links of those that are not welcome any more.
    pub(crate) fn set_guests(&self, guests: Guests) {
        *self.guests.write().unwrap_or_else(PoisonError::into_inner) = guests;
        // Whoever is being admitted at this moment looks once more when it is connected.
        for session in self.sessions() {
            if !self.is_welcome(&session.id) {
                session.end(Cause::NotExpected);
            }
        }
        let mut registry = self.registry();
        let expected = self.expected();
        let Registry { sessions, wanted, .. } = &mut *registry;
        // Known only because they were expected.
        sessions.retain(|id, session| {
            expected.contains(id) || wanted.contains(id) || !session.forget_unseen()
        });
        for id in expected {
            if !registry.sessions.contains_key(&id) {
                self.insert(&mut registry, &id);
            }
        }
    }

    /// Makes room for another client: forgets strangers that are not connected, those that went first
    /// first. A line that was acknowledged and that nobody has taken keeps its session. Tells whether
    /// there is room now.
    fn make_room(&self, registry: &mut Registry) -> bool {
        let mut idle: Vec<(Instant, &String)> = (registry.sessions.iter())
            .filter(|(id, _)| !self.is_expected(id) && !registry.wanted.contains(*id))
            .filter_map(|(id, session)| Some((session.idle_since()?, id)))
            .collect();
        idle.sort_unstable();
        // Several at once: whoever sends stranger after stranger must not cost a search for each.
        idle.truncate((self.shared.limits.max_clients / FORGET).max(1));
        let ids: Vec<String> = idle.into_iter().map(|(_, id)| id.clone()).collect();
        let mut clients = 0;
        for id in ids {
            if registry.sessions.get(&id).is_some_and(|session| session.forget()) {
                registry.sessions.remove(&id);
                if self.shared.limits.commits {
                    registry.forgotten.push(id);
                }
                clients += 1;
            }
        }
        if clients > 0 {
            self.shared.bus.publish(EventKind::Forgotten { clients });
        }
        clients > 0
    }

    /// Returns the session of a client that has sent its hello.
    pub(crate) fn session_of_client(&self, id: &str) -> Result<Arc<Session>, Refusal> {
        if !self.is_welcome(id) {
            return Err(Refusal::UnknownId);
        }
        let mut registry = self.registry();
        if let Some(session) = registry.sessions.get(id) {
            return Ok(Arc::clone(session));
        }
        if registry.sessions.len() >= self.shared.limits.max_clients
            && !self.make_room(&mut registry)
        {
            return Err(Refusal::TooMany);
        }
        Ok(self.insert(&mut registry, id))
    }

    pub(crate) fn take_forgotten(&self) -> Vec<String> {
        std::mem::take(&mut self.registry().forgotten)
    }

    pub(crate) fn sessions(&self) -> Vec<Arc<Session>> {
        self.registry().sessions.values().cloned().collect()
    }

    /// Publishes the last events, and closes the bus.
    pub(crate) fn stopped(&self) {
        for event in self.refusals.rest() {
            self.shared.bus.publish(event);
        }
        self.shared.bus.publish(EventKind::Stopped);
        self.shared.bus.close();
    }

    /// Closes all links, and gives away what is in them.
    pub(crate) fn finish(&self) -> SavedSessions {
        let sessions = {
            let mut registry = self.registry();
            registry.over = true;
            self.shared.newcomers.close();
            self.shared.due.close();
            registry.sessions.values().cloned().collect::<Vec<_>>()
        };
        let saved = sessions.into_iter().filter_map(|session| {
            let saved = session.finish()?;
            saved.is_worth_keeping().then(|| (session.id.clone(), saved))
        });
        SavedSessions {
            sessions: saved.collect(),
            origin: Some((self.shared.clock, self.shared.limits)),
        }
    }
}
