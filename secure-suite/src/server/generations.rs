//! The keys that a server has for one id, while its board is given the next ones.

use std::vec::Vec;

use pblink_protocol::secure::packet::Hello;
use pblink_protocol::secure::suite::ServerSuite;

use super::{Server, Traffic};
use crate::keys::ServerKeys;
use crate::random::Random;

/// The server's half of the suite, for one id that may have several generations of keys. Each is taken.
///
/// A generation that differs from the newest in its shared key only is exchanged over the link: see
/// [`next_key`](ServerSuite::next_key). One whose board has another private key is not: that one is nobody's but the board's.
#[derive(Debug)]
pub struct Generations<R> {
    /// At least one; the newest first.
    all: Vec<Server<R>>,
}

impl<R: Random> Generations<R> {
    /// Takes the half of one generation.
    pub fn one(server: Server<R>) -> Self {
        Self { all: Vec::from([server]) }
    }

    /// Takes the halves of all generations; `None` without any. `random` makes a source for each.
    pub fn new(
        keys: impl IntoIterator<Item = ServerKeys>,
        mut random: impl FnMut() -> R,
    ) -> Option<Self> {
        let mut all: Vec<_> = keys.into_iter().map(|keys| Server::new(keys, random())).collect();
        all.sort_by_key(|one| core::cmp::Reverse(one.keys.generation));
        (!all.is_empty()).then_some(Self { all })
    }
}

impl<R: Random> ServerSuite for Generations<R> {
    type Keys = Traffic;

    fn challenge(&mut self) -> [u8; 16] {
        self.all[0].challenge()
    }

    fn is_authentic(&mut self, hello: &Hello, challenge: &[u8; 16]) -> bool {
        // Each of them: it tells nobody how many there are.
        self.all.iter_mut().fold(false, |any, one| one.is_authentic(hello, challenge) | any)
    }

    fn answer(
        &mut self,
        hello: &Hello,
        challenge: &[u8; 16],
        now_ms: u64,
    ) -> Option<(Traffic, [u8; 56])> {
        self.all.iter_mut().find_map(|one| one.answer(hello, challenge, now_ms))
    }

    fn next_key(&self, generation: u32) -> Option<(u32, [u8; 32])> {
        let newest = &self.all[0].keys;
        let present = self.all[1..].iter().find(|one| one.keys.generation == generation)?;
        let same_board = present.keys.board == newest.board;
        same_board.then(|| (newest.generation, *newest.shared.expose()))
    }

    fn is_settled(&self, generation: u32) -> bool {
        self.all.last().is_some_and(|oldest| oldest.keys.generation == generation)
    }
}
