//! The room in the ESP8266: a few long lines or many short ones, in each direction.

use crate::common::world::{World, lines};
use crate::common::{Rng, span};
use pblink_protocol::MAX_TEXT;
use pblink_protocol::coprocessor::{INBOX, OUTBOX};
use pblink_protocol::delivery::Delivery;

/// Makes a text of this many bytes that is like no other.
fn text(number: usize, len: usize) -> String {
    let start = format!("{number} ");
    format!("{start}{}", "x".repeat(len.saturating_sub(start.len())))
}

/// Writes lines, as the server, that do not wait for each other.
fn burst(w: &mut World, texts: &[String]) {
    let now = w.now();
    for text in texts {
        w.server.write(now, text.clone().into_bytes(), Delivery::UNORDERED).expect("room");
    }
}

/// Up, and past number 0, behind which nothing is sent before it is acknowledged.
fn begun() -> World {
    let mut w = World::up();
    w.server_write("first");
    assert!(w.write("first", Delivery::ORDERED));
    w.until(10_000, |w| w.server.unacked() == 0 && w.server_app.got.contains(&"first".into()));
    w.app_got.clear();
    w.server_app.got.clear();
    w
}

fn sorted<T: ToString>(texts: &[T]) -> Vec<String> {
    let mut texts: Vec<String> = texts.iter().map(T::to_string).collect();
    texts.sort();
    texts
}

#[test]
fn a_burst_of_short_lines_is_taken_at_once() {
    let mut w = begun();
    let texts: Vec<String> = (0..INBOX).map(|n| text(n, 20)).collect();
    burst(&mut w, &texts);
    w.until(1900, |w| w.app_got.len() == INBOX);
    assert_eq!(w.app_got, texts);
    assert_eq!(w.esp().stats().refused, 0);
    assert_eq!(w.server.stats().retransmissions, 0);
}

#[test]
fn two_of_the_longest_are_taken_at_once_and_more_come_again() {
    let mut w = begun();
    let texts: Vec<String> = (0..5).map(|n| text(n, MAX_TEXT)).collect();
    burst(&mut w, &texts[..2]);
    w.until(1900, |w| w.app_got.len() == 2);
    assert_eq!(w.esp().stats().refused, 0);
    burst(&mut w, &texts[2..]);
    w.until(20_000, |w| w.app_got.len() == 5);
    assert!(w.esp().stats().refused > 0);
    w.run(5000);
    assert_eq!(sorted(&w.app_got), texts);
}

/// A server that does not acknowledge: what does not fit stays in the STM32, whether it is the number of
/// lines or their bytes that are too many, and nothing is dropped.
#[test]
fn lines_beyond_the_outbox_wait_in_the_stm32() {
    for (len, taken) in [(20, OUTBOX), (MAX_TEXT / 2, 4), (MAX_TEXT / 2 + 1, 3), (MAX_TEXT, 2)] {
        let mut w = begun();
        w.server_app.full = true;
        let (mut texts, mut lines_out) = (Vec::new(), w.esp().stats().lines_out);
        for n in 0..6 {
            texts.push(text(n, len));
            let written = w.write(&texts[n], Delivery::UNORDERED);
            w.run(600);
            if !written {
                texts.pop();
                break;
            }
        }
        assert!(texts.len() > taken, "{len}: there are lines that wait");
        w.run(1000);
        lines_out = w.esp().stats().lines_out - lines_out;
        assert_eq!(lines_out as usize, taken, "{len}");
        assert!(!w.app().is_flushed(), "{len}");
        w.server_app.full = false;
        w.until(20_000, |w| lines(&w.server_app.got).len() == texts.len());
        w.run(5000);
        assert_eq!(sorted(&lines(&w.server_app.got)), texts, "{len}");
        assert_eq!((w.esp().dropped(), w.app().resets()), (0, 0), "{len}");
    }
}

#[test]
fn lines_of_any_length_are_delivered_once_over_any_outages() {
    for seed in 0..30 {
        let mut rng = Rng(seed);
        let mut w = begun();
        let (mut up, mut down) = (Vec::new(), Vec::new());
        let len = |rng: &mut Rng| match rng.below(3) {
            0 => MAX_TEXT - rng.below(3) as usize,
            1 => rng.below(MAX_TEXT as u64) as usize,
            _ => rng.below(30) as usize,
        };
        let calm = w.now() + span(40_000);
        while w.now() < calm {
            w.run(rng.below(600));
            for _ in 0..rng.below(4) {
                let line = text(up.len(), len(&mut rng));
                let delivery = Delivery::Guaranteed { ordered: rng.one_in(3) };
                if w.write(&line, delivery) {
                    up.push(line);
                }
                if w.server.has_room() {
                    down.push(text(down.len(), len(&mut rng)));
                    burst(&mut w, &down[down.len() - 1..]);
                }
            }
            match rng.below(20) {
                0 if w.wifi => w.set_wifi(false),
                1..4 if !w.wifi => w.set_wifi(true),
                4 => w.silent = true,
                5..8 => w.silent = false,
                8 => w.reading = false,
                9..12 => w.reading = true,
                12 => w.server_app.full = true,
                13..16 => w.server_app.full = false,
                _ => {}
            }
        }
        if !w.wifi {
            w.set_wifi(true);
        }
        (w.silent, w.reading, w.server_app.full) = (false, true, false);
        let end = w.now() + span(300_000);
        while w.app_got.len() < down.len() || lines(&w.server_app.got).len() < up.len() {
            assert!(w.now() < end, "failing seed {seed}: not all delivered");
            w.run(100);
        }
        w.run(5000);
        assert_eq!(sorted(&w.app_got), sorted(&down), "failing seed {seed}");
        assert_eq!(sorted(&lines(&w.server_app.got)), sorted(&up), "failing seed {seed}");
        assert_eq!((w.esp().dropped(), w.app().resets()), (0, 0), "failing seed {seed}");
    }
}
