//! The application base with keys, on virtual wires: what its ESP8266 sees, and what the session behind it does.

use crate::common::rig::Rig;
use crate::common::span;
use crate::common::world::config;
use crate::secure_world::{App, World};
use pblink_protocol::app::happening::{Happening, RestartCause};
use pblink_protocol::app::secure::SecureEvent;
use pblink_protocol::app::{AppEvent, ResetCause, WriteError};
use pblink_protocol::delivery::Delivery;
use pblink_protocol::i2c::{InitiatorTiming, Responder};
use pblink_protocol::inband::Message;
use pblink_protocol::report::Report;
use pblink_protocol::secure::board::BoardState;

#[test]
fn lines_pass_both_ways_and_are_done_when_the_server_has_them() {
    let mut w = World::up(true);
    assert!(w.events.contains(&SecureEvent::App(AppEvent::Server(true))));
    assert!(w.events.contains(&SecureEvent::Time(1_800_000_000_000)));
    assert!(w.app().is_flushed());
    let number = w.write("up", Delivery::ORDERED).expect("there is room").expect("a number");
    assert!(!w.app().is_done(number) && !w.app().is_flushed());
    assert_eq!(w.write("perhaps", Delivery::BestEffort), Ok(None));
    assert_eq!(w.write("perhaps too", Delivery::BestEffort), Err(WriteError::Full));
    w.rows.0.push("down".into());
    w.until(1000, |w| w.app().is_done(number) && w.app().is_flushed());
    assert_eq!(
        (&w.notes.lines[..], &w.notes.datagrams[..]),
        (&["up".into()][..], &["perhaps".into()][..])
    );
    w.until(1000, |w| w.read().is_some_and(|line| line == "down"));
    assert_eq!(w.notes.done, 0, "the application may still be at it");
    let now = w.now();
    w.app().accept(now);
    w.until(1000, |w| w.notes.done == 1);
    assert!(matches!(w.write("a\nb", Delivery::BestEffort), Err(WriteError::Text(_))));
    assert_eq!(w.write(&"x".repeat(1024), Delivery::BestEffort), Ok(None));
    assert_eq!(w.write(&"x".repeat(1025), Delivery::BestEffort), Err(WriteError::TooLong));
}

#[test]
fn the_application_hears_nothing_of_new_keys_but_the_time() {
    let mut w = World::up(true);
    // Not before the pause after the last handshake is over.
    w.run(3000);
    w.events.clear();
    w.for_board.push_back("k".into());
    // As a server answers what none of its keys opens, and as a board asks for each day.
    let now = w.now();
    w.server.on_line(now, &mut w.visitor, "~tAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", &mut w.notes);
    let hellos = |w: &World| w.taken.iter().filter(|line| line.starts_with("~h")).count();
    let before = hellos(&w);
    let mut written = 0;
    for _ in 0..20 {
        w.write(&format!("line {written}"), Delivery::ORDERED).expect("there is room");
        written += 1;
        for _ in 0..100 {
            w.step();
            assert!(w.app().server_up());
        }
    }
    assert_eq!(hellos(&w), before + 1);
    w.until(2000, |w| w.app().is_flushed());
    assert_eq!(w.events, [SecureEvent::Time(1_800_000_000_000)]);
    let expected: Vec<_> = (0..written).map(|n| format!("line {n}")).collect();
    assert_eq!(w.notes.lines, expected);
}

#[test]
fn a_line_that_cannot_be_sent_yet_waits_in_the_session_and_makes_no_packet() {
    let mut w = World::new();
    for n in 0..20 {
        assert_eq!(w.write(&format!("line {n}"), Delivery::ORDERED), Ok(Some(n + 1)));
    }
    assert_eq!(w.write("no room", Delivery::ORDERED), Err(WriteError::Full));
    w.run(3000);
    assert_eq!(w.esp().received(), b"", "there is no server");
    w.for_board.push_back("k".into());
    w.connect();
    w.until(10_000, |w| w.app().is_flushed());
    assert_eq!(w.notes.lines, (0..20).map(|n| format!("line {n}")).collect::<Vec<_>>());
}

#[test]
fn packets_are_never_repeated_and_none_outlives_its_esp8266() {
    let mut w = World::up(true);
    for crash in 0..5 {
        for n in 0..4 {
            w.write(&format!("line {crash} {n}"), Delivery::ORDERED).expect("there is room");
        }
        // The ESP8266 dies with what it has taken, and with a packet on the wires.
        w.connected = false;
        w.run(5 + 7 * crash);
        w.rig.hung = true;
        let now = w.now();
        w.until(10_000, |w| w.rig.esp.is_none());
        assert!(!w.app().server_up());
        w.until(10_000, |w| w.rig.esp.is_some());
        w.configured();
        w.run(300);
        assert_eq!(w.esp().received(), b"", "a packet for the one before");
        w.for_board.push_back("k".into());
        w.connect();
        w.until(10_000, |w| w.app().is_flushed());
        assert!(w.now().since(now) < span(8000), "no new handshake is needed");
    }
    let expected: Vec<_> =
        (0..5).flat_map(|crash| (0..4).map(move |n| format!("line {crash} {n}"))).collect();
    assert_eq!(w.notes.lines, expected);
    let all = w.taken.len();
    w.taken.sort();
    w.taken.dedup();
    assert_eq!(w.taken.len(), all, "each packet is unlike any other");
    assert_eq!(w.taken.iter().filter(|line| line.starts_with("~h")).count(), 1, "keys stay");
    let resets = w.notes.told.iter().filter(|it| matches!(it, Happening::Reset(_))).count();
    assert_eq!(resets, 5, "the server learns of each: {:?}", w.notes.told);
}

#[test]
fn a_keepalive_before_the_first_server_tells_our_esp8266_and_widens_the_window() {
    // A server that goes and comes back changes nothing in it.
    for (ours, most, loses) in
        [(true, 8, false), (false, 2, false), (true, 8, true), (false, 2, true)]
    {
        let mut w = World::up(ours);
        if loses {
            w.lose();
            w.live(10);
            w.connect();
            w.until(10_000, |w| w.app().server_up());
        }
        // So long that each fills a packet; the server takes them and says nothing.
        w.run(1000);
        w.taken.clear();
        for _ in 0..12 {
            w.write(&"x".repeat(112), Delivery::ORDERED).expect("there is room");
        }
        w.connected = false;
        let mut packets = 0;
        for _ in 0..400 {
            w.step();
            let payload = w.esp().received().len();
            w.esp().consume(payload);
            packets += usize::from(payload > 0);
        }
        assert_eq!(packets, most);
    }
}

#[test]
fn the_esp8266_is_reset_when_nothing_valid_comes_through_it() {
    let mut w = World::new();
    w.for_board.push_back("k".into());
    w.for_board.push_back("u".into());
    // It keeps saying that it lives, and takes what it is given.
    for second in 0.. {
        w.run(1000);
        if w.app().resets() == 1 {
            assert!((29..=31).contains(&second), "{second}");
            break;
        }
        assert!(w.app().has_carrier() && !w.app().server_up());
        let payload = w.esp().received().len();
        w.esp().consume(payload);
        if second % 2 == 0 {
            w.for_board.push_back("k".into());
        }
    }
    let cause = AppEvent::Reset(ResetCause::Unproven);
    assert!(
        w.events.contains(&SecureEvent::App(cause)) && w.events.contains(&SecureEvent::NoAnswer)
    );
    w.until(10_000, |w| w.rig.esp.is_some());
    w.configured();
    w.for_board.push_back("k".into());
    w.connect();
    w.until(10_000, |w| w.notes.told == [Happening::Reset(ResetCause::Unproven)]);
}

/// One that takes nothing from its server any more never says that it has one: only time tells.
#[test]
fn an_esp8266_that_finds_no_server_any_more_is_reset_after_five_minutes() {
    let mut w = World::up(true);
    // A server that comes back begins the time anew.
    for seconds in [290, 20] {
        w.lose();
        w.live(seconds);
        assert_eq!(w.app().resets(), 0);
        w.connect();
        w.until(10_000, |w| w.app().server_up());
    }
    w.lose();
    w.live(298);
    assert_eq!(w.app().resets(), 0);
    w.live(4);
    assert_eq!(w.app().resets(), 1);
    assert!(w.events.contains(&SecureEvent::App(AppEvent::Reset(ResetCause::NoServer))));
}

/// Its ESP8266 reports before there is a link, is reset, and reports again: nothing of that takes the place of the cause.
#[test]
fn the_cause_of_a_start_is_told_once_whatever_else_there_is_to_tell() {
    let mut w = World::new();
    w.app().tell_restart(RestartCause::BrownOut);
    let now = w.now();
    w.app().reboot(now);
    w.rig.settle();
    w.until(10_000, |w| w.rig.esp.is_some());
    w.configured();
    // The next report is not far, so that this one waits for no link.
    w.for_board.extend(["k".into(), "r[7, 8, 9]".into()]);
    w.connect();
    w.until(10_000, |w| w.app().server_up());
    w.for_board.push_back("r[1, 2, 3]".into());
    w.until(10_000, |w| w.notes.told.len() == 3);
    let report = Report { connects: 1, number: 2, mem_free: 3 };
    let expected = [
        Happening::Restart(RestartCause::BrownOut),
        Happening::Reset(ResetCause::Requested),
        Happening::Report(report),
    ];
    assert_eq!(w.notes.told, expected);
    // A board without keys has nobody to tell it to.
    let mut classic = App::idle(None);
    classic.tell_restart(RestartCause::BrownOut);
    assert!(!classic.is_secure());
}

#[test]
fn reports_go_to_the_server_as_events_and_lines_of_strangers_nowhere() {
    let mut w = World::up(true);
    w.for_board.push_back("r[1, 2, 3]".into());
    w.for_board.push_back("nhello, I am a server".into());
    let report = Report { connects: 1, number: 2, mem_free: 3 };
    w.until(1000, |w| w.notes.told == [Happening::Report(report)]);
    assert!(w.events.contains(&SecureEvent::App(AppEvent::Report(report))));
    w.run(500);
    assert_eq!((w.read(), w.app().board().stats().plain), (None, 1));
    assert_eq!(w.notes.lines, Vec::<String>::new());
}

/// It would reach the next ESP8266 with its configuration, before there is a server.
#[test]
fn a_packet_that_a_reset_overtakes_is_made_anew_for_the_next_server() {
    let mut w = World::up(true);
    w.run(1000);
    let now = w.now();
    assert_eq!(w.app().write(now, "overtaken", Delivery::ORDERED), Ok(Some(1)));
    w.app().reboot(now);
    w.rig.settle();
    w.until(10_000, |w| w.rig.esp.is_some());
    w.configured();
    w.run(500);
    assert_eq!(w.esp().received(), b"", "there is no server");
    w.for_board.push_back("k".into());
    w.connect();
    w.until(10_000, |w| w.app().is_done(1));
    assert_eq!(w.notes.lines, ["overtaken"]);
}

/// Arithmetic on the curve takes longer than anybody should wait on the wires.
#[test]
fn arithmetic_waits_for_the_end_of_an_exchange() {
    let mut w = World::new();
    // The second challenge waits until 2 s after the first.
    for line in ["k", "u", "n~cAAAAAAAAAAAAAAAAAAAAAA", "d", "u", "n~cAAAAAAAAAAAAAAAAAAAAAA"] {
        w.for_board.push_back(line.into());
        w.run(150);
        w.esp().consume(200);
    }
    w.run(1000);
    // From now on an exchange is under way, in which the ESP8266 is slow.
    w.rig.hung = true;
    w.run(600);
    let now = w.now();
    assert_eq!(w.app().resets(), 0, "the exchange has not failed");
    assert!(w.app().board().wants_compute(now) && !w.app().wants_compute(now));
    w.app().close(now);
    assert!(!w.app().server_up() && w.app().board().state() == BoardState::Down);
}

/// A board without keys whose ESP8266 has its configuration.
fn classic(mut app: App) -> Rig<App, Responder> {
    app.configure(&config(), InitiatorTiming::default()).expect("a configuration");
    let mut rig: Rig<App, Responder> = Rig::new(app);
    let now = rig.now;
    rig.stm.start(now);
    rig.settle();
    rig.until(span(5000), |rig| rig.stm.is_running());
    rig.run(span(10));
    rig.esp.as_mut().expect("it has booted").consume(200);
    rig
}

#[test]
fn without_keys_it_is_an_application_base() {
    // As a firmware makes it in a static.
    const IDLE: App = App::idle(None);
    let mut rig = classic(IDLE);
    assert!(!rig.stm.is_secure());
    let now = rig.now;
    assert_eq!(rig.stm.write(now, "plain", Delivery::ORDERED), Ok(None));
    rig.run(span(300));
    let esp = rig.esp.as_mut().expect("it has booted");
    assert_eq!(esp.received(), b"3plain\n");
    esp.consume(200);
    esp.submit(b"u\nnhello\n");
    rig.run(span(300));
    let now = rig.now;
    assert!(rig.stm.server_up() && rig.stm.is_flushed());
    assert_eq!(rig.stm.read_line(now, str::to_owned).as_deref(), Some("hello"));
    let events: Vec<_> = std::iter::from_fn(|| rig.stm.next_event()).collect();
    assert!(events.contains(&SecureEvent::App(AppEvent::Server(true))), "{events:?}");
}

#[test]
fn reports_are_lines_for_the_server_of_a_board_without_keys_if_its_owner_wants_that() {
    let report = Report { connects: 1, number: 2, mem_free: 3 };
    for wanted in [true, false] {
        let mut app = App::idle(None);
        app.set_forward_reports(!wanted);
        app.set_forward_reports(wanted);
        let mut rig = classic(app);
        let esp = rig.esp.as_mut().expect("it has booted");
        esp.submit(b"u\nr[1, 2, 3]\n");
        rig.run(span(300));
        let line = format!("0{}\n", Message::Report(report).to_line());
        let expected = if wanted { line.as_str() } else { "" };
        assert_eq!(rig.esp.as_ref().expect("it is there").received(), expected.as_bytes());
    }
    // With keys they are none, whatever its owner wants.
    let mut w = World::up(true);
    w.app().set_forward_reports(true);
    w.for_board.push_back("r[1, 2, 3]".into());
    w.until(1000, |w| w.notes.told == [Happening::Report(report)]);
    w.run(500);
    assert!(w.taken.iter().all(|line| line.starts_with('~')), "{:?}", w.taken);
}

#[test]
fn an_application_base_is_shown_by_its_name_and_without_its_keys() {
    let shown = format!("{:?}", World::new().app());
    assert!(shown.starts_with("SecureApp { base: AppBase {"), "{shown}");
    assert!(shown.ends_with(" }, .. }"), "{shown}");
}
