//! The application base with keys: what waits for an ESP8266, and how long.

use crate::common::rig::Seen;
use crate::common::span;
use crate::secure_world::World;
use pblink_protocol::delivery::Delivery;

/// Lets the ESP8266 take what it has been given, and returns the number of packets that it is given until it has had
/// none for a while.
fn packets(w: &mut World) -> usize {
    let mut packets = 0;
    for _ in 0..300 {
        w.step();
        let payload = w.esp().received().len();
        w.esp().consume(payload);
        packets += usize::from(payload > 0);
    }
    packets
}

/// A packet is made when the wires take it.
#[test]
fn what_is_written_while_the_esp8266_holds_off_goes_into_one_packet() {
    let mut w = World::up(true);
    w.run(1000);
    w.connected = false;
    w.write("first", Delivery::ORDERED).expect("there is room");
    w.until(300, |w| !w.esp().received().is_empty());
    // With its next exchange, the ESP8266 says that it has no room.
    w.run(200);
    for text in ["second", "third", "fourth"] {
        w.write(text, Delivery::ORDERED).expect("there is room");
        w.run(30);
    }
    assert_eq!(packets(&mut w), 1 + 1, "the one that it had, and another");
}

/// A handshake, or a full window, is over sooner.
#[test]
fn an_answer_that_is_due_is_asked_for_often() {
    let mut w = World::up(true);
    w.run(1000);
    let exchanges = |w: &mut World| {
        let before = w.app().exchange().exchanges();
        w.rig.run(span(400));
        w.app().exchange().exchanges() - before
    };
    assert!((3..=4).contains(&exchanges(&mut w)), "nothing is due");
    w.connected = false;
    w.write("line", Delivery::ORDERED).expect("there is room");
    assert_eq!(packets(&mut w), 1);
    let often = exchanges(&mut w);
    assert!(often > 15, "{often}");
}

/// It has not told the session yet that the wires are free.
#[test]
fn what_is_written_before_the_owner_polls_goes_into_one_packet() {
    let mut w = World::up(true);
    w.run(1000);
    w.connected = false;
    w.write("first", Delivery::ORDERED).expect("there is room");
    let is_payload = |seen: &Seen| matches!(seen, Seen::Read(bytes) if bytes.len() > 2);
    let from = w.rig.trace.len();
    w.rig.until(span(300), |rig| rig.trace[from..].iter().any(|seen| is_payload(&seen.1)));
    // What the wires report next, a little earlier.
    let now = w.rig.now;
    let exchange = w.app().exchange();
    assert!(!exchange.is_passed());
    exchange.on_sent(now);
    exchange.on_ack(now, true);
    assert!(exchange.is_passed());
    for text in ["second", "third"] {
        w.write(text, Delivery::ORDERED).expect("there is room");
    }
    assert_eq!(packets(&mut w), 1 + 1, "the one that has passed, and another");
}
