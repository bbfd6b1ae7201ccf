//! The server's table.

use pblink_protocol::secure::board::{BoardState, MAX_EVENT};

use super::*;

#[test]
fn challenges_come_once_a_second_and_ten_times_and_stay_the_same_until_they_are_used() {
    let mut both = Both::new();
    let mut challenges = Vec::new();
    for tenth in 0..300 {
        both.give(ms(100 * tenth), "~qAAAAAAAAAAA");
        challenges.extend(both.answered(ms(100 * tenth)));
    }
    assert_eq!(challenges.len(), 10);
    challenges.dedup();
    assert_eq!(challenges.len(), 1);
    assert_eq!(kind(&challenges.pop()), Some("c"));
}

#[test]
fn a_server_never_speaks_first_and_what_no_key_opens_is_answered_by_a_challenge() {
    let mut both = Both::new();
    assert_eq!(both.answered(s(1)), None);
    both.give(s(1), "~rAAAA");
    both.give(s(1), "a line of an application");
    assert_eq!(both.answered(s(2)), None);
    both.give(s(2), "~tAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    assert_eq!(kind(&both.answered(s(2))), Some("c"));
    assert_eq!((both.server.stats().refused, both.server.stats().plain), (2, 1));
}

#[test]
fn a_challenge_serves_one_hello_and_others_get_silence() {
    let (mut both, hello) = Both::greeting(s(0));
    let mut wrong = hello.clone().into_bytes();
    wrong[30] = if wrong[30] == b'A' { b'B' } else { b'A' };
    both.give(s(0), std::str::from_utf8(&wrong).expect("text"));
    assert!(!both.server.wants_compute());
    both.give(s(0), &hello);
    assert!(both.server.wants_compute());
    both.server.compute(s(0), 0);
    assert_eq!(kind(&both.answered(s(0))), Some("r"));
    // The same one again, on this connection and on another.
    both.give(s(0), &hello);
    both.visitor = Visitor::new(2, s(0));
    both.give(s(0), &hello);
    assert!(!both.server.wants_compute());
    assert_eq!((both.answered(s(5)), both.server.stats().bad_hellos), (None, 3));
}

#[test]
fn where_a_board_stands_is_committed_before_it_is_answered_and_before_any_line() {
    let (mut both, hello) = Both::greeting(s(0));
    both.rows = Rows(3);
    let resume = both.resume(s(0), &hello);
    both.give(s(0), &resume);
    let again = both.said(s(1)).expect("the question again");
    both.give(s(1), &again);
    assert_eq!(both.notes.resumes.len(), 1, "one commit answers both");
    assert_eq!((both.answered(s(1)), both.server.carrier()), (None, None));
    both.commit(s(1));
    assert_eq!(both.notes.events, [ServerEvent::Up(1)]);
    let answer = both.answered(s(1)).expect("an answer");
    both.board.on_line(s(1), &answer);
    assert!(both.board.is_up());
    both.settle(s(1));
    for _ in 0..3 {
        assert!(both.board.read_line(|_| ()).is_some());
    }
    both.board.accept();
    both.settle(s(2));
    assert_eq!(both.notes.done.last(), Some(&3));
    assert_eq!(both.server.mark(), 3);
}

#[test]
fn a_rival_carries_once_it_has_shown_a_packet_and_the_old_one_has_ten_seconds() {
    let mut both = Both::up(s(0));
    both.board.write(s(1), "over the new connection").expect("there is room");
    let line = both.said(s(1)).expect("a line");
    let mut rival = Visitor::new(2, s(1));
    both.server.on_line(s(1), &mut rival, "~qAAAAAAAAAAA", &mut both.notes);
    assert_eq!(both.server.carrier(), Some(1), "whoever only asks gets nothing");
    both.server.on_line(s(1), &mut rival, &line, &mut both.notes);
    assert_eq!(both.server.carrier(), Some(2));
    assert_eq!(both.notes.events[1..], [ServerEvent::Down, ServerEvent::Up(2)]);
    assert_eq!(both.notes.lines, [1]);
    assert!(!both.server.is_overdue(ms(9999), &both.visitor));
    assert!(both.server.is_overdue(s(10), &both.visitor));
    // Lines go to the one that carries, and to no other.
    both.rows = Rows(1);
    assert_eq!(both.answered(s(2)), None);
    let buffer = &mut [0; MAX_DOWN];
    // The challenge that it has asked for first.
    assert!(both.server.transmit(s(2), &mut rival, &both.rows, buffer).is_some());
    assert!(both.server.transmit(s(2), &mut rival, &both.rows, buffer).is_some());
}

#[test]
fn counters_that_are_not_greater_and_other_frames_under_a_new_key_are_dropped() {
    let mut both = Both::up(s(0));
    both.board.write(s(1), "once").expect("there is room");
    let line = both.said(s(1)).expect("a line");
    both.give(s(1), &line);
    let refused = both.server.stats().refused;
    both.give(s(1), &line);
    assert_eq!((&both.notes.lines[..], both.server.stats().refused), (&[1][..], refused + 1));
    both.commit(s(1));
    assert_eq!(kind(&both.answered(s(1))), Some("t"), "it is no reason for a challenge");
    assert_eq!(both.answered(s(2)), None);
}

#[test]
fn a_second_board_with_the_keys_waits_until_the_first_is_silent() {
    let mut both = Both::up(s(0));
    let twin = Board::new(OfBoard(Rng(3)), Ram::new(8));
    let first = std::mem::replace(&mut both.board, twin);
    let visitor = std::mem::replace(&mut both.visitor, Visitor::new(2, s(1)));
    both.board.on_server(s(1), true);
    both.settle(s(1));
    assert!(both.notes.events.contains(&ServerEvent::TwoBoards));
    assert_eq!(both.server.carrier(), Some(1));
    assert!(!both.board.is_up());
    // The first one says something each second: nothing changes.
    let twin = std::mem::replace(&mut both.board, first);
    let second = std::mem::replace(&mut both.visitor, visitor);
    both.board.write(s(2), "alive").expect("there is room");
    both.settle(s(2));
    assert_eq!(both.notes.lines, [1]);
    both.board = twin;
    both.visitor = second;
    both.settle(s(3));
    assert!(!both.board.is_up());
    // It has lost its power: this is the same board.
    both.settle(s(4));
    assert!(both.board.is_up());
    assert_eq!(both.server.carrier(), Some(2));
}

/// Found by fuzzing: a board that says of itself what is not so, and of whose questions one was forgotten.
#[test]
fn a_session_that_the_store_is_ahead_of_is_over() {
    let mut both = Both::up(s(0));
    let (epoch, peer) = (epoch(7), None);
    let lie = Resume { epoch, first: 9, peer, received: 0, done: 0, fresh: false };
    let book = Book {
        own: super::epoch(99),
        board: Some(epoch),
        last_received: 0,
        view: Known::Never,
        highest: 0,
        highest_at_start: 0,
        mark: 0,
    };
    both.server.on_resolved(s(1), &resolve(&lie, &book), &mut both.notes);
    assert_eq!(both.server.carrier(), None);
}

/// Found by fuzzing: a board counts its keys from 1 again when its program starts.
#[test]
fn a_resume_under_the_present_key_proves_no_new_one_with_its_number() {
    let (mut both, late, answer) = Both::asking_twice();
    let board = std::mem::replace(&mut both.board, Board::new(OfBoard(Rng(3)), Ram::new(7)));
    both.board.on_server(s(2), true);
    let hello = both.hello(s(2));
    both.reply(s(2), &hello);
    both.give(s(2), &late);
    both.commit(s(2));
    // The answer is for whoever has asked.
    let again = both.answered(s(2)).expect("an answer");
    both.board = board;
    both.board.on_line(s(2), &answer);
    assert!(both.board.is_up());
    let refused = both.board.stats().refused;
    both.board.on_line(s(2), &again);
    assert_eq!(both.board.stats().refused, refused);
}

/// Found by fuzzing: a handshake takes the place of one whose RESUME is being committed.
#[test]
fn a_session_that_the_store_has_left_for_another_board_takes_and_says_nothing() {
    let mut both = Both::up(s(0));
    both.board.write(s(1), "held back").expect("there is room");
    let late = both.said(s(1)).expect("a line");
    let other = |both: &mut Both, number| {
        both.board = Board::new(OfBoard(Rng(number)), Ram::new(number));
        both.board.on_server(s(number), true);
        both.hello(s(number))
    };
    let hello = other(&mut both, 8);
    let resume = both.resume(s(8), &hello);
    both.give(s(8), &resume);
    let hello = other(&mut both, 10);
    both.reply(s(10), &hello);
    both.commit(s(10));
    assert_eq!(both.store.0, Some(epoch(8)));
    both.give(s(10), &late);
    assert_eq!(both.notes.lines, [0; 0]);
    assert_eq!(both.server.carrier(), None);
    // It is asked to begin anew.
    assert_eq!(kind(&both.answered(s(11))), Some("c"));
}

/// Found by the model: the board's program starts again while the store is asked, and has lost what it had received.
#[test]
fn an_answer_to_an_older_question_of_the_same_board_is_none_to_the_last_one() {
    let mut both = Both::up(s(0));
    both.rows = Rows(1);
    let line = both.answered(s(0)).expect("a line");
    both.board.on_line(s(0), &line);
    // The board's connection ends, and both make new keys: once with the line, once without.
    let shake = |both: &mut Both, number| {
        let hello = both.hello(s(number));
        let resume = both.resume(s(number), &hello);
        both.give(s(number), &resume);
    };
    both.server.drop_keys(&mut both.notes);
    both.visitor = Visitor::new(2, s(3));
    both.board.poll(s(12));
    both.said(s(12));
    for second in 13..=15 {
        both.board.poll(s(second));
        if both.board.state() == BoardState::Prove {
            both.said(s(second));
        }
    }
    shake(&mut both, 15);
    let memory = both.board.clone().into_memory();
    both.board = Board::new(OfBoard(Rng(3)), memory);
    both.board.on_server(s(17), true);
    shake(&mut both, 17);
    assert_eq!(both.notes.resumes.len(), 2);
    assert_eq!(both.notes.resumes.iter().map(|it| it.received).collect::<Vec<_>>(), [1, 0]);
    both.commit(s(17));
    both.settle(s(17));
    assert_eq!(both.board.read_line(str::to_owned).as_deref(), Some("a line"));
}

#[test]
fn visitors_and_carriers_that_say_nothing_valid_are_sent_away() {
    let mut both = Both::new();
    for second in 0..10 {
        both.give(s(second), "~qAAAAAAAAAAA");
        assert!(!both.server.is_overdue(s(second), &both.visitor));
    }
    assert!(both.server.is_overdue(s(10), &both.visitor));

    let mut both = Both::up(s(0));
    both.server.poll(ms(11_999), &mut both.notes);
    assert_eq!(both.server.poll_at(s(1)), Some(s(12)));
    assert!(!both.server.is_overdue(ms(11_999), &both.visitor));
    assert!(both.server.is_overdue(s(12), &both.visitor));
    both.server.poll(s(12), &mut both.notes);
    assert_eq!(both.notes.events, [ServerEvent::Up(1), ServerEvent::Down]);
}

#[test]
fn keys_outlive_a_connection_for_a_day_and_no_revocation() {
    for (away, kept) in [(3600, true), (24 * 3600 - 1, true), (24 * 3600, false)] {
        let mut both = Both::up(s(0));
        both.server.on_closed(&both.visitor, &mut both.notes);
        assert_eq!(both.server.carrier(), None);
        both.server.poll(s(away), &mut both.notes);
        both.visitor = Visitor::new(2, s(away));
        // A board that begins with a ping, as its keys are not worn for it.
        both.board.on_server(s(1), true);
        let ping = both.said(s(1)).expect("a ping");
        both.give(s(away), &ping);
        assert_eq!(both.server.carrier().is_some(), kept, "after {away} s");
    }
    let mut both = Both::up(s(0));
    both.server.drop_keys(&mut both.notes);
    assert_eq!(both.notes.events, [ServerEvent::Up(1), ServerEvent::Down]);
    both.board.write(s(1), "under a key that is gone").expect("there is room");
    let line = both.said(s(1)).expect("a line");
    both.give(s(1), &line);
    assert_eq!((both.notes.lines.len(), kind(&both.answered(s(1)))), (0, Some("c")));
}

#[test]
fn lines_without_an_answer_go_out_again_and_without_room_none_is_taken() {
    let mut both = Both::up(s(0));
    both.rows = Rows(1);
    both.answered(s(1)).expect("the line");
    assert_eq!(both.answered(s(2)), None);
    both.server.poll(s(3), &mut both.notes);
    assert!(both.answered(s(3)).is_some());

    let mut both = Both::up(s(0));
    both.notes.full = true;
    both.board.write(s(1), "no room").expect("there is room here");
    let line = both.said(s(1)).expect("a line");
    both.give(s(1), &line);
    both.notes.full = false;
    assert!(both.notes.lines.is_empty());
    both.settle(s(1));
    both.settle(s(3));
    assert_eq!(both.notes.lines, [1]);
}

#[test]
fn lines_that_may_be_lost_and_events_pass_beside_the_others_once() {
    let mut both = Both::up(s(0));
    let long = "x".repeat(400);
    assert!(both.board.send(&long) && !both.board.send("no room") && !both.board.send("a\nb"));
    assert!(!both.board.is_flushed());
    both.board.tell(3, b"power");
    both.board.tell(1, b"an old report");
    both.board.tell(4, &[4; 20]);
    // The last one of its kind, and nothing of another kind.
    both.board.tell(1, b"report");
    both.board.write(s(1), "kept").expect("there is room");
    both.settle(s(1));
    assert_eq!(both.notes.datagrams, [long]);
    let told = std::mem::take(&mut both.notes.told);
    assert_eq!(told, [(3, b"power".to_vec()), (1, b"report".to_vec()), (4, vec![4; MAX_EVENT])]);
    // Of more kinds than there is room for, the last ones.
    (1..=6).for_each(|kind| both.board.tell(kind, &[kind; MAX_EVENT]));
    both.settle(s(1));
    let kinds: Vec<u8> = both.notes.told.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(kinds, [3, 4, 5, 6]);
    assert_eq!(both.notes.lines, [1]);
    assert!(!both.server.is_sending() && !both.board.has_line());
    assert!(both.server.send("down"));
    assert!(both.server.is_sending());
    both.settle(s(2));
    assert!(!both.server.is_sending() && both.board.has_line());
    assert_eq!(both.board.read_line(str::to_owned).as_deref(), Some("down"));
    both.board.accept();
    // It has no number, so that nothing moves.
    assert_eq!(both.board.memory().view().expect("a server").done, 0);
    // One packet of two is lost.
    assert!(both.board.send(&"y".repeat(200)));
    both.said(s(3)).expect("the first piece");
    both.settle(s(3));
    assert_eq!(both.notes.datagrams.len(), 1);
}

/// Commits that take seconds, and a board that asks anew meanwhile: each answer is to a question of its own.
#[test]
fn an_answer_that_is_older_than_lines_that_were_taken_since_changes_nothing() {
    let (mut both, hello) = Both::greeting(s(0));
    let ask = |both: &mut Both, now, reply: &str| {
        both.board.on_line(now, reply);
        both.board.compute(now);
        let resume = both.said(now).expect("where it stands");
        both.give(now, &resume);
        both.notes.resumes.pop().expect("a question for the store")
    };
    let greet = |both: &mut Both, now| {
        let hello = both.hello(now);
        both.reply(now, &hello)
    };
    let resolved = |both: &mut Both, now, resume: &Resume, last_received| {
        let book = Book {
            own: epoch(99),
            board: Some(resume.epoch),
            last_received,
            view: Known::Open,
            highest: 0,
            highest_at_start: 0,
            mark: 0,
        };
        both.server.on_resolved(now, &resolve(resume, &book), &mut both.notes);
    };
    let reply = both.reply(s(0), &hello);
    let first = ask(&mut both, s(0), &reply);
    // Nobody answers, so that the board begins anew.
    for second in 1..3 {
        let again = both.said(s(second)).expect("the question again");
        both.give(s(second), &again);
    }
    let reply = greet(&mut both, s(3));
    let second = ask(&mut both, s(3), &reply);
    resolved(&mut both, s(4), &first, 0);
    let answer = both.answered(s(4)).expect("an answer");
    both.board.on_line(s(4), &answer);
    both.board.write(s(4), "a line").expect("there is room");
    let line = both.said(s(4)).expect("a line");
    both.give(s(4), &line);
    assert_eq!(both.notes.lines, [1]);
    // Its program starts again, and asks a third time; the answer to the second question comes now.
    both.board = Board::new(OfBoard(Rng(9)), both.board.into_memory());
    both.board.on_server(s(5), true);
    let reply = greet(&mut both, s(5));
    let third = ask(&mut both, s(5), &reply);
    resolved(&mut both, s(6), &second, 0);
    both.settle(s(6));
    assert_eq!(both.notes.lines, [1], "it was taken");
    assert!(!both.board.is_up());
    resolved(&mut both, s(7), &third, 1);
    both.settle(s(7));
    assert!(both.board.is_up() && both.board.is_flushed());
    assert_eq!(both.notes.lines, [1]);
}

/// An application that is slower than its board: no line is sent for which there is no room, so none has to wait for a time-out.
#[test]
fn credit_is_what_there_is_room_for() {
    let mut both = Both::up(s(0));
    for _ in 0..20 {
        both.board.write(s(1), "a line").expect("there is room");
    }
    let carry = |both: &mut Both| {
        while let Some(line) = both.said(s(1)) {
            both.give(s(1), &line);
            while let Some(line) = both.answered(s(1)) {
                both.board.on_line(s(1), &line);
            }
        }
    };
    carry(&mut both);
    assert_eq!(both.notes.lines, (1..=8).collect::<Vec<_>>());
    for done in 1..=12 {
        both.server.on_committed(epoch(7), done);
        let line = both.answered(s(1)).expect("there is room again");
        both.board.on_line(s(1), &line);
        carry(&mut both);
        assert_eq!(both.notes.lines.last(), Some(&(done + 8)), "nothing was sent in vain");
    }
}

/// An ESP8266 passes one line with each exchange.
#[test]
fn a_line_that_is_committed_soon_costs_one_word_and_one_that_is_not_is_said_to_have_come() {
    let mut both = Both::up(s(0));
    both.settle(s(1));
    both.board.write(s(1), "a line").expect("there is room");
    let line = both.said(s(1)).expect("the line");
    both.give(s(1), &line);
    assert_eq!(both.answered(s(1)), None);
    both.commit(s(1));
    let done = both.answered(s(1)).expect("it is committed");
    both.board.on_line(s(1), &done);
    assert!(both.board.is_flushed());
    both.server.poll(s(2), &mut both.notes);
    assert_eq!(both.answered(s(2)), None, "all is said");
    // A commit that takes longer.
    both.board.write(s(2), "another").expect("there is room");
    let line = both.said(s(2)).expect("the line");
    both.give(s(2), &line);
    assert_eq!((both.answered(s(2)), both.server.poll_at(s(2))), (None, Some(ms(2050))));
    both.server.poll(ms(2050), &mut both.notes);
    let come = both.answered(ms(2050)).expect("it has come");
    both.board.on_line(ms(2050), &come);
    assert!(!both.board.is_flushed() && !both.board.expects_answer(), "nothing is sent again");
    both.commit(s(3));
    assert!(both.answered(s(3)).is_some());
}
