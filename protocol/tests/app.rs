//! The application base above an ESP8266 that is in the hands of the test: room, times and failures to the letter.

use crate::board::{bare, say};
use crate::common::rig::{Rig, Seen};
use crate::common::world::config;
use crate::common::{ms, span};
use pblink_protocol::MAX_TEXT;
use pblink_protocol::app::happening::Happening;
use pblink_protocol::app::{AppBase, AppEvent, CRASH_TIMEOUT, DropCause};
use pblink_protocol::delivery::Delivery;
use pblink_protocol::i2c::{InitiatorTiming, Responder};
use pblink_protocol::report::Report;

type Board = Rig<AppBase, Responder>;

/// Says a line that is longer than a payload.
fn say_long(rig: &mut Board, line: &str) {
    for part in line.as_bytes().chunks(200) {
        say(rig, str::from_utf8(part).expect("ASCII"));
    }
}

/// Fills the inbox, but for two bytes.
fn full() -> Board {
    let mut rig = bare();
    for _ in 0..2 {
        say_long(&mut rig, &format!("n{}\n", "x".repeat(MAX_TEXT)));
    }
    while rig.stm.next_event().is_some() {}
    rig
}

#[test]
fn the_last_line_that_fits_is_taken() {
    let mut rig = full();
    say(&mut rig, "ny\n");
    // What comes behind it comes through, though nobody reads.
    say(&mut rig, "u\n");
    rig.run(span(300));
    assert_eq!(rig.stm.next_event(), Some(AppEvent::Server(true)));
    // One byte more would not.
    let mut rig = full();
    say(&mut rig, "nyz\n");
    assert_eq!(rig.esp.as_mut().expect("it runs").submit(b"u\n"), 2);
    rig.run(span(300));
    assert_eq!(rig.stm.next_event(), None);
    let now = rig.now;
    assert!(rig.stm.read_line(now, |_| ()).is_some());
    rig.run(span(300));
    assert_eq!(rig.stm.next_event(), Some(AppEvent::Server(true)));
}

/// It takes no room.
#[test]
fn a_line_that_is_too_long_is_dropped_even_if_nobody_reads() {
    for len in [MAX_TEXT + 1, MAX_TEXT + 300] {
        let mut rig = full();
        say_long(&mut rig, &format!("n{}\n", "y".repeat(len)));
        say(&mut rig, "u\n");
        rig.run(span(300));
        assert_eq!(rig.stm.next_event(), Some(AppEvent::Dropped(DropCause::TooLong)), "{len}");
        assert_eq!(rig.stm.next_event(), Some(AppEvent::Server(true)), "{len}");
    }
}

/// The wires have forgotten the first line by then, and nobody has taken it.
#[test]
fn a_line_that_is_written_just_after_a_failure_costs_no_other() {
    let mut rig = bare();
    let now = rig.now;
    assert_eq!(rig.stm.write(now, "first", Delivery::ORDERED), Ok(()));
    let from = rig.trace.len();
    rig.until(span(300), |r| r.trace[from..].iter().any(|seen| seen.1 == Seen::Syn(true)));
    let now = rig.now;
    rig.stm.exchange().on_bus_error(now);
    assert_eq!(rig.stm.write(now, "second", Delivery::ORDERED), Ok(()));
    rig.stm.poll(now);
    rig.settle();
    assert_eq!((rig.resets, rig.stm.is_running()), (2, false));
    rig.until(span(5000), |r| r.stm.is_running());
    rig.run(span(10));
    let mut taken = Vec::new();
    for _ in 0..3 {
        let esp = rig.esp.as_mut().expect("it runs");
        taken.push(String::from_utf8(esp.received().to_vec()).expect("text"));
        esp.consume(200);
        rig.run(span(300));
    }
    assert!(taken[0].starts_with('['), "{taken:?}");
    assert_eq!(taken[1..], ["3first\n", "3second\n"]);
}

/// Not only when the wires have something to do.
#[test]
fn an_esp8266_that_falls_silent_is_reset_at_its_deadline() {
    let mut rig = bare();
    say(&mut rig, "k\n");
    let heard = rig.trace.iter().rev().find(|seen| seen.1 == Seen::Syn(false)).expect("it ends").0;
    rig.until(span(5000), |r| r.resets == 2);
    assert_eq!(rig.now, heard + CRASH_TIMEOUT);
}

#[test]
fn the_times_are_those_that_it_was_given() {
    let timing = InitiatorTiming { reset_pulse: span(7), ..InitiatorTiming::classic() };
    let mut app = AppBase::new(&config(), timing).expect("a configuration");
    app.start(ms(100));
    assert_eq!(app.poll_at(ms(100)), Some(ms(107)));
}

#[test]
fn details_of_another_length_are_no_report() {
    let report = Happening::Report(Report { connects: 1, number: 2, mem_free: 3 });
    let mut details = [0; Happening::MAX + 1];
    let place = details.first_chunk_mut().expect("it is longer");
    assert_eq!(report.encode(place), 12);
    for len in 0..=details.len() {
        let read = Happening::decode(report.kind(), &details[..len]);
        assert_eq!(read, Some(report).filter(|_| len == 12), "{len}");
    }
}
