//! Keys of several generations, which a server gives to its board: the server's file, the board's flash, and suites that know them.

use pblink_protocol::secure::frame::KeyOutcome;
use pblink_protocol::secure::packet::Hello;
use pblink_protocol::secure::suite::{BoardSuite, ServerSuite};

use super::rules::Rules;
use super::suite::{self, SymbolicKeys, mac_under};
use crate::rng::Rng;

/// A shared key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shared {
    generation: u32,
    /// Tells it from others of its generation: one that was taken back has a successor of the same number.
    text: u8,
}

impl Shared {
    const FIRST: Self = Self { generation: 1, text: 1 };

    const fn bytes(self) -> [u8; 32] {
        [self.text; 32]
    }
}

/// The server's file of keys: those that it takes, the one that its board is given last.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct File(Vec<Shared>);

impl File {
    /// Makes one with the first key.
    pub fn new() -> Self {
        Self(vec![Shared::FIRST])
    }

    /// Returns true if the board is being given a key.
    pub fn rotates(&self) -> bool {
        self.0.len() > 1
    }

    /// Returns the key that was made last.
    pub fn newest(&self) -> Shared {
        self.0[self.0.len() - 1]
    }

    /// Returns the key of this generation.
    pub fn of(&self, generation: u32) -> Option<Shared> {
        self.0.iter().find(|key| key.generation == generation).copied()
    }

    /// Begins to give the board a key. `text`: tells it from all others.
    pub fn rotate(&mut self, text: u8) {
        let generation = self.0[0].generation + 1;
        self.0.push(Shared { generation, text });
    }

    /// Takes that back.
    pub fn cancel(&mut self) {
        self.0.truncate(1);
    }

    /// Notes that the board has this key: it is the only one then, if it is the one that the board was given.
    pub fn note(&mut self, key: Shared) {
        if self.0.last() == Some(&key) {
            self.0.drain(..self.0.len() - 1);
        }
    }

    /// Returns true if a board with this flash is taken.
    pub fn takes(&self, flash: &Flash) -> bool {
        self.0.iter().any(|key| flash.newest == *key || flash.before == Some(*key))
    }

    /// Returns true if nothing is left to be done: both have one key, or the board may go back to the one that was taken back.
    pub fn is_settled(&self, flash: &Flash) -> bool {
        let old = flash.before.unwrap_or(flash.newest);
        self.0.len() == 1 && self.0[0] == old
    }
}

/// The board's flash, which outlives its power.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Flash {
    newest: Shared,
    /// The key before it, until the newest one is settled.
    before: Option<Shared>,
}

impl Flash {
    /// Makes one with the first key.
    pub const fn new() -> Self {
        Self { newest: Shared::FIRST, before: None }
    }
}

/// The board's half. Its rules are those of [`BoardSuite::take_key`] and [`BoardSuite::settle`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct OfBoard {
    inner: suite::OfBoard,
    /// Its keys.
    pub flash: Flash,
    /// The next hello is made with the key before.
    back: bool,
    rules: Rules,
}

impl OfBoard {
    /// Makes that of a board that has just started.
    pub const fn new(random: Rng, flash: Flash, rules: Rules) -> Self {
        Self { inner: suite::OfBoard(random), flash, back: false, rules }
    }
}

impl BoardSuite for OfBoard {
    type Handshake = u64;
    type Keys = SymbolicKeys;

    fn random(&mut self) -> [u8; 8] {
        self.inner.random()
    }

    fn hello(&mut self, key: u8, challenge: &[u8; 16]) -> (Hello, u64) {
        let shared = self.flash.before.filter(|_| self.back).unwrap_or(self.flash.newest);
        self.back = self.flash.before.is_some() && !self.back;
        let (mut hello, secret) = self.inner.hello(key, challenge);
        hello.generation = shared.generation;
        hello.mac = mac_under(&shared.bytes(), &hello, challenge);
        (hello, secret)
    }

    fn finish(&mut self, mine: &u64, reply: &[u8; 56]) -> Option<(SymbolicKeys, u64)> {
        let finished = self.inner.finish(mine, reply)?;
        self.back = false;
        Some(finished)
    }

    fn take_key(&mut self, generation: u32, shared: &[u8; 32]) -> KeyOutcome {
        let key = Shared { generation, text: shared[0] };
        let Flash { newest, before } = &mut self.flash;
        if key == *newest {
            return KeyOutcome::Taken;
        }
        if generation <= before.unwrap_or(*newest).generation {
            return KeyOutcome::Failed;
        }
        before.get_or_insert(*newest);
        *newest = key;
        self.back = false;
        if self.rules.settles_when_taken {
            *before = None;
        }
        KeyOutcome::Taken
    }

    fn settle(&mut self, generation: u32) {
        if generation == self.flash.newest.generation {
            self.flash.before = None;
            self.back = false;
        }
    }
}

/// The server's half: the keys as its process has read them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct OfServer {
    inner: suite::OfServer,
    file: File,
    rules: Rules,
}

impl OfServer {
    /// Makes that of a process which has read this file.
    pub const fn new(random: Rng, file: File, rules: Rules) -> Self {
        Self { inner: suite::OfServer(random), file, rules }
    }

    /// Returns the one with which a process goes on that has read another file.
    pub fn with(&self, file: File) -> Self {
        Self { file, ..self.clone() }
    }

    /// Returns the file as it was read.
    pub const fn file(&self) -> &File {
        &self.file
    }
}

impl ServerSuite for OfServer {
    type Keys = SymbolicKeys;

    fn challenge(&mut self) -> [u8; 16] {
        self.inner.challenge()
    }

    fn is_authentic(&mut self, hello: &Hello, challenge: &[u8; 16]) -> bool {
        let key = self.file.of(hello.generation);
        key.is_some_and(|key| hello.mac == mac_under(&key.bytes(), hello, challenge))
    }

    fn answer(
        &mut self,
        hello: &Hello,
        challenge: &[u8; 16],
        now_ms: u64,
    ) -> Option<(SymbolicKeys, [u8; 56])> {
        self.inner.answer(hello, challenge, now_ms)
    }

    fn next_key(&self, generation: u32) -> Option<(u32, [u8; 32])> {
        let last = self.file.0.last().filter(|key| key.generation > generation)?;
        Some((last.generation, last.bytes()))
    }

    fn is_settled(&self, generation: u32) -> bool {
        let last = if self.rules.settles_before_note { self.file.0.last() } else { None };
        let keys = last.or(self.file.0.first());
        keys.is_some_and(|key| key.generation == generation)
    }
}
