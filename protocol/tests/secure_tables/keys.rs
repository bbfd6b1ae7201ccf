//! Keys that a board is given over its link: the rows of both tables.

use std::cell::RefCell;
use std::rc::Rc;

use pblink_protocol::secure::board::{BoardEvent, BoardState};
use pblink_protocol::secure::frame::{KeyOutcome, Keyed};
use pblink_protocol::secure::packet::Hello;

use super::board::events;
use super::suite::{SymbolicKeys, mac_under};
use super::*;

type Shared = (u32, [u8; 32]);

const ZERO: Shared = (0, [0; 32]);
const ONE: Shared = (1, [1; 32]);
const TWO: Shared = (2, [2; 32]);
const THREE: Shared = (3, [3; 32]);

/// A board that keeps one key more, or does not.
struct KeyedBoard {
    inner: OfBoard,
    key: Shared,
    outcome: KeyOutcome,
    /// Generations before which there is none.
    settled: Rc<RefCell<Vec<u32>>>,
    last_settled: u32,
}

impl BoardSuite for KeyedBoard {
    type Handshake = u64;
    type Keys = SymbolicKeys;

    fn random(&mut self) -> [u8; 8] {
        self.inner.random()
    }

    fn hello(&mut self, key: u8, challenge: &[u8; 16]) -> (Hello, u64) {
        let (mut hello, secret) = self.inner.hello(key, challenge);
        hello.generation = self.key.0;
        hello.mac = mac_under(&self.key.1, &hello, challenge);
        (hello, secret)
    }

    fn finish(&mut self, mine: &u64, reply: &[u8; 56]) -> Option<(SymbolicKeys, u64)> {
        self.inner.finish(mine, reply)
    }

    fn take_key(&mut self, generation: u32, shared: &[u8; 32]) -> KeyOutcome {
        if self.outcome == KeyOutcome::Taken {
            self.key = (generation, *shared);
        }
        self.outcome
    }

    fn settle(&mut self, generation: u32) {
        // It means nothing of another one than the newest, nor the second time.
        if generation == self.key.0 && self.last_settled < generation {
            self.last_settled = generation;
            self.settled.borrow_mut().push(generation);
        }
    }
}

/// A server with keys of several generations.
struct KeyedServer {
    inner: OfServer,
    keys: Vec<Shared>,
}

impl ServerSuite for KeyedServer {
    type Keys = SymbolicKeys;

    fn challenge(&mut self) -> [u8; 16] {
        self.inner.challenge()
    }

    fn is_authentic(&mut self, hello: &Hello, challenge: &[u8; 16]) -> bool {
        let known = self.keys.iter().find(|key| key.0 == hello.generation);
        known.is_some_and(|key| hello.mac == mac_under(&key.1, hello, challenge))
    }

    fn answer(
        &mut self,
        hello: &Hello,
        challenge: &[u8; 16],
        now_ms: u64,
    ) -> Option<(SymbolicKeys, [u8; 56])> {
        self.inner.answer(hello, challenge, now_ms)
    }

    fn next_key(&self, generation: u32) -> Option<Shared> {
        self.keys.last().copied().filter(|key| key.0 > generation)
    }

    fn is_settled(&self, generation: u32) -> bool {
        self.keys.first().is_some_and(|oldest| oldest.0 == generation)
    }
}

fn server(keys: &[Shared]) -> KeyedServer {
    KeyedServer { inner: OfServer(Rng(2)), keys: keys.to_vec() }
}

type Keyings = Both<KeyedBoard, KeyedServer>;

/// Both ends up with the key `ONE`, of which the server has been given `keys` since, and what the board notes as settled.
fn given(outcome: KeyOutcome, keys: &[Shared]) -> (Keyings, Rc<RefCell<Vec<u32>>>) {
    let settled = Rc::default();
    let board = KeyedBoard {
        inner: OfBoard(Rng(1)),
        key: ONE,
        outcome,
        settled: Rc::clone(&settled),
        last_settled: 0,
    };
    let mut both = Both::of(board, server(&[ONE]));
    both.raise(s(0));
    assert_eq!(events(&mut both), [BoardEvent::Time(TIME), BoardEvent::Up]);
    assert_eq!((told(&mut both), &both.notes.proven[..]), (vec![ServerEvent::Up(1)], &[1][..]));
    run(&mut both, 0, 5);
    assert_eq!(settled.take(), [1]);
    assert!(set_keys(&mut both, keys));
    (both, settled)
}

fn told(both: &mut Keyings) -> Vec<ServerEvent> {
    std::mem::take(&mut both.notes.events)
}

/// Gives the server other keys. True: its session goes on.
fn set_keys(both: &mut Keyings, keys: &[Shared]) -> bool {
    let stays = |generation| keys.iter().any(|key| key.0 == generation);
    both.server.set_suite(server(keys), stays, &mut both.notes)
}

/// Carries all lines for so many seconds from `from` on.
fn run(both: &mut Keyings, from: u64, seconds: u64) {
    for second in from..from + seconds {
        both.server.poll(s(second), &mut both.notes);
        both.settle(s(second));
    }
}

const fn keyed(outcome: KeyOutcome) -> Keyed {
    Keyed { generation: 2, outcome }
}

#[test]
fn a_key_is_kept_between_exchanges_and_proven_and_settled_while_the_link_is_up() {
    let (mut both, settled) = given(KeyOutcome::Taken, &[ONE, TWO]);
    assert_eq!(both.server.poll_at(s(5)), Some(s(5)));
    both.server.poll(s(5), &mut both.notes);
    let key = both.answered(s(5)).expect("the key");
    both.board.on_line(s(5), &key);
    assert_eq!(events(&mut both), []);
    assert!(both.board.wants_compute(s(5)));
    assert_eq!(both.board.suite().map(|suite| suite.key), Some(ONE));
    both.board.compute(s(5));
    assert_eq!(both.board.suite().map(|suite| suite.key), Some(TWO));
    let taken = keyed(KeyOutcome::Taken);
    assert_eq!(events(&mut both), [BoardEvent::Keyed(taken)]);
    // It asks for a challenge, which is lost on its way, and says that it has the key.
    assert_eq!(kind(&both.said(s(5))), Some("q"));
    run(&mut both, 5, 30);
    assert_eq!(told(&mut both), [ServerEvent::Keyed(taken)], "the old key serves on");
    // So it is given it again.
    run(&mut both, 35, 5);
    assert_eq!(told(&mut both), [ServerEvent::Keyed(taken)]);
    assert_eq!(both.notes.proven, [1, 2]);
    assert_eq!(events(&mut both), [BoardEvent::Keyed(taken), BoardEvent::Time(TIME)]);
    run(&mut both, 40, 60);
    assert_eq!((told(&mut both), settled.take()), (vec![], vec![]), "the server takes both");
    assert!(set_keys(&mut both, &[TWO]));
    run(&mut both, 100, 5);
    assert_eq!(settled.take(), [2]);
    assert_eq!((both.board.state(), events(&mut both)), (BoardState::Up, vec![]));
    assert_eq!(told(&mut both), []);
}

/// Else a board would go back to the key before the one that it has proven, which no server takes any more.
#[test]
fn a_board_that_is_given_one_key_after_the_other_knows_first_that_the_one_before_is_settled() {
    let (mut both, settled) = given(KeyOutcome::Taken, &[ONE, TWO]);
    run(&mut both, 5, 10);
    assert_eq!((&both.notes.proven[..], settled.take()), (&[1, 2][..], vec![]));
    // It is given the next one before it has heard that.
    assert!(set_keys(&mut both, &[TWO, THREE]));
    run(&mut both, 15, 10);
    assert_eq!((&both.notes.proven[..], settled.take()), (&[1, 2, 3][..], vec![2]));
}

/// The key is given again, and so is the word that comes in front of it.
#[test]
fn a_key_comes_with_the_word_on_the_one_before_whatever_is_lost() {
    let (mut both, settled) = given(KeyOutcome::Taken, &[ONE, TWO]);
    run(&mut both, 5, 10);
    assert!(set_keys(&mut both, &[TWO, THREE]));
    both.server.poll(s(15), &mut both.notes);
    assert!(both.answered(s(15)).is_some(), "a packet, which is lost");
    run(&mut both, 16, 60);
    assert_eq!((&both.notes.proven[..], settled.take()), (&[1, 2, 3][..], vec![2]));
}

/// A board that never hears of it keeps the old key for as long as the connection lasts.
#[test]
fn the_word_that_a_key_is_settled_comes_again_if_it_is_lost() {
    let (mut both, settled) = given(KeyOutcome::Taken, &[ONE, TWO]);
    run(&mut both, 5, 10);
    assert_eq!((&both.notes.proven[..], settled.take()), (&[1, 2][..], vec![]));
    assert!(set_keys(&mut both, &[TWO]));
    assert!(both.answered(s(15)).is_some(), "a packet, which is lost");
    run(&mut both, 16, 10);
    assert_eq!(settled.take(), [2]);
}

#[test]
fn a_server_that_is_killed_after_the_proof_says_it_again_over_the_next_connection() {
    let (mut both, settled) = given(KeyOutcome::Taken, &[ONE, TWO]);
    run(&mut both, 5, 5);
    assert_eq!(both.notes.proven, [1, 2]);
    both.server = Server::new(server(&[TWO]), 0);
    both.board.on_server(s(10), false);
    both.visitor = Visitor::new(2, s(11));
    both.board.on_server(s(11), true);
    run(&mut both, 11, 10);
    assert!(both.board.is_up());
    assert_eq!(settled.take(), [2]);
}

#[test]
fn a_key_that_cannot_be_kept_is_not_given_again_by_this_process() {
    for outcome in [KeyOutcome::Full, KeyOutcome::Failed, KeyOutcome::Unsupported] {
        let (mut both, _) = given(outcome, &[ONE, TWO]);
        run(&mut both, 5, 300);
        assert_eq!(told(&mut both), [ServerEvent::Keyed(keyed(outcome))]);
        assert_eq!(events(&mut both), [BoardEvent::Keyed(keyed(outcome))]);
        assert!(both.board.is_up());
        // Keys that are given anew may be others.
        assert!(set_keys(&mut both, &[ONE, TWO]));
        run(&mut both, 305, 100);
        assert_eq!(told(&mut both), [ServerEvent::Keyed(keyed(outcome))]);
    }
}

#[test]
fn an_id_that_is_revoked_while_it_is_given_a_key_is_out() {
    let (mut both, _) = given(KeyOutcome::Taken, &[ONE, TWO]);
    both.server.poll(s(5), &mut both.notes);
    let key = both.answered(s(5)).expect("the key");
    assert!(!set_keys(&mut both, &[]));
    assert_eq!(told(&mut both), [ServerEvent::Down]);
    both.board.on_line(s(5), &key);
    run(&mut both, 5, 60);
    assert_eq!((told(&mut both), both.notes.resumes.len()), (vec![], 0));
    assert!(!both.board.is_up() && both.server.stats().bad_hellos > 0);
}

#[test]
fn a_key_that_the_server_forgets_again_proves_nothing_and_the_session_goes_on() {
    let (mut both, _) = given(KeyOutcome::Taken, &[ONE, TWO]);
    both.server.poll(s(5), &mut both.notes);
    let key = both.answered(s(5)).expect("the key");
    both.board.on_line(s(5), &key);
    both.board.compute(s(5));
    for _ in 0..2 {
        // The question and its challenge, the hello and its reply.
        let line = both.said(s(6)).expect("a line");
        both.give(s(6), &line);
        both.server.compute(s(6), TIME);
        let line = both.answered(s(6)).expect("an answer");
        both.board.on_line(s(6), &line);
        both.board.compute(s(6));
    }
    let resume = both.said(s(6)).expect("a proof");
    both.give(s(6), &resume);
    assert_eq!(both.notes.resumes.len(), 1);
    assert!(set_keys(&mut both, &[ONE]));
    both.commit(s(6));
    both.board.write(s(7), "under the old key").expect("there is room");
    both.board.poll(s(7));
    both.board.poll(s(8));
    both.board.poll(s(9));
    let line = both.said(s(10)).expect("a line");
    both.give(s(10), &line);
    assert_eq!((&both.notes.lines[..], both.board.state()), (&[1][..], BoardState::Up));
    assert_eq!(both.notes.proven, [1]);
}

/// A key, or the word that one is settled: each waits for the time between two exchanges.
#[test]
fn a_board_wants_to_keep_each_of_both_that_has_come_alone() {
    for (keys, generation) in [([ZERO, ONE, TWO].as_slice(), 2), (&[ONE], 1)] {
        let (mut both, _) = given(KeyOutcome::Taken, keys);
        both.server.poll(s(5), &mut both.notes);
        let line = both.answered(s(5)).expect("a packet");
        assert!(!both.board.wants_compute(s(5)));
        both.board.on_line(s(5), &line);
        assert!(both.board.wants_compute(s(5)), "{keys:?}");
        both.board.compute(s(5));
        assert!(!both.board.wants_compute(s(5)), "{keys:?}");
        assert_eq!(both.board.suite().map(|suite| suite.key.0), Some(generation));
    }
}

#[test]
fn a_suite_with_one_key_says_and_takes_nothing_of_others() {
    let server = OfServer(Rng(1));
    for generation in [0, 1, u32::MAX] {
        assert_eq!((server.next_key(generation), server.is_settled(generation)), (None, false));
    }
    let mut board = OfBoard(Rng(1));
    assert_eq!(board.take_key(2, &[2; 32]), KeyOutcome::Unsupported);
}
