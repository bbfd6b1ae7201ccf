//! First messages of a handshake, by the server's machine with real keys.

use std::cell::RefCell;

use pblink_protocol::secure::packet::{Hello, MAX_BYTES, MAX_DOWN, MAX_UP, Packet, VERSION};
use pblink_protocol::secure::server::{Desk, Received, Server, ServerEvent, Visitor};
use pblink_protocol::secure::suite::{BoardSuite, ServerSuite};
use pblink_protocol::secure::{Lines, Outgoing};
use pblink_protocol::time::Instant;
use pblink_secure_suite::binding::HelloKey;
use pblink_secure_suite::board::{Board, Handshake};
use pblink_secure_suite::drbg::Drbg;
use pblink_secure_suite::issue::{Issued, issue};
use pblink_secure_suite::keys::{Id, Secret, ServerKeys};
use pblink_secure_suite::server;

use crate::input::Input;

/// The generation of the keys.
const GENERATION: u32 = 3;
/// The key number of the board's hello.
const KEY: u8 = 5;

/// A source that repeats itself for each seed.
pub(crate) fn random(seed: u8) -> Drbg {
    Drbg::new(&[&[seed; 40]])
}

/// Makes the keys of one id: always the same.
pub(crate) fn issued() -> Issued {
    let mut random = random(1);
    let server = Secret::draw(&mut random);
    let id = Id::new("kitchen").expect("an id");
    issue(&id, GENERATION, &server, &mut random)
}

/// The board, with the one hello that it has made.
struct Honest {
    issued: Issued,
    board: Board,
    challenge: [u8; 16],
    hello: Hello,
    handshake: Handshake,
}

std::thread_local! {
    static HONEST: RefCell<Honest> = RefCell::new(Honest::new());
}

impl Honest {
    fn new() -> Self {
        let issued = issued();
        let mut board = Board::new(issued.board.clone(), random(2));
        let challenge = server::Server::new(issued.server.clone(), random(3)).challenge();
        let (hello, handshake) = board.hello(KEY, &challenge);
        Self { issued, board, challenge, hello, handshake }
    }
}

/// Nothing is kept.
struct Nobody;

impl Desk for Nobody {
    fn deliver(&mut self, _: Received<'_>) -> bool {
        panic!("a line without keys");
    }
    fn resolve(&mut self, _: pblink_protocol::secure::frame::Resume) {
        panic!("a board without keys");
    }
    fn done(&mut self, _: u64) {
        panic!("a board without keys");
    }
    fn datagram(&mut self, _: &str) {
        panic!("a line without keys");
    }
    fn board_event(&mut self, _: u8, _: &[u8]) {
        panic!("an event without keys");
    }
    fn event(&mut self, event: ServerEvent) {
        panic!("{event:?} without keys");
    }
}

impl Lines for Nobody {
    fn after(&self, _: u64) -> Option<Outgoing<'_>> {
        None
    }
}

/// Runs an input: hellos of a stranger, of someone who has the shared key, and the board's, changed or not.
pub fn run(data: &[u8]) {
    run_with(data, |keys| server::Server::new(keys, random(3)));
}

/// Runs it with the server's suite that `suite` makes. Its challenge is the first 16 bytes of the source that is all 3.
pub fn run_with<S: ServerSuite>(data: &[u8], suite: impl FnOnce(ServerKeys) -> S) {
    HONEST.with_borrow_mut(|honest| {
        let mut server = Server::new(suite(honest.issued.server.clone()), 0);
        let mut visitor = Visitor::new(1, Instant::ZERO);
        let ask = Packet::Ask([0; 8]).encode(&mut [0; MAX_UP]).map(str::to_owned);
        server.on_line(Instant::ZERO, &mut visitor, &ask.expect("a line"), &mut Nobody);
        let challenge = said(&mut server, &mut visitor);
        assert_eq!(
            challenge,
            Packet::Challenge(honest.challenge).encode(&mut [0; 99]).map(str::to_owned)
        );
        attack(Input::new(data), &mut server, &mut visitor, honest);
    });
}

fn attack<S: ServerSuite>(
    mut input: Input<'_>,
    server: &mut Server<S>,
    visitor: &mut Visitor,
    honest: &mut Honest,
) {
    // A challenge serves one hello, whatever comes of it.
    let mut used = false;
    let mut curve = 0;
    while !input.is_empty() && curve < 4 {
        let hello = match input.byte() % 4 {
            0 => {
                let line = String::from_utf8_lossy(input.counted());
                let hello = Packet::decode(&line, &mut [0; MAX_BYTES]).ok().and_then(hello_of);
                if hello.is_none() {
                    server.on_line(Instant::ZERO, visitor, &line, &mut Nobody);
                    assert!(!server.wants_compute(), "{line}");
                    assert_eq!(said(server, visitor), None, "{line}");
                }
                hello
            }
            1 => Some(changed(&honest.hello, &mut input)),
            2 => {
                // Whoever has the shared key, and nothing else.
                let mut hello = changed(&honest.hello, &mut input);
                hello.mac =
                    HelloKey::new(&honest.issued.board.shared).mac(&hello, &honest.challenge);
                Some(hello)
            }
            _ => Some(honest.hello),
        };
        let Some(hello) = hello else { continue };
        let line = Packet::Hello(hello).encode(&mut [0; MAX_UP]).map(str::to_owned);
        let before = server.wants_compute();
        server.on_line(Instant::ZERO, visitor, &line.expect("a line"), &mut Nobody);
        let mac = HelloKey::new(&honest.issued.board.shared).mac(&hello, &honest.challenge);
        let right = (hello.version, hello.generation) == (VERSION, GENERATION) && hello.mac == mac;
        assert_eq!(server.wants_compute(), before || right && !used, "{hello:?}");
        if server.wants_compute() {
            used = true;
            curve += 1;
            server.compute(Instant::ZERO, 7);
            let reply = said(server, visitor);
            assert_eq!(reply.is_some(), hello == honest.hello, "{hello:?} gets {reply:?}");
            if let Some(reply) = reply {
                let Ok(Packet::Reply { key: KEY, message }) =
                    Packet::decode(&reply, &mut [0; MAX_BYTES])
                else {
                    panic!("{reply} is no reply");
                };
                assert!(honest.board.finish(&honest.handshake, &message).is_some());
            }
        }
        assert_eq!(said(server, visitor), None, "nothing else is ever said");
    }
}

fn hello_of(packet: Packet<'_>) -> Option<Hello> {
    match packet {
        Packet::Hello(hello) => Some(hello),
        _ => None,
    }
}

/// Changes parts of a hello.
fn changed(hello: &Hello, input: &mut Input<'_>) -> Hello {
    let mut hello = *hello;
    match input.byte() % 8 {
        0 => hello.version = input.byte(),
        1 => hello.key = input.byte(),
        2 => hello.generation ^= 1 << (input.byte() % 32),
        3 => flip(&mut hello.message, input),
        4 => flip(&mut hello.mac, input),
        // Points of low order, and those that are none.
        5 => {
            let fill = input.byte();
            hello.message[..32].fill(fill);
            hello.message[0] = input.byte();
            hello.message[31] = input.byte();
        }
        6 => {
            let bytes = input.bytes(48);
            hello.message[..bytes.len()].copy_from_slice(bytes);
        }
        _ => {}
    }
    hello
}

fn flip(bytes: &mut [u8], input: &mut Input<'_>) {
    for _ in 0..=input.byte() % 4 {
        let at = usize::from(input.byte()) % (8 * bytes.len());
        bytes[at / 8] ^= 1 << (at % 8);
    }
}

/// Returns what the server says to the visitor. It is not to say more than a line at a time.
fn said<S: ServerSuite>(server: &mut Server<S>, visitor: &mut Visitor) -> Option<String> {
    let mut buffer = [0; MAX_DOWN];
    server.transmit(Instant::ZERO, visitor, &Nobody, &mut buffer).map(str::to_owned)
}
