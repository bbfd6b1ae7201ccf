//! The cryptography of a simulated end: the real one, or a symbolic one.

use pblink_protocol::secure::frame::KeyOutcome;
use pblink_protocol::secure::packet::Hello;
use pblink_protocol::secure::suite::{BoardSuite, Keys, ServerSuite};
use pblink_secure_suite::{board, server};

use super::symbolic::{Symbolic, SymbolicKeys};
use super::{Ring, Seeded};

/// A board's half.
#[derive(Debug)]
pub(crate) enum OfBoard {
    Real(Box<board::Board<Ring>>),
    Symbolic(Symbolic),
}

/// A handshake of a board.
#[derive(Debug)]
pub(crate) enum BoardHandshake {
    Real(Box<board::Handshake>),
    Symbolic(u64),
}

/// A server's half.
#[derive(Debug)]
pub(crate) enum OfServer {
    Real(Box<server::Server<Seeded>>),
    Symbolic(Symbolic),
}

/// Keys, of one implementation or the other.
#[derive(Debug)]
pub(crate) enum Either<R> {
    Real(Box<R>),
    Symbolic(SymbolicKeys),
}

impl<R: Keys> Keys for Either<R> {
    fn seal(&mut self, counter: u32, frames: &[u8], out: &mut [u8]) -> Option<usize> {
        match self {
            Self::Real(keys) => keys.seal(counter, frames, out),
            Self::Symbolic(keys) => keys.seal(counter, frames, out),
        }
    }

    fn open(&mut self, counter: u32, sealed: &[u8], out: &mut [u8]) -> Option<usize> {
        match self {
            Self::Real(keys) => keys.open(counter, sealed, out),
            Self::Symbolic(keys) => keys.open(counter, sealed, out),
        }
    }
}

impl BoardSuite for OfBoard {
    type Handshake = BoardHandshake;
    type Keys = Either<board::Traffic>;

    fn random(&mut self) -> [u8; 8] {
        match self {
            Self::Real(suite) => suite.random(),
            Self::Symbolic(suite) => suite.random(),
        }
    }

    fn hello(&mut self, key: u8, challenge: &[u8; 16]) -> (Hello, BoardHandshake) {
        match self {
            Self::Real(suite) => {
                let (hello, handshake) = suite.hello(key, challenge);
                (hello, BoardHandshake::Real(handshake.into()))
            }
            Self::Symbolic(suite) => {
                let (hello, handshake) = suite.hello(key, challenge);
                (hello, BoardHandshake::Symbolic(handshake))
            }
        }
    }

    fn finish(
        &mut self,
        handshake: &BoardHandshake,
        reply: &[u8; 56],
    ) -> Option<(Self::Keys, u64)> {
        match (self, handshake) {
            (Self::Real(suite), BoardHandshake::Real(handshake)) => {
                let (keys, time) = suite.finish(handshake, reply)?;
                Some((Either::Real(keys.into()), time))
            }
            (Self::Symbolic(suite), BoardHandshake::Symbolic(handshake)) => {
                let (keys, time) = suite.finish(*handshake, reply)?;
                Some((Either::Symbolic(keys), time))
            }
            _ => None,
        }
    }

    fn take_key(&mut self, generation: u32, shared: &[u8; 32]) -> KeyOutcome {
        match self {
            Self::Real(suite) => suite.take_key(generation, shared),
            Self::Symbolic(_) => KeyOutcome::Unsupported,
        }
    }

    fn settle(&mut self, generation: u32) {
        if let Self::Real(suite) = self {
            suite.settle(generation);
        }
    }
}

impl ServerSuite for OfServer {
    type Keys = Either<server::Traffic>;

    fn challenge(&mut self) -> [u8; 16] {
        match self {
            Self::Real(suite) => suite.challenge(),
            Self::Symbolic(suite) => suite.challenge(),
        }
    }

    fn is_authentic(&mut self, hello: &Hello, challenge: &[u8; 16]) -> bool {
        match self {
            Self::Real(suite) => suite.is_authentic(hello, challenge),
            Self::Symbolic(suite) => suite.is_authentic(hello, challenge),
        }
    }

    fn answer(
        &mut self,
        hello: &Hello,
        challenge: &[u8; 16],
        now_ms: u64,
    ) -> Option<(Self::Keys, [u8; 56])> {
        match self {
            Self::Real(suite) => {
                let (keys, reply) = suite.answer(hello, challenge, now_ms)?;
                Some((Either::Real(keys.into()), reply))
            }
            Self::Symbolic(suite) => {
                let (keys, reply) = suite.answer(hello, now_ms);
                Some((Either::Symbolic(keys), reply))
            }
        }
    }
}
