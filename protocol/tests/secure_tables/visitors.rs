//! Connections that claim an id, and what becomes of what they have asked for.

use super::*;

/// A challenge that no server has made.
const ZEROS: &str = "~cAAAAAAAAAAAAAAAAAAAAAA";
/// A packet that no key opens.
const FOREIGN: &str = "~tAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

#[test]
fn a_visitor_has_its_number_and_speaks_the_secure_link_once_it_has_said_a_word_of_it() {
    for (line, speaks) in [
        (None, false),
        (Some("a line of an application"), false),
        (Some("~x"), false),
        (Some("~qAAAAAAAAAAA"), true),
        (Some(FOREIGN), true),
    ] {
        let mut both = Both::new();
        both.visitor = Visitor::new(7, s(0));
        if let Some(line) = line {
            both.give(s(0), line);
        }
        assert_eq!((both.visitor.number(), both.visitor.has_asked()), (7, speaks), "{line:?}");
    }
}

#[test]
fn only_the_connection_that_is_gone_takes_with_it_what_it_has_asked_for() {
    for (gone, goes) in [(1, true), (2, false)] {
        let gone = Visitor::new(gone, s(0));
        // While its handshake waits for the arithmetic.
        let (mut both, hello) = Both::greeting(s(0));
        both.give(s(0), &hello);
        both.server.on_closed(&gone, &mut both.notes);
        assert_eq!(both.server.wants_compute(), !goes);
        // While the reply waits to be sent.
        let (mut both, hello) = Both::greeting(s(0));
        both.give(s(0), &hello);
        both.server.compute(s(0), TIME);
        both.server.on_closed(&gone, &mut both.notes);
        let reply = both.answered(s(0));
        assert_eq!(kind(&reply), (!goes).then_some("r"));
        // While where its board stands is being committed.
        let (mut both, hello) = Both::greeting(s(0));
        let resume = both.resume(s(0), &hello);
        both.give(s(0), &resume);
        both.server.on_closed(&gone, &mut both.notes);
        both.commit(s(0));
        assert_eq!(both.server.carrier(), (!goes).then_some(1));
        assert_eq!(kind(&both.answered(s(0))), (!goes).then_some("t"));
    }
}

/// Found by fuzzing: a board proves new keys over a connection that is gone when this is committed, while an answer to another
/// board waits to be sent over a connection that is there still.
#[test]
fn an_answer_under_keys_that_are_gone_is_sent_to_nobody() {
    let (mut both, hello) = Both::greeting(s(0));
    let resume = both.resume(s(0), &hello);
    both.give(s(0), &resume);
    both.commit(s(0));
    assert_eq!(both.server.carrier(), Some(1));

    both.board = Board::new(OfBoard(Rng(3)), Ram::new(8));
    let first = std::mem::replace(&mut both.visitor, Visitor::new(2, s(5)));
    both.board.on_server(s(5), true);
    let hello = both.hello(s(5));
    let resume = both.resume(s(5), &hello);
    both.give(s(5), &resume);
    let second = std::mem::replace(&mut both.visitor, first);
    both.server.on_closed(&second, &mut both.notes);
    both.commit(s(5));
    assert_eq!((both.store.0, both.server.carrier()), (Some(epoch(8)), None));
    assert_eq!(both.answered(s(5)), None);
    assert_eq!(both.notes.events.last(), Some(&ServerEvent::Down));

    // Over a third one it goes on with the keys that it has proven.
    both.visitor = Visitor::new(3, s(6));
    both.board.poll(s(6));
    both.settle(s(6));
    assert!(both.board.is_up());
    assert_eq!((both.server.carrier(), &both.notes.proven[..]), (Some(3), &[1, 1][..]));
}

/// A board that has asked twice, and was answered once, comes back over another connection while its second question is committed.
#[test]
fn an_answer_under_the_keys_of_now_leaves_who_carries_alone() {
    let (mut both, second, answer) = Both::asking_twice();
    both.give(s(1), &second);
    assert_eq!(both.notes.resumes.len(), 1);
    both.board.on_line(s(1), &answer);
    assert!(both.board.is_up());

    both.server.on_closed(&both.visitor, &mut both.notes);
    both.visitor = Visitor::new(2, s(2));
    both.board.on_server(s(2), false);
    both.board.on_server(s(2), true);
    let word = both.said(s(2)).expect("a word");
    both.give(s(2), &word);
    assert_eq!(both.server.carrier(), Some(2));
    both.commit(s(2));
    assert_eq!(both.server.carrier(), Some(2));
}

/// The arithmetic of one handshake takes its time, in which another one comes.
#[test]
fn a_handshake_that_waits_for_its_reply_is_not_pushed_aside_by_another() {
    let (mut both, first) = Both::greeting(s(0));
    let mut twin = Visitor::new(2, s(0));
    let mut board = Board::new(OfBoard(Rng(3)), Ram::new(8));
    board.on_server(s(0), true);
    let (up, down) = (&mut [0; MAX_UP], &mut [0; MAX_DOWN]);
    let ask = board.transmit(s(0), up).expect("a question");
    both.server.on_line(s(0), &mut twin, ask, &mut both.notes);
    let challenge = both.server.transmit(s(0), &mut twin, &both.rows, down).expect("a challenge");
    board.on_line(s(0), challenge);
    board.compute(s(0));
    let second = board.transmit(s(0), up).expect("a hello");
    both.give(s(0), &first);
    both.server.on_line(s(0), &mut twin, second, &mut both.notes);
    assert_eq!(both.server.stats().bad_hellos, 1);
    both.server.compute(s(0), TIME);
    assert_eq!(both.server.transmit(s(0), &mut twin, &both.rows, down), None);
    assert_eq!(kind(&both.answered(s(0))), Some("r"));
    // Its challenge has served nothing, and does now.
    both.server.on_line(s(0), &mut twin, second, &mut both.notes);
    both.server.compute(s(0), TIME);
    let reply = both.server.transmit(s(0), &mut twin, &both.rows, down).map(str::to_owned);
    assert_eq!((kind(&reply), both.server.stats().bad_hellos), (Some("r"), 1));
}

#[test]
fn a_hello_to_a_challenge_that_was_never_made_serves_nothing_however_authentic_it_is() {
    let mut both = Both::new();
    both.board.on_server(s(0), true);
    assert_eq!(kind(&both.said(s(0))), Some("q"));
    both.board.on_line(s(0), ZEROS);
    both.board.compute(s(0));
    let hello = both.said(s(0));
    assert_eq!(kind(&hello), Some("h"));
    both.give(s(0), &hello.expect("a hello"));
    assert_eq!((both.server.wants_compute(), both.server.stats().bad_hellos), (false, 1));
}

/// A board that has not heard of it yet sends more.
#[test]
fn no_more_lines_are_taken_ahead_of_a_commit_than_the_owner_has_set() {
    for credit in [0, 1, 3, 7, 8, 200] {
        let mut both = Both::up(s(0));
        both.server.set_credit(credit);
        for _ in 0..12 {
            both.board.write(s(1), "a line").expect("there is room");
        }
        while let Some(line) = both.said(s(1)) {
            both.give(s(1), &line);
        }
        assert_eq!(both.notes.lines, (1..=u64::from(credit.min(8))).collect::<Vec<_>>());
    }
}

/// The word on it may have been lost.
#[test]
fn a_line_that_comes_again_is_said_again_to_have_come() {
    let mut both = Both::up(s(0));
    both.board.write(s(1), "a line").expect("there is room");
    let line = both.said(s(1)).expect("a line");
    both.give(s(1), &line);
    both.commit(s(1));
    assert!(both.answered(s(1)).is_some(), "the word that is lost");
    let again = both.said(s(3)).expect("the line again");
    both.give(s(3), &again);
    assert_eq!((&both.notes.lines[..], both.server.poll_at(s(3))), (&[1][..], Some(ms(3050))));
    both.server.poll(ms(3050), &mut both.notes);
    let word = both.answered(ms(3050)).expect("the word again");
    both.board.on_line(ms(3050), &word);
    assert!(both.board.is_flushed());
}

#[test]
fn the_beginning_of_a_line_is_no_line_that_has_come() {
    let mut both = Both::up(s(0));
    both.board.write(s(1), "a line").expect("there is room");
    // Lines that are so short hold a part of it.
    let mut piece = || both.board.transmit(s(1), &mut [0; 42]).map(str::to_owned);
    let (first, last) = (piece().expect("its beginning"), piece().expect("its end"));
    both.give(s(1), &first);
    assert_eq!(both.server.poll_at(s(1)), Some(s(13)), "nothing is due but its silence");
    both.give(s(1), &last);
    assert_eq!((&both.notes.lines[..], both.server.poll_at(s(1))), (&[1][..], Some(ms(1050))));
}

#[test]
fn a_board_that_is_done_with_nothing_moves_nothing_in_the_outbox() {
    let mut both = Both::up(s(0));
    both.rows = Rows(1);
    both.settle(s(1));
    // It has the line, and its application has not.
    both.settle(s(6));
    assert_eq!(both.notes.done, [0; 0]);
    both.board.read_line(|_| ()).expect("the line");
    both.board.accept();
    both.settle(s(7));
    assert_eq!(both.notes.done, [1]);
}
