//! The keys of the boards that speak the secure link, and who may speak the classic one.

use std::collections::{BTreeMap, BTreeSet};

pub(crate) use pblink_secure_suite::Fingerprint;
use pblink_secure_suite::keys::{Id, ServerKeys};
use pblink_secure_suite::server::{Generations, Server};
use sha2::{Digest, Sha256};

use crate::world::Chance;

/// Generations of keys that an id may have at a time: the one that its board has, and the one that it is being given.
const GENERATIONS: usize = 2;

/// The keys of boards, for [`Builder::keys`](crate::Builder::keys).
///
/// An id that has keys, or had some, is served by the secure link and by nothing else, whatever else is said of it. The
/// classic link, in which anyone in the network can be any board, is for ids that are [listed](Self::classic). All other ids
/// get what an id with keys gets whose board does not know them: challenges, and silence. So nobody learns which ids exist.
///
/// ```
/// use pblink_secure_suite::issue::issue;
/// use pblink_secure_suite::keys::{Id, Secret};
/// use pblink_secure_suite::random::Os;
/// use pblink_server::{Keys, Server};
///
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let private = Secret::draw(&mut Os); // the server's, for all boards: keep it
/// let issued = issue(&Id::new("cellar")?, 1, &private, &mut Os); // `issued.board` goes into the board
/// let keys = Keys::new().board(issued.server).classic(["old-thermometer"]);
/// let server = Server::builder().port(0).keys(keys).bind().await?;
/// # server.shutdown().await;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Debug, Clone, Default)]
pub struct Keys {
    /// None of an id that was revoked.
    boards: BTreeMap<String, Vec<ServerKeys>>,
    classic: BTreeSet<String>,
    others_classic: bool,
}

/// The way that a connection goes which claims an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route {
    Classic,
    Secure,
    /// It has no keys, and may not do without.
    Stranger,
}

impl Keys {
    /// Returns none: no id is known.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the keys of a board. Of an id that is there already, the two newest generations are kept: while keys are
    /// rotated, a board may have either.
    pub fn board(mut self, keys: ServerKeys) -> Self {
        let of_id = self.boards.entry(keys.id.as_str().to_owned()).or_default();
        of_id.retain(|old| old.generation != keys.generation);
        of_id.push(keys);
        of_id.sort_by_key(|keys| std::cmp::Reverse(keys.generation));
        of_id.truncate(GENERATIONS);
        self
    }

    /// Takes the keys of an id away. It stays one that had some.
    pub fn revoked(mut self, id: impl Into<String>) -> Self {
        self.boards.insert(id.into(), Vec::new());
        self
    }

    /// Lists ids that are served by the classic link.
    pub fn classic<I>(mut self, ids: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.classic.extend(ids.into_iter().map(Into::into));
        self
    }

    /// Serves all ids without keys by the classic link, listed or not: for the time in which boards get keys one by one. Then
    /// whoever watches which ids are served so learns which have none. Default false.
    pub fn others_classic(mut self, classic: bool) -> Self {
        self.others_classic = classic;
        self
    }

    /// Returns a value that tells these keys from others, and nothing of what they are: for servers of which each has to serve
    /// the same boards. Of an id that is being given new keys, those count.
    pub fn digest(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        let mut add = |part: &[u8]| {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        };
        for (id, keys) in &self.boards {
            add(id.as_bytes());
            add(&[u8::from(!keys.is_empty())]);
            if let Some(newest) = keys.first() {
                add(&newest.generation.to_le_bytes());
                add(&newest.board.0);
                // Of 32 random bytes each, nothing is learnt from the hash.
                add(newest.private.expose());
                add(newest.shared.expose());
            }
        }
        for id in self.classic.iter().filter(|id| !self.boards.contains_key(*id)) {
            add(b"classic");
            add(id.as_bytes());
        }
        add(&[u8::from(self.others_classic)]);
        hash.finalize().into()
    }

    /// Returns all ids that are named here.
    pub(crate) fn ids(&self) -> impl Iterator<Item = &String> {
        self.boards.keys().chain(&self.classic)
    }

    /// Returns all ids that have keys, or had some.
    pub(crate) fn boards(&self) -> impl Iterator<Item = &String> {
        self.boards.keys()
    }

    pub(crate) fn route(&self, id: &str) -> Route {
        match self.boards.contains_key(id) {
            true => Route::Secure,
            false if self.others_classic || self.classic.contains(id) => Route::Classic,
            false => Route::Stranger,
        }
    }

    /// Returns the fingerprint of the board's public key.
    pub(crate) fn fingerprint(&self, id: &str) -> Option<Fingerprint> {
        Some(self.boards.get(id)?.first()?.board.fingerprint())
    }

    /// Returns the keys of this id, the newest first; none if it has none.
    fn of(&self, id: &str) -> &[ServerKeys] {
        self.boards.get(id).map(Vec::as_slice).unwrap_or_default()
    }

    /// Returns true if the keys of this id are the same there.
    pub(crate) fn are_same(&self, other: &Self, id: &str) -> bool {
        let (here, there) = (self.of(id), other.of(id));
        here.len() == there.len() && here.iter().zip(there).all(|(a, b)| is_same(a, b))
    }

    /// Returns true if the keys of this id and generation are the same there.
    pub(crate) fn has_same(&self, other: &Self, id: &str, generation: u32) -> bool {
        let there = other.of(id);
        let is_there = |keys: &ServerKeys| there.iter().any(|other| is_same(keys, other));
        self.of(id).iter().any(|keys| keys.generation == generation && is_there(keys))
    }

    /// Returns the cryptography for this id.
    pub(crate) fn suite(&self, id: &str) -> Suite {
        Suite::new(self.of(id).iter().cloned(), || Chance).unwrap_or_else(|| {
            // No board has these keys, so its id may be any.
            let id = Id::new(id).or_else(|_| Id::new("?")).expect("a question mark can be an id");
            Suite::one(Server::stranger(id, Chance))
        })
    }
}

fn is_same(a: &ServerKeys, b: &ServerKeys) -> bool {
    (a.generation, a.board) == (b.generation, b.board)
        && a.shared.expose() == b.shared.expose()
        && a.private.expose() == b.private.expose()
}

/// The cryptography for one id.
pub(crate) type Suite = Generations<Chance>;

#[cfg(test)]
mod tests {
    use pblink_secure_suite::issue::issue;
    use pblink_secure_suite::keys::Secret;
    use pblink_secure_suite::random::Os;

    use super::*;

    #[test]
    fn keys_of_two_servers_are_compared_without_being_told() {
        let private = Secret::draw(&mut Os);
        let of = |id: &str, generation| {
            issue(&Id::new(id).unwrap(), generation, &private, &mut Os).server
        };
        let (old, new, other) = (of("a", 1), of("a", 2), of("b", 1));
        let both = || Keys::new().board(old.clone()).board(other.clone());
        assert_eq!(both().digest(), Keys::new().board(other.clone()).board(old.clone()).digest());
        // While a board is given new keys, and afterwards: both servers serve it with these.
        let given = both().board(new.clone());
        assert_eq!(given.digest(), Keys::new().board(other.clone()).board(new).digest());
        let all = [
            both(),
            given,
            both().revoked("a"),
            both().classic(["c"]),
            both().others_classic(true),
            Keys::new().board(old.clone()),
            Keys::new().board(of("a", 1)).board(other.clone()),
            Keys::new(),
        ];
        let different: BTreeSet<_> = all.iter().map(Keys::digest).collect();
        assert_eq!(different.len(), all.len());
        // The keys decide for an id that is listed, too.
        assert_eq!(both().classic(["a"]).digest(), both().digest());
    }
}
