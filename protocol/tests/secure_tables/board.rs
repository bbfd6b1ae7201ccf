//! The board's table.

use pblink_protocol::secure::board::{BoardEvent, BoardState};
use pblink_protocol::secure::packet::{MAX_BYTES, Packet};

use super::*;

pub fn events<B: BoardSuite, S: ServerSuite>(both: &mut Both<B, S>) -> Vec<BoardEvent> {
    std::iter::from_fn(|| both.board.next_event()).collect()
}

/// Carries one line of the board to the server, and one back.
fn exchange(both: &mut Both, now: Instant) {
    let line = both.said(now).expect("the board has a line");
    both.give(now, &line);
    both.server.compute(now, TIME);
    both.commit(now);
    if let Some(line) = both.answered(now) {
        both.board.on_line(now, &line);
    }
}

#[test]
fn down_ends_handshakes_and_keeps_keys_and_lines() {
    let mut both = Both::up(s(0));
    both.board.write(s(1), "kept").expect("there is room");
    both.board.on_server(s(1), false);
    assert_eq!(both.board.state(), BoardState::Down);
    assert!(events(&mut both).ends_with(&[BoardEvent::Down]));
    assert_eq!(both.said(s(1)), None);
    // With keys a ping is enough, and costs no arithmetic.
    both.board.on_server(s(60), true);
    assert_eq!(both.board.state(), BoardState::Prove);
    let ping = both.said(s(60));
    assert_eq!(kind(&ping), Some("t"));
    both.give(s(60), &ping.expect("a ping"));
    assert!(!both.board.wants_compute(s(60)) && !both.server.wants_compute());
    let pong = both.answered(s(60)).expect("an answer");
    both.board.on_line(s(60), &pong);
    assert_eq!(both.board.state(), BoardState::Up);
    both.settle(s(60));
    assert_eq!(both.notes.lines, [1]);
}

#[test]
fn without_keys_a_challenge_is_asked_for_again_and_again_and_said_after_five() {
    let mut both = Both::new();
    both.board.on_server(s(0), true);
    assert_eq!(both.board.state(), BoardState::Greet);
    let mut asked = Vec::new();
    for second in 0..40 {
        if let Some(line) = both.said(s(second)) {
            assert_eq!(kind(&Some(line.clone())), Some("q"));
            asked.push((second, line));
        }
        if events(&mut both).contains(&BoardEvent::NoAnswer) {
            assert_eq!(second, 10);
        }
        // It is not the watchdog's turn.
        if second == 29 {
            break;
        }
    }
    let times: Vec<u64> = asked.iter().map(|(second, _)| *second).collect();
    assert_eq!(times, [0, 2, 4, 6, 8, 10, 20]);
    asked.dedup_by(|a, b| a.1 == b.1);
    assert_eq!(asked.len(), times.len(), "no two lines are the same");
}

#[test]
fn a_challenge_makes_a_hello_and_the_newest_one_waits_for_the_end_of_the_pause() {
    let mut both = Both::new();
    both.board.on_server(s(0), true);
    exchange(&mut both, s(0));
    assert!(both.board.wants_compute(s(0)));
    both.board.compute(s(0));
    assert_eq!(both.board.state(), BoardState::Shake);
    assert_eq!(kind(&both.said(s(0))), Some("h"));
    // It is lost; a challenge that comes meanwhile begins no second one, nor do any before the pause is over.
    both.board.on_line(s(1), "~cAAAAAAAAAAAAAAAAAAAAAA");
    assert!(!both.board.wants_compute(s(1)));
    both.board.on_server(s(1), true);
    both.board.on_line(ms(1100), "~cAAAAAAAAAAAAAAAAAAAAAA");
    both.board.on_line(ms(1200), "~cBBBBBBBBBBBBBBBBBBBBBA");
    assert!(!both.board.wants_compute(ms(1999)));
    assert_eq!(both.board.poll_at(ms(1999)), Some(s(2)));
    assert!(both.board.wants_compute(s(2)));
    both.board.compute(s(2));
    // The next pause is twice as long: 4 s.
    both.board.on_server(s(3), true);
    both.board.on_line(s(3), "~cAAAAAAAAAAAAAAAAAAAAAA");
    assert!(!both.board.wants_compute(ms(5999)) && both.board.wants_compute(s(6)));
}

/// A server without its keys answers each packet of a board with a challenge: one is enough.
#[test]
fn a_challenge_that_came_during_a_handshake_begins_no_second_one_once_there_are_keys() {
    let (mut both, hello) = Both::greeting(s(0));
    both.board.on_line(s(1), "~cAAAAAAAAAAAAAAAAAAAAAA");
    let reply = both.reply(s(1), &hello);
    both.board.on_line(s(1), &reply);
    both.board.compute(s(1));
    both.settle(s(1));
    assert_eq!(both.board.state(), BoardState::Up);
    assert!(!both.board.wants_compute(s(60)));
}

/// An owner whose wires are held off would look at it without a pause.
#[test]
fn a_ping_that_waits_for_the_wires_is_not_due_again() {
    let mut both = Both::up(s(0));
    assert_eq!(both.board.poll_at(s(1)), Some(s(5)));
    both.board.poll(s(5));
    assert_eq!(both.board.poll_at(s(5)), Some(s(12)));
    assert_eq!(kind(&both.said(s(6))), Some("t"));
    assert_eq!(both.board.poll_at(s(6)), Some(s(11)));
}

#[test]
fn a_forged_reply_is_counted_and_the_true_one_behind_it_makes_the_key() {
    let (mut both, hello) = Both::greeting(s(0));
    let reply = both.reply(s(0), &hello);
    let mut forged = reply.clone().into_bytes();
    forged[20] = if forged[20] == b'A' { b'B' } else { b'A' };
    both.board.on_line(s(1), std::str::from_utf8(&forged).expect("text"));
    both.board.compute(s(1));
    assert_eq!((both.board.state(), both.board.stats().bad_replies), (BoardState::Shake, 1));
    both.board.on_line(s(1), &reply);
    both.board.compute(s(1));
    assert_eq!(both.board.state(), BoardState::Prove);
    assert_eq!(events(&mut both), [BoardEvent::Time(TIME)]);
    both.settle(s(1));
    assert_eq!(events(&mut both), [BoardEvent::Up]);
    // A reply without a handshake.
    let refused = both.board.stats().refused;
    both.board.on_line(s(1), &reply);
    assert_eq!(both.board.stats().refused, refused + 1);
}

#[test]
fn a_reply_to_another_handshake_is_none_to_the_one_that_waits() {
    let (mut both, hello) = Both::greeting(s(0));
    let reply = both.reply(s(0), &hello);
    let Ok(Packet::Reply { key, message }) = Packet::decode(&reply, &mut [0; MAX_BYTES]) else {
        panic!("{reply}");
    };
    let other = Packet::Reply { key: key + 1, message }.encode(&mut [0; MAX_UP]).map(str::to_owned);
    both.board.on_line(s(0), &other.expect("a line"));
    assert_eq!((both.board.wants_compute(s(0)), both.board.stats().refused), (false, 1));
    both.board.on_line(s(0), &reply);
    assert_eq!((both.board.wants_compute(s(0)), both.board.stats().refused), (true, 1));
}

#[test]
fn a_line_is_as_long_as_it_may_be_and_no_longer() {
    let mut both = Both::new();
    let mut write = |bytes: usize| both.board.write(s(0), &"x".repeat(bytes));
    let most = pblink_protocol::MAX_TEXT;
    assert_eq!((write(most), write(most - 1)), (Ok(1), Ok(2)));
    for bytes in [most + 1, most + 2, 2 * most] {
        assert_eq!(write(bytes), Err(WriteError::TooLong), "{bytes}");
    }
    assert_eq!(write(1), Ok(3), "those that are too long have no number");
}

#[test]
fn a_handshake_is_forgotten_after_three_seconds() {
    let (mut both, hello) = Both::greeting(s(0));
    let reply = both.reply(s(0), &hello);
    assert_eq!(kind(&both.said(ms(2999))), None);
    // It comes in time, and nobody has the time to look at it.
    both.board.on_line(ms(2999), &reply);
    both.board.compute(s(3));
    assert_eq!(both.board.state(), BoardState::Greet);
    assert_eq!(kind(&both.said(s(3))), Some("q"));
    both.board.on_line(s(3), &reply);
    both.board.compute(s(3));
    assert_eq!(both.board.state(), BoardState::Greet);
}

#[test]
fn a_proof_is_asked_for_three_times_and_keys_that_were_proven_stay() {
    let mut both = Both::up(s(0));
    both.board.on_server(s(10), true);
    let mut said = Vec::new();
    for second in 10..14 {
        said.extend(both.said(s(second)));
    }
    let kinds: Vec<_> = said.iter().map(|line| &line[1..2]).collect();
    assert_eq!(kinds, ["t", "t", "t", "q"]);
    assert_eq!(both.board.state(), BoardState::Greet);
    // The server had only been slow.
    both.give(s(13), &said[2]);
    let late = both.answered(s(13)).expect("an answer");
    both.board.on_line(s(14), &late);
    both.board.on_server(s(15), true);
    assert_eq!(both.board.state(), BoardState::Prove);
}

#[test]
fn a_new_key_that_nobody_answers_goes_where_an_old_one_lives() {
    let mut both = Both::up(s(0));
    both.board.on_line(s(3), "~cAAAAAAAAAAAAAAAAAAAAAA");
    // It has made its hello for a server that is not there any more; lines pass meanwhile.
    both.board.compute(s(3));
    assert!(both.board.is_up());
    assert_eq!(kind(&both.said(s(3))), Some("h"));
    both.board.poll(s(6));
    assert!(both.board.is_up(), "the old key lives");
    both.settle(s(6));
    both.board.write(s(6), "on the old key").expect("there is room");
    both.settle(s(6));
    assert_eq!(both.notes.lines, [1]);
}

/// A board that is up, with a challenge for new keys, and its server.
fn challenged(now: Instant) -> Both {
    let mut both = Both::up(now);
    events(&mut both);
    both.give(now, "~tAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    let challenge = both.answered(now + Duration::from_secs(1)).expect("a challenge");
    assert_eq!(kind(&Some(challenge.clone())), Some("c"));
    both.board.on_line(now, &challenge);
    both
}

#[test]
fn new_keys_are_proven_while_the_link_is_up_and_lines_wait_meanwhile() {
    let mut both = challenged(s(0));
    both.board.compute(s(3));
    exchange(&mut both, s(3));
    both.board.write(s(3), "before").expect("there is room");
    exchange(&mut both, s(3));
    assert_eq!(both.notes.lines, [1], "the old keys serve during the handshake");
    both.board.compute(s(3));
    assert_eq!(both.board.state(), BoardState::Up);
    both.board.write(s(3), "behind").expect("there is room");
    let resume = both.said(s(3)).expect("a question");
    assert_eq!(both.said(s(3)), None, "the server will drop the old keys");
    assert!(both.board.expects_answer());
    assert_eq!(both.board.poll_at(s(3)), Some(s(4)));
    // Lines from the server wait for its answer, too: it may begin anew.
    both.rows = Rows(1);
    let line = both.answered(s(3)).expect("a line");
    both.board.on_line(s(3), &line);
    assert!(!both.board.has_line());
    both.give(s(3), &resume);
    both.commit(s(3));
    let answer = both.answered(s(3)).expect("an answer");
    both.board.on_line(s(3), &answer);
    both.settle(s(3));
    assert_eq!((&both.notes.lines[..], both.board.state()), (&[1, 2][..], BoardState::Up));
    assert_eq!(both.board.read_line(str::len), Some(TEXT.len()));
    assert_eq!(events(&mut both), [BoardEvent::Time(TIME)], "nobody hears of it");
    // Nothing of it led to another handshake.
    both.settle(s(10));
    assert!(!both.board.wants_compute(s(90)));
}

#[test]
fn new_keys_that_nobody_proves_go_after_three_questions_and_the_link_stays_up() {
    let mut both = challenged(s(0));
    both.board.compute(s(3));
    exchange(&mut both, s(3));
    both.board.compute(s(3));
    both.board.write(s(3), "waits").expect("there is room");
    for second in 3..6 {
        let question = both.said(s(second));
        assert_eq!(kind(&question), Some("t"));
        assert_eq!(both.said(s(second)), None);
    }
    let line = both.said(s(6)).expect("the line");
    both.give(s(6), &line);
    assert_eq!((&both.notes.lines[..], both.board.state()), (&[1][..], BoardState::Up));
    assert_eq!(events(&mut both), [BoardEvent::Time(TIME)]);
    // The questions had arrived, but nobody heard the answer: the server has dropped the old keys.
    let mut both = challenged(s(0));
    both.board.compute(s(3));
    exchange(&mut both, s(3));
    both.board.compute(s(3));
    let question = both.said(s(3)).expect("a question");
    both.give(s(3), &question);
    both.commit(s(3));
    while both.answered(s(3)).is_some() {}
    both.board.poll(s(4));
    both.board.poll(s(5));
    both.board.poll(s(6));
    assert_eq!(both.board.state(), BoardState::Up);
    // It answers the old keys by a challenge, and all is well before anybody hears of it.
    both.board.write(s(6), "on the old key").expect("there is room");
    for second in 6..12 {
        both.settle(s(second));
    }
    assert_eq!((&both.notes.lines[..], both.board.state()), (&[1][..], BoardState::Up));
    assert!(!events(&mut both).contains(&BoardEvent::Down));
}

#[test]
fn silence_during_a_proof_of_new_keys_is_silence() {
    let mut both = challenged(s(0));
    both.board.compute(s(9));
    exchange(&mut both, s(9));
    both.board.compute(s(11));
    assert_eq!((both.board.state(), both.board.poll_at(s(11))), (BoardState::Up, Some(s(12))));
    both.board.poll(s(12));
    assert_eq!(both.board.state(), BoardState::Prove);
    assert_eq!(events(&mut both), [BoardEvent::Time(TIME), BoardEvent::Down]);
    both.settle(s(12));
    assert_eq!(events(&mut both), [BoardEvent::Up]);
}

#[test]
fn the_first_packet_under_a_new_key_says_where_the_server_stands() {
    let mut both = Both::new();
    both.rows = Rows(1);
    both.board.on_server(s(0), true);
    // Challenge, and hello.
    exchange(&mut both, s(0));
    both.board.compute(s(0));
    exchange(&mut both, s(0));
    both.board.compute(s(0));
    assert_eq!(both.board.state(), BoardState::Prove);
    let resume = both.said(s(0)).expect("a question");
    both.give(s(0), &resume);
    both.commit(s(0));
    let answer = both.answered(s(0)).expect("an answer");
    let line = both.answered(s(0)).expect("a line");
    both.board.on_line(s(0), &line);
    assert_eq!((both.board.state(), both.board.stats().refused), (BoardState::Prove, 1));
    both.board.on_line(s(0), &answer);
    // Its counter is smaller now than that of the line, which counts as heard.
    assert_eq!((both.board.state(), both.board.stats().refused), (BoardState::Prove, 2));
    // The question comes again, and all is well.
    both.settle(s(1));
    both.settle(s(3));
    assert_eq!(both.board.read_line(str::len), Some(TEXT.len()));
}

#[test]
fn only_packets_with_greater_counters_count() {
    let mut both = Both::up(s(0));
    both.rows = Rows(2);
    let line = both.answered(s(1)).expect("lines");
    both.board.on_line(s(1), &line);
    let refused = both.board.stats().refused;
    both.board.on_line(s(1), &line);
    both.board.on_line(s(1), "~tAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    assert_eq!(both.board.stats().refused, refused + 2);
    assert_eq!(both.board.read_line(str::len), Some(TEXT.len()));
    assert_eq!(both.board.read_line(str::len), Some(TEXT.len()));
    assert_eq!(both.board.read_line(str::len), None);
    // Its own ones sent back to it.
    both.settle(s(1));
    both.board.write(s(2), "mine").expect("there is room");
    let mine = both.said(s(2)).expect("a line");
    let refused = both.board.stats().refused;
    both.board.on_line(s(2), &mine);
    both.board.on_line(s(2), "an application's line");
    both.board.on_line(s(2), "~z");
    let stats = both.board.stats();
    assert_eq!((stats.refused, stats.plain), (refused + 1, 2));
}

#[test]
fn silence_is_broken_by_a_ping_and_lines_without_an_answer_go_out_again() {
    let mut both = Both::up(s(0));
    assert_eq!(both.said(ms(4999)), None);
    assert_eq!(both.board.poll_at(s(1)), Some(s(5)));
    assert_eq!(kind(&both.said(s(5))), Some("t"));
    both.board.write(s(6), "lost").expect("there is room");
    both.said(s(6)).expect("a line");
    assert_eq!(both.said(ms(7999)), None);
    let again = both.said(s(8)).expect("the line again");
    both.give(s(8), &again);
    assert_eq!(both.notes.lines, [1]);
}

/// A server says once that it has room again. Its own lines keep the link busy.
#[test]
fn credit_of_the_server_that_was_said_in_vain_is_asked_for_on_a_busy_link() {
    let mut both = Both::up(s(0));
    both.server.set_credit(0);
    both.settle(s(0));
    both.server.set_credit(8);
    assert!(both.answered(s(0)).is_some(), "the word that is lost");
    both.board.write(s(0), "waits").expect("there is room");
    for second in 1..=5 {
        assert_eq!(both.notes.lines, [], "there is no credit");
        both.rows.0 += 1;
        both.settle(s(second));
        assert_eq!(both.board.read_line(str::len), Some(TEXT.len()));
        both.settle(s(second));
    }
    assert_eq!(both.notes.lines, [1]);
}

/// The same the other way: a board says once that its application has read, and its own lines keep the link busy.
#[test]
fn credit_of_the_board_that_was_said_in_vain_is_said_again_on_a_busy_link() {
    let mut both = Both::up(s(0));
    both.rows = Rows(9);
    both.settle(s(0));
    let mut read = 0;
    while both.board.read_line(str::len).is_some() {
        read += 1;
    }
    assert!(both.said(s(0)).is_some(), "the word that is lost");
    assert_eq!(read, 8);
    for second in 1..=5 {
        assert!(!both.board.has_line(), "there is no credit");
        both.board.write(s(second), "busy").expect("there is room");
        both.settle(s(second));
    }
    assert_eq!(both.board.read_line(str::len), Some(TEXT.len()));
}

#[test]
fn twelve_seconds_without_a_word_ask_for_a_proof() {
    let mut both = Both::up(s(0));
    both.board.poll(ms(11_999));
    assert!(both.board.is_up());
    both.board.poll(s(12));
    assert_eq!(both.board.state(), BoardState::Prove);
    assert_eq!(kind(&both.said(s(12))), Some("t"));
    both.settle(s(13));
    assert!(both.board.is_up());
}

#[test]
fn a_link_that_the_server_closes_stays_closed_for_a_minute() {
    let mut both = Both::up(s(0));
    both.server.close(5);
    let close = both.answered(s(1)).expect("a word");
    both.board.on_line(s(1), &close);
    assert_eq!(events(&mut both)[2..], [BoardEvent::Closed(5), BoardEvent::Down]);
    assert_eq!((both.board.state(), both.said(s(30))), (BoardState::Down, None));
    // Nor does it come up when the ESP8266 finds a server anew.
    both.board.on_server(s(31), false);
    both.board.on_server(s(32), true);
    assert_eq!((both.said(s(60)), both.board.poll_at(s(60))), (None, Some(s(61))));
    both.visitor = Visitor::new(2, s(61));
    both.settle(s(61));
    assert!(both.board.is_up());
}
