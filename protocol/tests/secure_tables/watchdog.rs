//! The board's resets of its ESP8266.

use pblink_protocol::secure::board::{BoardEvent, BoardState};

use super::board::events;
use super::*;

#[test]
fn the_esp8266_is_reset_after_silence_each_time_later() {
    let mut both = Both::new();
    let mut now = 0;
    for silence in [30, 60, 120, 300, 300] {
        both.board.on_server(s(now), true);
        both.board.poll(ms(1000 * (now + silence) - 1));
        assert!(!events(&mut both).contains(&BoardEvent::ResetWanted));
        both.board.poll(s(now + silence));
        assert!(events(&mut both).contains(&BoardEvent::ResetWanted), "after {silence} s");
        assert_eq!(both.board.state(), BoardState::Down);
        now += silence;
    }
    // A word from the server begins the count anew.
    both.board.on_server(s(now), true);
    both.visitor = Visitor::new(2, s(now));
    both.settle(s(now));
    assert!(both.board.is_up());
    both.board.poll(s(now + 29));
    assert!(!events(&mut both).contains(&BoardEvent::ResetWanted));
    both.board.poll(s(now + 30));
    assert!(events(&mut both).contains(&BoardEvent::ResetWanted));
}

/// A published program one of whose tasks has died: it takes nothing from the server, and loses each connection at once.
#[test]
fn an_esp8266_that_connects_again_and_again_in_vain_is_reset() {
    let mut both = Both::new();
    let mut connects = |at: u64, end: u64| {
        both.board.on_server(s(at), true);
        both.board.poll(s(at));
        let reset = events(&mut both).contains(&BoardEvent::ResetWanted);
        both.board.on_server(s(end), false);
        reset
    };
    for at in [0, 8, 16, 24] {
        assert!(!connects(at, at + 1), "{at}");
    }
    assert!(connects(32, 33));
    // The next one gets a minute.
    for at in (40..100).step_by(10) {
        assert!(!connects(at, at + 1), "{at}");
    }
    assert!(connects(100, 101));
    // A word from the server begins the count anew, also that of the connections.
    both.visitor = Visitor::new(2, s(110));
    both.board.on_server(s(110), true);
    both.settle(s(110));
    assert!(both.board.is_up());
    both.board.on_server(s(111), false);
    for at in [112, 1000] {
        both.board.on_server(s(at), true);
        both.board.poll(s(at + 29));
        assert!(!events(&mut both).contains(&BoardEvent::ResetWanted), "{at}");
        both.board.on_server(s(at + 29), false);
    }
}

/// The same program, at the moment when that happens: its connection has carried before.
#[test]
fn a_connection_that_has_fallen_silent_is_the_first_in_vain() {
    for (end, wanted) in [(20, true), (5, false)] {
        let mut both = Both::up(s(0));
        both.board.on_server(s(end), false);
        for at in [21, 24] {
            both.board.on_server(s(at), true);
            both.board.on_server(s(at + 1), false);
        }
        both.board.on_server(s(31), true);
        both.board.poll(s(31));
        let reset = events(&mut both).contains(&BoardEvent::ResetWanted);
        assert_eq!(reset, wanted, "the connection that had carried ended at {end} s");
    }
}

#[test]
fn the_minute_of_a_closed_link_is_no_silence() {
    let mut both = Both::up(s(0));
    both.server.close(5);
    let close = both.answered(s(1)).expect("a word");
    both.board.on_line(s(1), &close);
    both.visitor = Visitor::new(2, s(61));
    for second in 61..90 {
        both.board.poll(s(second));
        assert!(!events(&mut both).contains(&BoardEvent::ResetWanted), "{second}");
    }
    both.board.poll(s(91));
    assert!(events(&mut both).contains(&BoardEvent::ResetWanted));
}
