//! Sealed packets, by the keys of both ends that a real handshake has made.

use std::cell::RefCell;

use pblink_protocol::secure::packet::{MAX_BYTES, MAX_COUNTER, MAX_FRAMES, MAX_UP, Packet, TAG};
use pblink_protocol::secure::suite::{BoardSuite, Keys, ServerSuite};
use pblink_secure_suite::{board, server};

use crate::hello::{issued, random};
use crate::input::Input;

/// Keys of both ends, and the next counter.
pub struct Pair<B, S> {
    board: B,
    server: S,
    next: u32,
}

impl<B: Keys, S: Keys> Pair<B, S> {
    /// Takes the keys of both ends of one handshake.
    pub const fn new(board: B, server: S) -> Self {
        Self { board, server, next: 0 }
    }
}

/// Makes a handshake.
pub fn shake() -> (board::Traffic, server::Traffic) {
    let issued = issued();
    let mut board = board::Board::new(issued.board, random(2));
    let mut server = server::Server::new(issued.server, random(3));
    let challenge = server.challenge();
    let (hello, handshake) = board.hello(1, &challenge);
    let (above, reply) = server.answer(&hello, &challenge, 7).expect("it is the board's");
    let (below, _) = board.finish(&handshake, &reply).expect("it is the server's");
    (below, above)
}

std::thread_local! {
    static PAIR: RefCell<Pair<board::Traffic, server::Traffic>> = RefCell::new({
        let (board, server) = shake();
        Pair::new(board, server)
    });
}

/// Runs an input: a packet that is sealed and changed, or one of a stranger.
pub fn run(data: &[u8]) {
    PAIR.with_borrow_mut(|pair| {
        // Keys are for a day; a fuzzer has them for longer.
        if pair.next > MAX_COUNTER - 10 {
            let (board, server) = shake();
            *pair = Pair::new(board, server);
        }
        run_with(data, pair);
    });
}

/// Runs it with other keys.
pub fn run_with<B: Keys, S: Keys>(data: &[u8], pair: &mut Pair<B, S>) {
    let Pair { board, server, next } = pair;
    let mut input = Input::new(data);
    if input.byte() & 1 == 0 {
        pass(input, next, board, server);
    } else {
        pass(input, next, server, board);
    }
}

fn pass(mut input: Input<'_>, next: &mut u32, from: &mut impl Keys, to: &mut impl Keys) {
    let way = input.byte();
    let frames = input.counted();
    let frames = &frames[..frames.len().min(MAX_FRAMES)];
    // Used once, and greater than those before.
    *next += 1;
    let counter = *next;
    let mut sealed = [0; MAX_FRAMES + TAG];
    let len = from.seal(counter, frames, &mut sealed).expect("a new counter");
    assert_eq!(len, frames.len() + TAG);
    assert!(frames.len() < 8 || sealed[..frames.len()] != *frames, "nobody can read it");
    assert_eq!(from.seal(counter, frames, &mut [0; MAX_FRAMES + TAG]), None, "{counter} again");
    let mut packet = sealed[..len].to_vec();
    let mut number = counter;
    match way % 6 {
        0 => {}
        1 => {
            for _ in 0..=input.byte() % 3 {
                let at = usize::from(input.byte()) * 256 + usize::from(input.byte());
                let at = at % (8 * len);
                packet[at / 8] ^= 1 << (at % 8);
            }
        }
        2 => packet.truncate(usize::from(input.byte()) % (len + 1)),
        3 => packet.extend_from_slice(input.bytes(3)),
        4 => number = u32::from(input.byte()) << (input.byte() % 17),
        _ => packet = input.rest().iter().copied().take(MAX_FRAMES + TAG).collect(),
    }
    packet.truncate(MAX_FRAMES + TAG);
    let right = (number, &packet[..]) == (counter, &sealed[..len]);
    let mut out = [0; MAX_FRAMES];
    // As it comes: over the carrier, if there is a line for it.
    let mut line = [0; MAX_UP];
    let line = Packet::Sealed { key: 9, counter: number, sealed: &packet }.encode(&mut line);
    let opened = match line.map(str::to_owned) {
        Some(line) => match Packet::decode(&line, &mut [0; MAX_BYTES]) {
            Ok(Packet::Sealed { key: 9, counter, sealed }) => to.open(counter, sealed, &mut out),
            other => panic!("{line} is {other:?}"),
        },
        None => to.open(number, &packet, &mut out),
    };
    assert_eq!(opened, right.then_some(frames.len()), "{number} for {counter}: {packet:?}");
    assert!(opened.is_none_or(|len| out[..len] == *frames));
    // What did not open has changed nothing, and what did opens again: the machines count.
    let opened = to.open(counter, &sealed[..len], &mut out);
    assert_eq!(opened.map(|len| &out[..len]), Some(frames));
    // It is nobody's own.
    assert_eq!(from.open(counter, &sealed[..len], &mut out), None, "a reflection");
}
