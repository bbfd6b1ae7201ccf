//! The board's half against the server's.

mod forger;
mod handshake;
mod lines;
mod machines;
mod prologue;
mod quiet;
mod rotation;
#[path = "../../../endurance/src/client/sector.rs"]
mod sector;
mod thefts;
mod traffic;

use pblink_protocol::secure::packet::Hello;
use pblink_protocol::secure::suite::{BoardSuite, ServerSuite};
use pblink_secure_suite::board::{self, Board};
use pblink_secure_suite::drbg::Drbg;
use pblink_secure_suite::issue::{Issued, issue};
use pblink_secure_suite::keys::{Id, Secret};
use pblink_secure_suite::server::{self, Server};

/// The time of all replies, in ms since 1970.
const NOW: u64 = 1_764_000_000_000;

/// A source that repeats itself for each seed.
fn random(seed: u64) -> Drbg {
    Drbg::new(&[&[0x5a; 40], &seed.to_be_bytes()])
}

fn id() -> Id {
    Id::new("kitchen").unwrap()
}

/// Keys for the id, those of one seed.
fn issued(seed: u64) -> Issued {
    let mut random = random(seed);
    let server = Secret::draw(&mut random);
    issue(&id(), 3, &server, &mut random)
}

/// Both ends.
struct Ends {
    board: Board,
    server: Server<Drbg>,
}

impl Ends {
    fn new(seed: u64) -> Self {
        Self::of(&issued(seed), seed)
    }

    fn of(issued: &Issued, seed: u64) -> Self {
        let drbg =
            Drbg::new(&[issued.seed.expose(), b"the board's unique id", &seed.to_be_bytes()]);
        Self {
            board: Board::new(issued.board.clone(), drbg),
            server: Server::new(issued.server.clone(), random(!seed)),
        }
    }

    /// A challenge, and the hello to it.
    fn hello(&mut self) -> (Hello, [u8; 16], board::Handshake) {
        let challenge = self.server.challenge();
        let (hello, handshake) = self.board.hello(5, &challenge);
        (hello, challenge, handshake)
    }

    /// A whole handshake.
    fn shake(&mut self) -> (board::Traffic, server::Traffic) {
        let (hello, challenge, handshake) = self.hello();
        assert!(self.server.is_authentic(&hello, &challenge));
        let (above, reply) = self.server.answer(&hello, &challenge, NOW).unwrap();
        let (below, now) = self.board.finish(&handshake, &reply).unwrap();
        assert_eq!(now, NOW);
        (below, above)
    }
}
