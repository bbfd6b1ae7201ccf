//! Application base and coprocessor on virtual wires, with a network and a server behind them.

use crate::common::rig::Rig;
use crate::common::world::{World, config, has, lines};
use crate::common::{Rng, span};
use pblink_protocol::MAX_TEXT;
use pblink_protocol::app::{AppBase, AppEvent, QUEUE, ResetCause, WriteError};
use pblink_protocol::config::Config;
use pblink_protocol::coprocessor::Command;
use pblink_protocol::delivery::Delivery;
use pblink_protocol::i2c::frame::check_sum;
use pblink_protocol::i2c::{InitiatorTiming, MAX_PAYLOAD, Responder};
use pblink_protocol::report::Report;
use pblink_protocol::tcp::line::BadText;
use pblink_protocol::time::{Duration, Instant};

fn numbers(n: usize) -> Vec<String> {
    (0..n).map(|n| format!("line {n}")).collect()
}

#[test]
fn lines_go_both_ways() {
    let mut w = World::new();
    for n in 0..10 {
        assert!(w.write(&format!("line {n}"), Delivery::ORDERED));
    }
    for n in 0..10 {
        w.server_write(&format!("line {n}"));
    }
    w.until(20_000, |w| {
        w.app_got.len() == 10 && lines(&w.server_app.got).len() == 10 && w.server.unacked() == 0
    });
    assert_eq!(w.app_got, numbers(10));
    assert_eq!(lines(&w.server_app.got), numbers(10));
    assert!(w.app().is_flushed());
    assert_eq!(w.app().resets(), 0);
    assert_eq!(w.esp().dropped(), 0);
    // In the order in which they happen.
    let order: Vec<AppEvent> = w.app_events.iter().map(|e| e.1).take(2).collect();
    assert_eq!(order, [AppEvent::Started, AppEvent::Server(true)]);
}

/// Returns a board whose ESP8266 answers on the wires but whose program can be silent.
pub fn bare() -> Rig<AppBase, Responder> {
    let app = AppBase::new(&config(), InitiatorTiming::default()).unwrap();
    let mut rig: Rig<AppBase, Responder> = Rig::new(app);
    let now = rig.now;
    rig.stm.start(now);
    rig.settle();
    rig.until(span(5000), |r| r.stm.is_running());
    rig.run(span(10));
    let esp = rig.esp.as_mut().unwrap();
    assert!(esp.received().starts_with(b"["));
    esp.consume(200);
    rig
}

/// Says a line as the ESP8266, and waits until it is passed.
pub fn say(rig: &mut Rig<AppBase, Responder>, line: &str) {
    let esp = rig.esp.as_mut().unwrap();
    assert_eq!(esp.submit(line.as_bytes()), line.len());
    rig.until(span(1000), |r| r.esp.as_ref().unwrap().can_submit());
}

#[test]
fn four_seconds_without_a_keepalive_reset_but_only_after_the_first() {
    let mut rig = bare();
    // A published ESP8266 sends none before it has reached the server.
    rig.run(span(50_000));
    assert_eq!(rig.resets, 1, "not armed yet");
    for _ in 0..5 {
        say(&mut rig, "k\n");
        rig.run(span(3800));
    }
    assert_eq!(rig.resets, 1);
    say(&mut rig, "nother lines do not count\n");
    rig.until(span(300), |r| r.resets == 2);
    let mut causes = Vec::new();
    while let Some(event) = rig.stm.next_event() {
        causes.push(event);
    }
    assert!(causes.contains(&AppEvent::Reset(ResetCause::Silent)), "{causes:?}");
    assert_eq!(rig.stm.resets(), 1);
}

#[test]
fn an_esp8266_with_another_configuration_than_the_boards_is_reset_at_once() {
    let line = {
        let mut line = [0; MAX_PAYLOAD];
        let len = config().encode(&mut line).unwrap();
        line[..len - 1].to_vec()
    };
    let mut rig = bare();
    say(&mut rig, &format!("k{:04x}\n", check_sum(&line)));
    // A published one says none.
    say(&mut rig, "k\n");
    assert_eq!(rig.resets, 1);
    let mut other = line;
    other[2] ^= 1;
    let word = format!("k{:04x}\n", check_sum(&other));
    assert_eq!(rig.esp.as_mut().unwrap().submit(word.as_bytes()), word.len());
    // With the next exchange.
    rig.until(span(200), |r| r.resets == 2);
    let events: Vec<AppEvent> = std::iter::from_fn(|| rig.stm.next_event()).collect();
    assert!(events.contains(&AppEvent::Reset(ResetCause::Garbled)), "{events:?}");
    // The one behind it is judged by its own words.
    rig.until(span(5000), |r| r.stm.is_running());
    rig.run(span(100));
    assert_eq!(rig.resets, 2);
}

#[test]
fn keepalives_are_not_missed_while_the_application_does_not_read() {
    let mut rig = bare();
    say(&mut rig, "k\n");
    let long = format!("n{}\n", "x".repeat(180));
    // Fill the queue, until the next line has to wait on the wires.
    for _ in 0..QUEUE / 181 {
        say(&mut rig, &long);
    }
    let esp = rig.esp.as_mut().unwrap();
    esp.submit(long.as_bytes());
    rig.run(span(30_000));
    assert_eq!(rig.resets, 1);
    let mut read = 0;
    let now = rig.now;
    while rig.stm.read_line(now, |l| assert_eq!(l.len(), 180)).is_some() {
        read += 1;
        rig.run(span(300));
    }
    assert_eq!(read, QUEUE / 181 + 1, "nothing was lost");
    // From then on keepalives are waited for again.
    rig.until(span(4500), |r| r.resets == 2);
}

#[test]
fn unknown_and_garbled_lines_are_dropped_and_reported() {
    let mut rig = bare();
    for line in ["xwhat\n", "r[1, 2]\n", "r[1, 2, 3]\n", "\n", "u\nd\nnone\nntwo\n", "nth", "ree\n"]
    {
        say(&mut rig, line);
    }
    let esp = rig.esp.as_mut().unwrap();
    esp.submit(b"n\xff\xfe\n");
    rig.run(span(300));
    for _ in 0..6 {
        say(&mut rig, &"n".repeat(199));
    }
    say(&mut rig, "\n");
    say(&mut rig, "nfour\n");
    rig.run(span(300));
    let mut events = Vec::new();
    while let Some(event) = rig.stm.next_event() {
        events.push(format!("{event:?}"));
    }
    let want = [
        "Dropped(UnknownHeader(120))",
        "Dropped(UnknownHeader(114))",
        "Report(Report { connects: 1, number: 2, mem_free: 3 })",
        "Server(true)",
        "Server(false)",
        "Dropped(NotUtf8)",
        "Dropped(TooLong)",
    ];
    assert!(events.ends_with(&want.map(String::from)), "{events:?}");
    let now = rig.now;
    let mut got = Vec::new();
    while let Some(line) = rig.stm.read_line(now, str::to_string) {
        got.push(line);
    }
    assert_eq!(got, ["one", "two", "three", "four"]);
    assert_eq!(rig.resets, 1);
}

#[test]
fn half_a_line_of_an_esp8266_that_was_reset_is_forgotten() {
    let mut rig = bare();
    say(&mut rig, "nhalf a li");
    let now = rig.now;
    rig.stm.reboot(now);
    rig.settle();
    rig.run(span(10));
    rig.until(span(5000), |r| r.stm.is_running());
    rig.run(span(10));
    rig.esp.as_mut().unwrap().consume(200);
    say(&mut rig, "nwhole\n");
    let now = rig.now;
    let line = rig.stm.read_line(now, str::to_string);
    assert_eq!(line.as_deref(), Some("whole"));
}

#[test]
fn rebooting_loses_nothing_that_was_not_passed() {
    let mut w = World::up();
    for n in 0..5 {
        assert!(w.write(&format!("line {n}"), Delivery::ORDERED));
    }
    let now = w.now();
    w.app().reboot(now);
    w.rig.settle();
    assert!(!w.app().is_flushed());
    w.until(20_000, |w| lines(&w.server_app.got).len() == 5);
    assert_eq!(lines(&w.server_app.got), numbers(5));
    assert!(has(&w, AppEvent::Reset(ResetCause::Requested)));
    assert_eq!(w.app().resets(), 1);
}

#[test]
fn closing_stops_and_starting_goes_on() {
    let mut w = World::up();
    w.app().close();
    w.rig.settle();
    assert!(!w.app().server_up());
    assert!(w.write("line 0", Delivery::ORDERED));
    w.run(10_000);
    let now = w.now();
    assert_eq!(w.app().poll_at(now), None);
    assert!(lines(&w.server_app.got).is_empty());
    let now = w.now();
    w.app().start(now);
    w.rig.settle();
    w.until(20_000, |w| lines(&w.server_app.got).len() == 1);
}

#[test]
fn reports_come_to_the_application_and_to_the_server() {
    let mut w = World::new();
    w.until(3000, |w| w.rig.esp.is_some());
    w.esp().set_mem_free(41_000);
    w.until(60_000, |w| w.server_app.got.len() >= 3);
    for n in 0..3 {
        assert!(has(&w, AppEvent::Report(Report { connects: 1, number: n, mem_free: 41_000 })));
        let line = format!("{{\"pblink\":{{\"report\":[1,{n},41000]}}}}");
        assert_eq!(w.server_app.got[n as usize], line);
    }
    // Ten seconds apart.
    let times: Vec<_> =
        w.app_events.iter().filter(|e| matches!(e.1, AppEvent::Report(_))).map(|e| e.0).collect();
    let gap = times[1].since(times[0]);
    assert!(gap > span(9700) && gap < span(10_300), "{gap}");
    let mut w = World::up();
    w.app().set_forward_reports(false);
    w.until(30_000, |w| has(w, AppEvent::Report(Report { connects: 1, number: 1, mem_free: 0 })));
    w.run(3000);
    assert!(w.server_app.got.is_empty());
}

#[test]
fn no_network_is_reported_after_twenty_seconds_and_it_goes_on_trying() {
    let mut w = World::new();
    w.wifi = false;
    w.until(30_000, |w| has(w, AppEvent::BadWifi));
    let configured = w.app_events.iter().find(|e| e.1 == AppEvent::Started).unwrap().0;
    let after = w.now().since(configured);
    assert!(after >= span(19_900) && after < span(20_500), "{after}");
    w.run(60_000);
    // Ever longer attempts, for a DHCP server that is slow.
    let joins = |w: &World| -> Vec<u64> {
        let joins = w.commands.iter().filter(|c| c.1 == Command::Join);
        joins.map(|c| c.0.since(configured).as_millis().div_ceil(1000)).collect()
    };
    assert!(joins(&w).starts_with(&[0, 10, 30, 70]), "{:?}", joins(&w));
    assert_eq!(w.commands.iter().filter(|c| c.1 == Command::JoinRemembered).count(), 0);
    assert_eq!(w.app().resets(), 0, "it keeps saying that it lives");
    w.wifi = true;
    w.until(45_000, |w| w.app().server_up());
    let bad = w.app_events.iter().filter(|e| e.1 == AppEvent::BadWifi);
    assert_eq!(bad.count(), 1);
}

#[test]
fn the_remembered_network_is_used_when_there_is_no_other() {
    let mut c = config();
    c.ssid.clear();
    c.password.clear();
    let mut w = World::with(c);
    w.until(10_000, |w| w.app().server_up());
    let joins = w.commands.iter().map(|c| c.1);
    assert!(joins.filter(|c| matches!(c, Command::Join)).count() == 0);
}

/// Somebody else's network may be remembered, from before.
#[test]
fn the_remembered_network_is_not_used_when_another_is_configured() {
    let mut w = World::new();
    w.until(10_000, |w| w.app().server_up());
    let joins: Vec<_> = w.commands.iter().map(|c| c.1).filter(|c| *c != Command::Connect).collect();
    assert_eq!(joins, [Command::Join]);
}

/// The times at which the network was left, in whole seconds since `start`.
fn left(w: &World, start: Instant) -> Vec<u64> {
    let left = w.commands.iter().filter(|c| c.1 == Command::Leave);
    left.map(|c| c.0.since(start).as_millis() / 1000).collect()
}

/// The SDK has no event for it: the chip would stay in this network for ever.
#[test]
fn a_network_that_passes_nothing_is_joined_anew() {
    let mut w = World::up();
    let start = w.now();
    w.forgotten = true;
    assert!(w.write("in between", Delivery::ORDERED));
    w.until(90_000, |w| w.app().server_up() && w.server_app.got == ["in between"]);
    assert!(matches!(left(&w, start)[..], [59 | 60]), "{:?}", left(&w, start));
    assert_eq!(w.app().resets(), 0);
    // Nor does it leave a network in which the server speaks.
    w.run(300_000);
    assert_eq!(left(&w, start).len(), 1);
    // The next time, it is as patient as the first time.
    let start = w.now();
    w.forgotten = true;
    w.until(90_000, |w| left(w, start).last().is_some_and(|&at| at >= 59));
    w.until(10_000, |w| w.app().server_up());
}

/// A server may be away for a weekend: the network is not to blame.
#[test]
fn a_network_without_its_server_is_left_ever_more_rarely() {
    let mut w = World::up();
    let start = w.now();
    w.listening = false;
    w.silent = true;
    w.run(2000);
    w.silent = false;
    w.run(7_200_000);
    let times = left(&w, start);
    assert_eq!(times.len(), 10, "{times:?}");
    let gaps: Vec<u64> = times.windows(2).map(|two| two[1] - two[0]).collect();
    assert!(gaps.windows(2).all(|two| two[1] + 2 >= two[0]), "{times:?}");
    assert!(gaps.iter().all(|gap| (118..=970).contains(gap)), "{times:?}");
    assert_eq!(w.app().resets(), 0);
    w.listening = true;
    w.until(10_000, |w| w.app().server_up());
}

/// Two keepalives may be further apart than a minute.
#[test]
fn a_server_with_a_long_time_out_is_not_taken_for_a_dead_network() {
    let mut w = World::with(Config { timeout_ms: 60_000, ..config() });
    w.until(10_000, |w| w.app().server_up());
    let start = w.now();
    w.silent = true;
    w.run(100_000);
    assert!(left(&w, start).is_empty());
    w.run(21_000);
    assert_eq!(left(&w, start).len(), 1);
}

#[test]
fn a_server_that_is_not_there_is_reported_once() {
    let mut w = World::new();
    w.listening = false;
    w.until(10_000, |w| has(w, AppEvent::BadServer));
    w.run(20_000);
    w.listening = true;
    w.until(10_000, |w| w.app().server_up());
    assert_eq!(w.app().resets(), 0);
    let bad = w.app_events.iter().filter(|e| e.1 == AppEvent::BadServer);
    assert_eq!(bad.count(), 1);
}

/// It does not know the id, or it is another program: the first connection fails all the same.
#[test]
fn a_server_that_does_not_answer_is_reported_once() {
    for slamming in [true, false] {
        let mut w = World::new();
        (w.slamming, w.mute) = (slamming, !slamming);
        w.until(10_000, |w| has(w, AppEvent::BadServer));
        w.run(20_000);
        assert!(!has(&w, AppEvent::Server(true)));
        (w.slamming, w.mute) = (false, false);
        w.until(10_000, |w| w.app().server_up());
        let bad = w.app_events.iter().filter(|e| e.1 == AppEvent::BadServer);
        assert_eq!(bad.count(), 1);
        // An outage later on is another thing.
        w.mute = true;
        w.until(5000, |w| !w.app().server_up());
        w.run(5000);
        let bad = w.app_events.iter().filter(|e| e.1 == AppEvent::BadServer);
        assert_eq!(bad.count(), 1);
    }
}

#[test]
fn outages_of_each_kind_are_reported_and_end() {
    let mut w = World::up();
    for kind in 0..3 {
        let down = |w: &mut World| match kind {
            0 => w.set_wifi(false),
            1 => w.silent = true,
            _ => {
                w.listening = false;
                w.silent = true;
            }
        };
        down(&mut w);
        w.until(4000, |w| !w.app().server_up());
        assert!(w.write("line 0", Delivery::ORDERED));
        w.server_write("from the server");
        w.run(10_000);
        assert!(!w.app().server_up());
        if kind == 0 {
            w.set_wifi(true);
        }
        w.silent = false;
        w.listening = true;
        w.until(12_000, |w| w.app().server_up());
        w.until(5000, |w| {
            lines(&w.server_app.got).len() == kind + 1 && w.app_got.len() == kind + 1
        });
    }
    assert_eq!(w.app().resets(), 0);
}

#[test]
fn unread_lines_hold_off_and_lose_nothing() {
    let mut w = World::up();
    w.reading = false;
    let text = |n: usize| format!("line {n} {}", "x".repeat(500));
    for n in 0..40 {
        w.server_write(&text(n));
    }
    w.run(60_000);
    assert_eq!(w.app().resets(), 0);
    assert!(w.app().server_up(), "the link lives meanwhile");
    // Only what the STM32 has taken is acknowledged.
    let waiting = w.server.unacked();
    assert!(waiting >= 40 - QUEUE / 500 - 1, "{waiting}");
    w.reading = true;
    w.until(60_000, |w| w.app_got.len() == 40);
    assert_eq!(w.app_got, (0..40).map(text).collect::<Vec<_>>());
    w.until(5000, |w| w.server.unacked() == 0);
    w.run(5000);
    assert_eq!(w.app_got.len(), 40);
}

/// A server whose application does not read: the board's lines wait, in order.
#[test]
fn a_full_server_holds_the_board_off_and_loses_nothing() {
    let mut w = World::up();
    w.server_app.full = true;
    let mut written = 0;
    for _ in 0..200 {
        if w.write(&format!("line {written}"), Delivery::ORDERED) {
            written += 1;
        }
        w.run(100);
    }
    assert!(written > 100, "they wait in the STM32: {written}");
    w.server_app.full = false;
    w.until(120_000, |w| lines(&w.server_app.got).len() == written);
    assert_eq!(lines(&w.server_app.got), numbers(written));
    assert_eq!(w.app().resets(), 0);
}

#[test]
fn the_longest_line_passes_both_ways() {
    let mut w = World::up();
    for n in [1, 197, 198, 199, 200, 201, 398, 399, 400, MAX_TEXT - 1, MAX_TEXT] {
        let text = "äb".repeat(n)[..]
            .chars()
            .scan(0, |len, c| {
                *len += c.len_utf8();
                Some((*len, c))
            })
            .take_while(|(len, _)| *len <= n)
            .map(|(_, c)| c)
            .collect::<String>();
        let text = format!("{text}{}", "y".repeat(n - text.len()));
        assert!(w.write(&text, Delivery::ORDERED));
        w.server_write(&text);
        w.until(10_000, |w| w.server.unacked() == 0 && w.app().is_flushed());
        w.until(5000, |w| w.server_app.got.contains(&text));
        assert_eq!(w.app_got.last(), Some(&text), "{n}");
    }
    assert_eq!(w.app().resets(), 0);
    assert_eq!(w.esp().dropped(), 0);
}

/// Six payloads of a second each leave no room for a keepalive, but show that the ESP8266 lives.
#[test]
fn a_long_line_over_slow_wires_is_no_crash() {
    let mut w = World::up();
    w.rig.transfer_latency = Duration::from_millis(350);
    let text = "x".repeat(MAX_TEXT);
    w.server_write(&text);
    w.until(30_000, |w| w.app_got.contains(&text));
    assert_eq!(w.app().resets(), 0);
}

#[test]
fn texts_that_cannot_pass_are_refused_at_once() {
    let mut w = World::up();
    let now = w.now();
    let long = "x".repeat(MAX_TEXT + 1);
    for (text, why) in [
        ("", WriteError::Text(BadText::Empty)),
        ("\n", WriteError::Text(BadText::Empty)),
        ("a\nb", WriteError::Text(BadText::Newline)),
        (&long, WriteError::TooLong),
    ] {
        assert_eq!(w.app().write(now, text, Delivery::ORDERED), Err(why));
    }
    let text = &long[..MAX_TEXT];
    w.app().close();
    assert_eq!(w.app().write(now, text, Delivery::ORDERED), Ok(()));
    assert_eq!(w.app().write(now, text, Delivery::ORDERED), Ok(()));
    assert_eq!(w.app().write(now, "x", Delivery::ORDERED), Err(WriteError::Full));
}

#[test]
fn a_line_of_the_server_is_acknowledged_only_when_the_stm32_has_it() {
    let mut w = World::up();
    w.run(5000);
    // The ESP8266 gets the line and dies before it can pass it on.
    w.server_write("precious");
    w.until(500, |w| w.esp().stats().lines_in == 1);
    assert!(w.app_got.is_empty());
    assert_eq!(w.server_app.acked, []);
    w.rig.hung = true;
    w.until(1500, |w| w.app().resets() == 1);
    assert_eq!(w.server.unacked(), 1);
    w.until(20_000, |w| w.server.unacked() == 0);
    assert_eq!(w.app_got, ["precious"]);
    w.run(10_000);
    assert_eq!(w.app_got, ["precious"]);
}

/// The server has seen ids of the ESP8266's last life, and its lines begin with 0 again.
#[test]
fn an_esp8266_that_starts_again_is_not_taken_for_a_repetition() {
    let mut w = World::up();
    for life in 0..4 {
        for _ in 0..2 {
            assert!(w.write("the same", Delivery::ORDERED));
        }
        w.until(20_000, |w| lines(&w.server_app.got).len() == 2 * (life + 1));
        w.until(5000, |w| w.app().is_flushed());
        w.run(1000);
        let now = w.now();
        w.app().reboot(now);
        w.rig.settle();
    }
}

#[test]
fn best_effort_and_unordered_lines_pass_with_their_header() {
    let mut w = World::up();
    for delivery in [Delivery::BestEffort, Delivery::UNORDERED, Delivery::ORDERED] {
        for n in 0..4 {
            assert!(w.write(&format!("{n} {delivery}"), delivery));
        }
    }
    w.until(10_000, |w| lines(&w.server_app.got).len() == 12);
    let payloads = w.payloads_since_reset(1);
    let headers: Vec<u8> = payloads[1..].iter().map(|p| p[0]).collect();
    assert_eq!(headers, b"000022223333");
}

#[test]
fn lines_are_delivered_once_and_in_order_over_any_outages() {
    for seed in 0..40 {
        let mut rng = Rng(seed);
        let mut w = World::new();
        let (mut down, mut up) = (0, 0);
        let calm = w.now() + Duration::from_secs(60);
        while w.now() < calm {
            w.run(rng.below(900));
            if w.write(&format!("line {up}"), Delivery::ORDERED) {
                up += 1;
            }
            if w.server.has_room() && rng.one_in(2) {
                w.server_write(&format!("line {down}"));
                down += 1;
            }
            match rng.below(24) {
                0 if w.wifi => w.set_wifi(false),
                1..4 if !w.wifi => w.set_wifi(true),
                4 => w.silent = true,
                5..8 => w.silent = false,
                8 => w.listening = false,
                9..12 => w.listening = true,
                12 => w.reading = false,
                13..16 => w.reading = true,
                16 => w.server_app.full = true,
                17..20 => w.server_app.full = false,
                20 => w.rig.naks = rng.below(5) as u32,
                _ => {}
            }
        }
        if !w.wifi {
            w.set_wifi(true);
        }
        (w.silent, w.listening, w.reading, w.server_app.full) = (false, true, true, false);
        let end = w.now() + Duration::from_secs(120);
        while w.app_got.len() < down || lines(&w.server_app.got).len() < up {
            assert!(w.now() < end, "failing seed {seed}: not all delivered");
            w.run(100);
        }
        w.run(5000);
        assert_eq!(w.app_got, numbers(down), "failing seed {seed}");
        assert_eq!(lines(&w.server_app.got), numbers(up), "failing seed {seed}");
        assert_eq!(w.app().resets(), 0, "failing seed {seed}");
    }
}
