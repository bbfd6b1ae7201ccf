//! The keys of a server.

use pblink_secure_suite::Fingerprint;
use pblink_secure_suite::issue::Issued;
use pblink_secure_suite::keys::{Id, PublicKey, Secret, ServerKeys};
use pblink_secure_suite::random::Os;
use pblink_secure_suite::server::public_key;

/// The keys of a server and its boards.
#[derive(Debug, Clone)]
pub struct KeyFile {
    /// The server's private key, for all boards.
    pub(super) server: Secret,
    /// The boards, in the order in which they got keys.
    pub(super) boards: Vec<Entry>,
    /// Ids whose keys were taken away.
    pub(super) revoked: Vec<Revoked>,
}

/// Keys of one id. It has one of both at least.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(super) id: Id,
    /// The keys that its board has.
    pub(super) current: Option<Half>,
    /// Keys that its board is being given, and perhaps has.
    pub(super) next: Option<Half>,
}

/// The server's half of keys.
#[derive(Debug, Clone)]
pub(crate) struct Half {
    pub(super) generation: u32,
    pub(super) public: PublicKey,
    pub(super) shared: Secret,
    /// Time at which they were made, in RFC 3339.
    pub(super) issued: String,
}

/// An id whose keys were taken away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Revoked {
    pub(super) id: Id,
    /// The last generation that it had.
    pub(super) generation: u32,
    /// Time, in RFC 3339.
    pub(super) at: String,
}

/// State of an id's keys, without the keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) id: String,
    /// The keys that its board has.
    pub(crate) current: Option<Shown>,
    /// Keys that its board is being given.
    pub(crate) next: Option<Shown>,
    /// It is given them over its link.
    pub(crate) over_link: bool,
    /// Generation and time of a revocation.
    pub(crate) revoked: Option<(u32, String)>,
}

/// A key, as it may be seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) generation: u32,
    pub(crate) public: PublicKey,
    pub(crate) issued: String,
}

impl Shown {
    /// Returns what people compare.
    pub(crate) fn fingerprint(&self) -> Fingerprint {
        self.public.fingerprint()
    }
}

impl Half {
    fn shown(&self) -> Shown {
        Shown { generation: self.generation, public: self.public, issued: self.issued.clone() }
    }

    /// Returns true if these are the same keys.
    fn is(&self, other: &ServerKeys) -> bool {
        self.generation == other.generation
            && self.public == other.board
            && self.shared.expose() == other.shared.expose()
    }
}

impl Entry {
    /// Returns true if its board is being given a key over its link: one that differs from the present one in nothing else.
    fn goes_over_link(&self) -> bool {
        let public = |half: &Option<Half>| half.as_ref().map(|half| half.public);
        self.next.is_some() && public(&self.current) == public(&self.next)
    }

    fn newest(&self) -> u32 {
        let generations =
            [&self.current, &self.next].map(|half| half.as_ref().map(|h| h.generation));
        generations.into_iter().flatten().max().unwrap_or(0)
    }
}

/// Returns the time of day in RFC 3339.
pub(super) fn now() -> String {
    humantime::format_rfc3339_seconds(std::time::SystemTime::now()).to_string()
}

impl KeyFile {
    /// Makes one without boards, with a new key of the server.
    pub(crate) fn new() -> Self {
        Self { server: Secret::draw(&mut Os), boards: Vec::new(), revoked: Vec::new() }
    }

    /// Returns the server's private key.
    pub(crate) fn server(&self) -> &Secret {
        &self.server
    }

    /// Returns the server's public key.
    pub(crate) fn server_public(&self) -> PublicKey {
        public_key(&self.server)
    }

    /// Returns the keys with which the server answers boards: of an id that is being given new ones, both.
    pub fn server_keys(&self) -> impl Iterator<Item = ServerKeys> + '_ {
        self.boards.iter().flat_map(|entry| {
            [&entry.current, &entry.next].into_iter().flatten().map(|half| ServerKeys {
                id: entry.id.clone(),
                generation: half.generation,
                private: self.server.clone(),
                board: half.public,
                shared: half.shared.clone(),
            })
        })
    }

    /// Returns the ids whose keys were taken away.
    pub fn revoked(&self) -> impl Iterator<Item = &str> {
        self.revoked.iter().map(|revoked| revoked.id.as_str())
    }

    /// Returns all ids: those with keys, then those that were revoked.
    pub(crate) fn known(&self) -> Vec<Known> {
        let boards = self.boards.iter().map(|entry| Known {
            id: entry.id.as_str().to_owned(),
            current: entry.current.as_ref().map(Half::shown),
            next: entry.next.as_ref().map(Half::shown),
            over_link: entry.goes_over_link(),
            revoked: None,
        });
        let revoked = self.revoked.iter().map(|revoked| Known {
            id: revoked.id.as_str().to_owned(),
            current: None,
            next: None,
            over_link: false,
            revoked: Some((revoked.generation, revoked.at.clone())),
        });
        boards.chain(revoked).collect()
    }

    /// Returns what is known of an id.
    pub(crate) fn of(&self, id: &str) -> Option<Known> {
        self.known().into_iter().find(|known| known.id == id)
    }

    /// Returns a generation for new keys of an id: greater than all that it has had here, and than `at_board`.
    pub(super) fn next_generation(&self, id: &Id, at_board: Option<u32>) -> u32 {
        let entry = self.entry(id).map(Entry::newest);
        let revoked = self.revoked.iter().find(|revoked| revoked.id == *id).map(|r| r.generation);
        let newest = [entry, revoked, at_board].into_iter().flatten().max().unwrap_or(0);
        newest.saturating_add(1)
    }

    /// Enters keys that a board is being given, in place of others that it was being given. It keeps those that it has.
    pub(super) fn prepare(&mut self, issued: &Issued) {
        let keys = &issued.server;
        let next = Some(Half {
            generation: keys.generation,
            public: keys.board,
            shared: keys.shared.clone(),
            issued: now(),
        });
        self.revoked.retain(|revoked| revoked.id != keys.id);
        match self.boards.iter_mut().find(|entry| entry.id == keys.id) {
            Some(entry) => entry.next = next,
            None => self.boards.push(Entry { id: keys.id.clone(), current: None, next }),
        }
    }

    /// Makes the next shared key of an id, which its board is to be given over its link: everything else of its keys stays. `None`:
    /// the id has none, or is being given some already.
    pub(crate) fn rotate(&mut self, id: &Id) -> Option<Shown> {
        let generation = self.next_generation(id, None);
        let entry = self.boards.iter_mut().find(|entry| entry.id == *id)?;
        let public = entry.current.as_ref().filter(|_| entry.next.is_none())?.public;
        let next = Half { generation, public, shared: Secret::draw(&mut Os), issued: now() };
        let shown = next.shown();
        entry.next = Some(next);
        Some(shown)
    }

    /// Returns the keys that boards are being given over their links.
    pub(crate) fn over_link(&self) -> impl Iterator<Item = ServerKeys> + '_ {
        self.server_keys().filter(|keys| {
            let entry = self.entry(&keys.id);
            entry.is_some_and(|entry| {
                entry.goes_over_link() && entry.next.as_ref().is_some_and(|next| next.is(keys))
            })
        })
    }

    /// Notes that a board has these keys. Those before them, and others that it was being given, are gone. `false`: they
    /// are not among its keys.
    pub(crate) fn settle(&mut self, keys: &ServerKeys) -> bool {
        let Some(entry) = self.boards.iter_mut().find(|entry| entry.id == keys.id) else {
            return false;
        };
        if let Some(next) = entry.next.take_if(|next| next.is(keys)) {
            entry.current = Some(next);
        }
        entry.current.as_ref().is_some_and(|current| current.is(keys))
    }

    /// Ends a rotation: the new keys are the only ones then, or, if `keep_old`, those before. `None`: the id is not being
    /// given keys beside those that it has.
    pub(crate) fn end_rotation(&mut self, id: &str, keep_old: bool) -> Option<Shown> {
        let entry = self.boards.iter_mut().find(|entry| entry.id.as_str() == id)?;
        entry.current.as_ref()?;
        let next = entry.next.take()?;
        if !keep_old {
            entry.current = Some(next);
        }
        entry.current.as_ref().map(Half::shown)
    }

    /// Takes the keys of an id away, and remembers it. `None`: it has none.
    pub(crate) fn revoke(&mut self, id: &str) -> Option<u32> {
        let at = self.boards.iter().position(|entry| entry.id.as_str() == id)?;
        let entry = self.boards.remove(at);
        let generation = entry.newest();
        self.revoked.push(Revoked { id: entry.id, generation, at: now() });
        Some(generation)
    }

    /// Returns true if the board's keys are those that it has by this file, or those that it is being given.
    pub(super) fn knows(&self, keys: &ServerKeys) -> bool {
        let entry = self.entry(&keys.id);
        let is = |half: &Option<Half>| half.as_ref().is_some_and(|half| half.is(keys));
        entry.is_some_and(|entry| is(&entry.current) || is(&entry.next))
    }

    fn entry(&self, id: &Id) -> Option<&Entry> {
        self.boards.iter().find(|entry| entry.id == *id)
    }
}
