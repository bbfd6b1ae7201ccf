//! Keys, cryptography and memory of simulated boards with a secure link.

mod memory;
mod ring;
mod suite;
mod symbolic;

use pblink_protocol::app::secure::SecureApp;
use pblink_secure_suite::board::Shared;
use pblink_secure_suite::drbg::Drbg;
use pblink_secure_suite::issue::{Issued, issue};
use pblink_secure_suite::keys::{BoardKeys, Id, Secret};
use pblink_secure_suite::random::{Os, Random};

pub(crate) use memory::Ram;
pub use ring::Keeper;
pub(crate) use ring::Ring;
pub(crate) use suite::{OfBoard, OfServer};
use symbolic::Symbolic;

/// The application base of a simulated STM32.
pub(crate) type App = SecureApp<OfBoard, Option<Ram>>;

/// The kind of cryptography between simulated boards and the server of a [`World`](crate::world::World).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cryptography {
    /// That of the wire, by the two implementations that real boards and servers have.
    Real,
    /// None: keys are recognised by checksums, so that thousands of runs take little time.
    Symbolic,
}

/// The keys of a simulated board.
#[derive(Debug, Clone)]
pub struct PairKeys(Kind);

#[derive(Debug, Clone)]
enum Kind {
    Real { ring: Ring, seed: Secret },
    Symbolic(u64),
}

impl From<BoardKeys> for PairKeys {
    /// Takes real keys, for a server that has their other half. The board's random bytes come from the operating system. Keys that
    /// it is given over its link end with the process.
    fn from(keys: BoardKeys) -> Self {
        Self::real(Ring::new(keys, None, None), Secret::draw(&mut Os))
    }
}

impl PairKeys {
    /// Takes real keys, and the shared key before them if these are not settled. `keeper` has those that the board is given over
    /// its link, from then on.
    pub fn kept(keys: BoardKeys, before: Option<Shared>, keeper: impl Keeper + 'static) -> Self {
        Self::real(Ring::new(keys, before, Some(Box::new(keeper))), Secret::draw(&mut Os))
    }

    /// Takes real keys, and the seed of the board's random bytes: for simulations that want the same run twice.
    pub fn seeded(keys: BoardKeys, seed: Secret) -> Self {
        Self::real(Ring::new(keys, None, None), seed)
    }

    const fn real(ring: Ring, seed: Secret) -> Self {
        Self(Kind::Real { ring, seed })
    }

    /// Makes the cryptography of a program that has just started. `start` differs from that of any other start.
    pub(crate) fn suite(&self, start: u64) -> OfBoard {
        match &self.0 {
            Kind::Real { ring, seed } => {
                let random = Drbg::new(&[seed.expose(), b"simulated", &start.to_be_bytes()]);
                OfBoard::Real(ring.suite(random).into())
            }
            Kind::Symbolic(shared) => OfBoard::Symbolic(Symbolic::new(*shared, start)),
        }
    }
}

/// Numbers that follow from a seed. What is drawn from them is secret from nobody.
#[derive(Debug, Clone)]
pub(crate) struct Seeded(pub(crate) fastrand::Rng);

impl Random for Seeded {
    fn fill(&mut self, out: &mut [u8]) {
        self.0.fill(out);
    }
}

/// A server's keys for one board.
#[derive(Debug, Clone)]
pub(crate) struct ServerSide(ServerKind);

#[derive(Debug, Clone)]
enum ServerKind {
    Real(Box<pblink_secure_suite::keys::ServerKeys>),
    Symbolic(u64),
}

impl ServerSide {
    /// Makes the cryptography of a process that has just started.
    pub(crate) fn suite(&self, random: fastrand::Rng) -> OfServer {
        match &self.0 {
            ServerKind::Real(keys) => OfServer::Real(
                pblink_secure_suite::server::Server::new(*keys.clone(), Seeded(random)).into(),
            ),
            ServerKind::Symbolic(shared) => {
                let mut random = random;
                OfServer::Symbolic(Symbolic::new(*shared, random.u64(..)))
            }
        }
    }
}

/// Makes the keys of both ends for the board with this id.
pub(crate) fn keys_of(
    cryptography: Cryptography,
    id: &str,
    rng: &mut fastrand::Rng,
) -> (PairKeys, ServerSide) {
    match cryptography {
        Cryptography::Symbolic => {
            let shared = rng.u64(..);
            (PairKeys(Kind::Symbolic(shared)), ServerSide(ServerKind::Symbolic(shared)))
        }
        Cryptography::Real => {
            let mut random = Seeded(rng.fork());
            let own = Secret::draw(&mut random);
            let id = Id::new(id).expect("the world's own ids can be used");
            let Issued { board, seed, server } = issue(&id, 1, &own, &mut random);
            (PairKeys::seeded(board, seed), ServerSide(ServerKind::Real(server.into())))
        }
    }
}
