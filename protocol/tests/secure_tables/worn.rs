//! Keys that have done their work: after a day or 2^20 packets there are new ones, and an hour later or after 2^22 the old
//! ones go.

use pblink_protocol::secure::board::{BoardEvent, BoardState};
use pblink_protocol::secure::packet::{MAX_BYTES, Packet};

use super::board::events;
use super::*;

#[test]
fn a_worn_key_is_replaced_in_time_and_one_that_was_not_is_dropped() {
    let mut both = Both::up(s(0));
    let day = 24 * 3600;
    for second in (0..day).step_by(5) {
        both.settle(s(second));
        assert!(both.board.is_up());
    }
    // Nobody answers: it stays up and asks again.
    let challenge = |line: &Option<String>| kind(line) == Some("q");
    assert!(challenge(&both.said(s(day))));
    assert!(both.board.is_up() && !challenge(&both.said(s(day))));
    for second in (day + 10..day + 3600).step_by(10) {
        while let Some(line) = both.said(s(second)) {
            if &line[1..2] == "t" {
                both.give(s(second), &line);
            }
        }
        while let Some(line) = both.answered(s(second)) {
            both.board.on_line(s(second), &line);
        }
        assert!(both.board.is_up(), "{second}");
    }
    both.board.poll(s(day + 3600));
    assert_eq!(both.board.state(), BoardState::Greet);
    assert!(challenge(&both.said(s(day + 3600))));

    // One that is answered loses nothing.
    let mut both = Both::up(s(0));
    events(&mut both);
    for second in (0..=day + 7200).step_by(5) {
        both.settle(s(second));
        assert!(both.board.is_up(), "{second}");
    }
    assert_eq!(events(&mut both), [BoardEvent::Time(TIME)], "nobody hears of it");
}

/// A connection gets ten challenges, and a board that is well needs one each day.
#[test]
fn a_connection_may_live_for_weeks() {
    let mut both = Both::up(s(0));
    events(&mut both);
    for second in (0..15 * 24 * 3600).step_by(5) {
        both.settle(s(second));
        assert!(both.board.is_up(), "day {}", second / 86_400);
    }
    assert_eq!(events(&mut both), [BoardEvent::Time(TIME); 8], "of fourteen, the newest eight");
}

/// Long before its counters, of 24 bits, come to their end.
#[test]
fn a_board_makes_two_to_the_twenty_second_packets_under_a_key_and_no_more() {
    let mut both = Both::up(s(0));
    both.board.write(s(1), "a line").expect("there is room");
    let line = both.said(s(1)).expect("the line");
    let Ok(Packet::Sealed { mut counter, .. }) = Packet::decode(&line, &mut [0; MAX_BYTES]) else {
        panic!("{line}");
    };
    let mut asked = Vec::new();
    let out = &mut [0; MAX_UP];
    for _ in 0..1 << 22 {
        both.board.tell(1, b"");
        let line = both.board.transmit(s(1), out).expect("a line");
        if line.starts_with("~t") {
            counter += 1;
            continue;
        }
        assert_eq!(&line[..2], "~q");
        asked.push((counter, both.board.state()));
        if both.board.state() != BoardState::Up {
            break;
        }
    }
    // Nobody has answered what it has asked for first.
    assert_eq!(asked, [(1 << 20, BoardState::Up), (1 << 22, BoardState::Greet)]);
}
