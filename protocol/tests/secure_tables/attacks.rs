//! Someone on the path, and someone in the same network, against both ends.

use pblink_protocol::secure::packet::{Hello, MAX_BYTES, Packet};
use pblink_protocol::secure::suite::ServerSuite;
use suite::SymbolicKeys;

use super::*;

/// Runs a session with lines both ways, and records all that passes: up, and down.
fn recorded() -> (Both, Vec<String>, Vec<String>) {
    let (mut up, mut down) = (Vec::new(), Vec::new());
    let mut both = Both::new();
    both.visitor = Visitor::new(1, s(0));
    both.board.on_server(s(0), true);
    both.rows = Rows(3);
    for _ in 0..3 {
        both.board.write(s(0), "a line").expect("there is room");
    }
    loop {
        both.board.compute(s(0));
        let said = both.said(s(0));
        if let Some(line) = &said {
            both.give(s(0), line);
        }
        both.server.compute(s(0), TIME);
        both.commit(s(0));
        let answered = both.answered(s(0));
        if let Some(line) = &answered {
            both.board.on_line(s(0), line);
        }
        while both.board.read_line(|_| ()).is_some() {
            both.board.accept();
        }
        if said.is_none() && answered.is_none() {
            break;
        }
        up.extend(said);
        down.extend(answered);
    }
    assert_eq!((both.notes.lines.len(), both.notes.done.last()), (3, Some(&3)));
    (both, up, down)
}

#[test]
fn a_whole_session_that_is_shown_again_delivers_and_changes_nothing() {
    let (mut both, up, down) = recorded();
    // To the board, over its own connection, with what it said itself among it.
    let done = both.board.memory().view();
    for line in down.iter().chain(&up) {
        both.board.on_line(s(1), line);
    }
    assert!(both.board.is_up() && !both.board.has_line());
    assert_eq!(both.board.memory().view(), done);
    // To the server, over another connection, with what it said itself among it.
    let before = both.notes.resumes.len();
    let mut thief = Visitor::new(2, s(1));
    for line in up.iter().chain(&down) {
        both.server.on_line(s(1), &mut thief, line, &mut both.notes);
        assert!(!both.server.wants_compute(), "{line}");
    }
    assert_eq!((both.notes.lines.len(), both.notes.resumes.len()), (3, before));
    assert_eq!(both.server.carrier(), Some(1));
    // To the server's next process, which has no keys.
    let mut next = Server::new(OfServer(Rng(5)), 3);
    let mut notes = Notes::default();
    let mut visitor = Visitor::new(1, s(1));
    let mut said = Vec::new();
    for line in up.iter().chain(&down) {
        next.on_line(s(1), &mut visitor, line, &mut notes);
        assert!(!next.wants_compute(), "{line}");
        let buffer = &mut [0; MAX_DOWN];
        said.extend(next.transmit(s(1), &mut visitor, &Rows(3), buffer).map(str::to_owned));
    }
    assert!(notes.lines.is_empty() && notes.resumes.is_empty() && next.carrier().is_none());
    assert_eq!(said.len(), 1, "one challenge a second: {said:?}");
    assert!(said[0].starts_with("~c"));
}

/// A suite whose work is counted.
struct Counting(OfServer);

std::thread_local! {
    /// MACs that were checked, and handshakes that were answered.
    static WORK: std::cell::Cell<(u32, u32)> = const { std::cell::Cell::new((0, 0)) };
}

impl ServerSuite for Counting {
    type Keys = SymbolicKeys;

    fn challenge(&mut self) -> [u8; 16] {
        self.0.challenge()
    }

    fn is_authentic(&mut self, hello: &Hello, challenge: &[u8; 16]) -> bool {
        WORK.set((WORK.get().0 + 1, WORK.get().1));
        self.0.is_authentic(hello, challenge)
    }

    fn answer(
        &mut self,
        hello: &Hello,
        challenge: &[u8; 16],
        now_ms: u64,
    ) -> Option<(SymbolicKeys, [u8; 56])> {
        WORK.set((WORK.get().0, WORK.get().1 + 1));
        self.0.answer(hello, challenge, now_ms)
    }
}

#[test]
fn hellos_of_strangers_are_one_mac_each_and_no_arithmetic_on_the_curve() {
    let (_, hello) = Both::greeting(s(0));
    let Ok(Packet::Hello(right)) = Packet::decode(&hello, &mut [0; MAX_BYTES]) else {
        panic!("{hello}");
    };
    let forged = [
        Hello { mac: [0; 16], ..right },
        Hello { version: 0, ..right },
        Hello { generation: right.generation - 1, ..right },
        Hello { key: right.key + 1, ..right },
        Hello { message: [9; 48], ..right },
        // Right for another challenge.
        right,
    ];
    for asks in [false, true] {
        WORK.set((0, 0));
        let mut server = Server::new(Counting(OfServer(Rng(9))), 0);
        let mut visitor = Visitor::new(1, s(0));
        let mut notes = Notes::default();
        let mut ask = |server: &mut Server<Counting>, visitor: &mut Visitor, line: &str| {
            server.on_line(s(0), visitor, line, &mut notes);
            server.compute(s(0), TIME);
            let mut buffer = [0; MAX_DOWN];
            server.transmit(s(0), visitor, &Rows(0), &mut buffer).map(str::to_owned)
        };
        if asks {
            let question = Packet::Ask([1; 8]).encode(&mut [0; MAX_UP]).map(str::to_owned);
            let answer = ask(&mut server, &mut visitor, &question.expect("a line"));
            assert_eq!(kind(&answer), Some("c"));
        }
        for (number, hello) in (1..).zip(forged) {
            let line = Packet::Hello(hello).encode(&mut [0; MAX_UP]).map(str::to_owned);
            let answer = ask(&mut server, &mut visitor, &line.expect("a line"));
            assert_eq!((answer, WORK.get()), (None, (number, 0)), "{hello:?}");
        }
        assert_eq!(server.stats().bad_hellos, 6);
    }
}

#[test]
fn lines_as_the_classic_link_has_them_are_nothing_to_either_end() {
    let mut both = Both::up(s(0));
    for line in ["kitchen", "00a line", "00", "", "{\"pblink\":{}}", "~", "~x", "~tAAAA", "~h"] {
        both.give(s(1), line);
        both.board.on_line(s(1), line);
    }
    assert!(both.notes.lines.is_empty() && both.notes.datagrams.is_empty());
    assert!(both.board.is_up() && !both.board.has_line());
    assert_eq!(both.server.carrier(), Some(1));
    assert_eq!((both.server.stats().plain, both.board.stats().plain), (7, 7));
    assert_eq!((both.server.stats().refused, both.board.stats().refused), (2, 2));
}

#[test]
fn replies_that_are_forged_end_no_handshake() {
    let (mut both, hello) = Both::greeting(s(0));
    let reply = both.reply(s(0), &hello);
    let Ok(Packet::Reply { key, message }) = Packet::decode(&reply, &mut [0; MAX_BYTES]) else {
        panic!("{reply}");
    };
    for at in 0..16 {
        let mut message = message;
        message[at] ^= 1;
        let forged = Packet::Reply { key, message }.encode(&mut [0; MAX_UP]).map(str::to_owned);
        both.board.on_line(s(0), &forged.expect("a line"));
        both.board.compute(s(0));
        assert_eq!(both.board.stats().bad_replies, at as u32 + 1);
    }
    both.board.on_line(s(0), &reply);
    both.settle(s(0));
    assert!(both.board.is_up());
}
