//! Crashes of the ESP8266, at any moment: what they cost, and that they end.

use crate::common::Rng;
use crate::common::world::{World, has, lines};
use pblink_protocol::app::{AppEvent, ResetCause};
use pblink_protocol::delivery::Delivery;
use pblink_protocol::i2c::Failure;
use pblink_protocol::time::Duration;

#[test]
fn the_configuration_goes_first_after_every_reset_and_lines_keep_their_order() {
    let mut w = World::up();
    let mut written = 0;
    for crash in 0..6u64 {
        // Lines are written before, during and after the crash.
        for _ in 0..3 {
            assert!(w.write(&format!("line {written}"), Delivery::ORDERED));
            written += 1;
        }
        w.run(7 * crash);
        w.rig.hung = true;
        w.until(1500, |w| w.app().resets() as u64 == crash + 1);
        for _ in 0..2 {
            assert!(w.write(&format!("line {written}"), Delivery::ORDERED));
            written += 1;
        }
        w.until(20_000, |w| w.app().is_flushed());
        w.until(5000, |w| w.esp().stats().lines_out > 0);
        w.run(3000);
    }
    for n in 1..=w.rig.resets as usize {
        let payloads = w.payloads_since_reset(n);
        assert!(payloads[0].starts_with(b"[\"board\\n\""), "{n}: {payloads:?}");
        assert!(payloads[1..].iter().all(|p| p[0] != b'['), "once");
    }
    // In order, none twice; of each crash at most two are lost: the one that waits for its
    // acknowledgement, and the one behind it.
    let got = lines(&w.server_app.got);
    let ids: Vec<usize> = got.iter().map(|l| l[5..].parse().unwrap()).collect();
    assert!(ids.is_sorted_by(|a, b| a < b), "{ids:?}");
    assert!(ids.len() >= written - 12, "{ids:?}");
    assert_eq!(ids.last(), Some(&(written - 1)));
    let started = w.app_events.iter().filter(|e| e.1 == AppEvent::Started);
    assert_eq!(started.count(), 1, "the application is started once");
    assert!(has(&w, AppEvent::Reset(ResetCause::Exchange(Failure::NoAnswer))));
    assert!(has(&w, AppEvent::Server(false)));
}

/// After an exchange that fails the STM32 resets the ESP8266 and sends the configuration. Where no reset arrives, that has part of a
/// line by then: the configuration, with its password, must not become the rest of it.
#[test]
fn a_configuration_is_never_the_rest_of_a_line() {
    let long = "long ".repeat(90);
    let mut resets = 0;
    for steps in 0..120 {
        let mut w = World::up();
        w.rig.reset_broken = true;
        assert!(w.write(&long, Delivery::ORDERED));
        w.steps(steps);
        w.rig.garble = true;
        assert!(w.write("behind it", Delivery::ORDERED));
        w.until(60_000, |w| w.server_app.got.iter().any(|line| line.contains("behind it")));
        resets += w.rig.resets - 1;
        for line in lines(&w.server_app.got) {
            assert!(line == long || line == "behind it", "{steps}: {line}");
        }
    }
    assert!(resets > 60, "{resets}");
}

/// A transfer that is complete, and that the STM32 alone takes for failed, ends in a reset that does not arrive: the ESP8266 goes on
/// with what it has, and is given its configuration once more.
#[test]
fn without_a_reset_wire_each_line_passes_once_all_the_same() {
    let long = "long ".repeat(90);
    let mut resets = 0;
    for steps in 0..160 {
        let mut w = World::up();
        w.rig.reset_broken = true;
        for line in [&long, "behind it"] {
            assert!(w.write(line, Delivery::ORDERED));
            w.server_write(line);
        }
        w.steps(steps);
        w.rig.misread = true;
        w.until(60_000, |w| w.app().resets() > 0);
        w.until(60_000, |w| w.server_app.got.len() >= 2 && w.app_got.len() >= 2);
        for line in ["to the server", "at the end"] {
            assert!(w.write(line, Delivery::ORDERED));
            w.server_write(line);
        }
        w.until(60_000, |w| w.server_app.got.len() >= 4 && w.app_got.len() >= 4);
        let all = [&long, "behind it", "to the server", "at the end"];
        assert_eq!(lines(&w.server_app.got), all, "{steps}");
        assert_eq!(lines(&w.app_got), all, "{steps}");
        assert!(w.app().server_up(), "{steps}: it is told again");
        resets += w.rig.resets - 1;
    }
    assert_eq!(resets, 160);
}

/// A line that is read is on its way to the server; the test cannot know whether it arrived there. What
/// must hold over crashes of every kind: nothing from the board is duplicated or reordered, and a crash
/// loses at most what the ESP8266 held; nothing from the server is lost, and a crash duplicates at most
/// the line whose acknowledgement was on its way.
#[test]
fn crashes_lose_and_double_no_more_than_documented() {
    let mut total = [0; 3];
    for seed in 0..60 {
        let mut rng = Rng(seed);
        let mut w = World::up();
        let (mut down, mut up, mut crashes) = (0, 0, 0);
        for _ in 0..120 {
            w.run(rng.below(700));
            if w.write(&format!("line {up}"), Delivery::ORDERED) {
                up += 1;
            }
            if w.server.has_room() && rng.one_in(2) {
                w.server_write(&format!("line {down}"));
                down += 1;
            }
            match rng.below(40) {
                0 => w.rig.hung = true,
                1 => w.rig.hang_after = Some(rng.below(30) as u32),
                2 => w.rig.garble = true,
                3 => w.rig.power_cycle_esp(),
                4 => {
                    let now = w.now();
                    w.app().reboot(now);
                    w.rig.settle();
                }
                5 => w.silent = !w.silent,
                _ => continue,
            }
            crashes += 1;
        }
        w.silent = false;
        let end = w.now() + Duration::from_secs(180);
        while !w.app().is_flushed() || w.server.unacked() > 0 {
            assert!(w.now() < end, "failing seed {seed}: not all passed");
            w.run(100);
        }
        w.run(15_000);
        let number = |l: &str| l[5..].parse::<usize>().unwrap();
        let got: Vec<usize> = lines(&w.server_app.got).into_iter().map(number).collect();
        assert!(got.is_sorted_by(|a, b| a < b), "failing seed {seed}: {got:?}");
        let lost = up - got.len();
        assert!(lost <= 2 * crashes, "failing seed {seed}: {lost} lost in {crashes} crashes");
        let mut got: Vec<usize> = w.app_got.iter().map(|l| number(l)).collect();
        let duplicates = got.len();
        assert!(got.is_sorted(), "failing seed {seed}: {got:?}");
        got.dedup();
        let duplicates = duplicates - got.len();
        assert_eq!(got, (0..down).collect::<Vec<_>>(), "failing seed {seed}");
        assert!(duplicates <= crashes, "failing seed {seed}: {duplicates} duplicates");
        total[0] += crashes;
        total[1] += lost;
        total[2] += duplicates;
    }
    assert!(total[0] > 300 && total[1] > 0, "{total:?}");
}

/// An ESP8266 whose supply fails does not know its configuration any more; what is written until it is
/// reset must not be swallowed.
#[test]
fn an_esp8266_that_loses_its_power_loses_no_more_than_one_that_is_reset() {
    for after in (0..1000).step_by(50) {
        let mut w = World::up();
        w.run(after);
        w.rig.power_cycle_esp();
        let mut up = 0;
        while up < 60 {
            w.run(100);
            up += usize::from(w.write(&format!("line {up}"), Delivery::ORDERED));
        }
        w.until(60_000, |w| w.app().is_flushed());
        w.run(10_000);
        let got = lines(&w.server_app.got);
        assert!(got.len() >= 58, "{after}: {} of 60", got.len());
        assert!(w.app().resets() >= 1);
    }
}

/// I2C has no checksum. An ESP8266 that did not understand its configuration says nothing at all.
#[test]
fn an_esp8266_that_never_sends_a_keepalive_is_reset_in_the_end() {
    let mut w = World::new();
    w.until(3000, |w| w.rig.esp.is_some());
    w.rig.corrupt_payload = true;
    w.until(120_000, |w| w.app().server_up());
    assert_eq!(w.app().resets(), 1);
    assert!(has(&w, AppEvent::Reset(ResetCause::Silent)));
}
