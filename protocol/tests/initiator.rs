//! The STM32's side of the exchange in the hands of the test: its times, and bytes that cannot be.

use crate::common::{ms, span};
use pblink_protocol::i2c::InitiatorAction::{ArmRx, ArmTx, Disarm, Reset, Syn};
use pblink_protocol::i2c::{Failure, Initiator, InitiatorAction, InitiatorEvent, InitiatorTiming};
use pblink_protocol::time::Instant;

/// Times of which no two are the same.
const TIMING: InitiatorTiming = InitiatorTiming {
    reset_pulse: span(7),
    boot_poll: span(11),
    boot_limit: span(130),
    boot_limit_most: span(1300),
    settle: span(17),
    idle_poll: span(50),
    busy_poll: span(5),
    adaptive: false,
};

fn actions(stm: &mut Initiator) -> Vec<InitiatorAction> {
    std::iter::from_fn(|| stm.next_action()).collect()
}

/// Returns an initiator that begins its first exchange at 135 ms.
fn synchronised() -> Initiator {
    let mut stm = Initiator::new(TIMING);
    stm.start(ms(100));
    stm.poll(ms(107));
    stm.on_ack(ms(108), false);
    stm.poll(ms(118));
    stm.poll(ms(135));
    assert_eq!(stm.next_event(), Some(InitiatorEvent::Synchronised));
    assert_eq!(stm.poll_at(ms(135)), Some(ms(135)));
    actions(&mut stm);
    stm
}

/// Begins an exchange, and comes to where it waits for the responder's header.
fn asked(stm: &mut Initiator, now: Instant) {
    stm.poll(now);
    assert_eq!(actions(stm), [ArmTx, Syn(true)]);
    stm.on_sent(now);
    stm.on_ack(now, true);
    assert_eq!(actions(stm), [Syn(false)]);
    stm.on_ack(now, false);
    if actions(stm) == [ArmTx, Syn(true)] {
        stm.on_sent(now);
        stm.on_ack(now, true);
        assert_eq!(actions(stm), [Syn(false)]);
        stm.on_ack(now, false);
    }
    stm.on_ack(now, true);
    assert_eq!(actions(stm), [ArmRx(2), Syn(true)]);
}

/// Does a whole exchange, in which the responder has no payload.
fn exchange(stm: &mut Initiator, now: Instant, hold_off: bool) {
    asked(stm, now);
    stm.on_received(now, &[0, if hold_off { 0x80 } else { 0 }]);
    stm.on_ack(now, false);
    assert_eq!(actions(stm), [Syn(false)]);
    assert_eq!(stm.next_event(), None);
}

#[test]
fn a_boot_is_looked_at_when_it_is_time_and_not_when_something_happens() {
    let mut stm = Initiator::new(TIMING);
    stm.start(ms(100));
    assert_eq!(actions(&mut stm), [Disarm, Syn(true), Reset(true)]);
    assert_eq!(stm.poll_at(ms(100)), Some(ms(107)));
    stm.poll(ms(107));
    assert_eq!(actions(&mut stm), [Reset(false), Syn(false)]);
    // The wire may float until then.
    assert_eq!(stm.poll_at(ms(107)), Some(ms(118)));
    stm.on_ack(ms(108), false);
    stm.poll(ms(108));
    assert_eq!(stm.poll_at(ms(108)), Some(ms(118)));
    stm.poll(ms(118));
    assert_eq!(stm.poll_at(ms(118)), Some(ms(135)));
    // An interrupt that is too late for a short pulse reports the same level twice.
    stm.on_ack(ms(120), false);
    stm.poll(ms(120));
    assert_eq!(stm.poll_at(ms(120)), Some(ms(135)));
    assert_eq!((stm.next_event(), stm.is_synchronised()), (None, false));
    stm.poll(ms(135));
    assert_eq!(stm.next_event(), Some(InitiatorEvent::Synchronised));
}

/// One that is not reset, as its wire is broken, may have the payload, and would hand it on when `syn` falls.
#[test]
fn a_payload_that_may_have_come_keeps_syn_high_until_no_responder_waits_any_more() {
    let down = [Reset(false), Syn(false)];
    for payload in [false, true] {
        let mut stm = synchronised();
        if payload {
            stm.submit(ms(135), b"down");
        }
        stm.poll(ms(135));
        stm.on_sent(ms(140));
        assert_eq!(actions(&mut stm), [ArmTx, Syn(true)]);
        if payload {
            stm.on_ack(ms(150), true);
            stm.on_ack(ms(160), false);
            assert_eq!(actions(&mut stm), [Syn(false), ArmTx, Syn(true)]);
        }
        stm.on_bus_error(ms(170));
        assert_eq!(actions(&mut stm), [Disarm, Syn(true), Reset(true)]);
        // Two waits from its beginning at 160 ms, and a pulse.
        let end = if payload { ms(160 + 2000 + 7) } else { ms(170 + 7) };
        assert_eq!(stm.poll_at(ms(170)), Some(end));
        stm.poll(end);
        assert_eq!(actions(&mut stm), down);
    }
    // As long after it was waited for in vain, or if its owner begins anew.
    for owner in [false, true] {
        let mut stm = synchronised();
        stm.submit(ms(135), b"down");
        stm.poll(ms(135));
        stm.on_sent(ms(140));
        stm.on_ack(ms(150), true);
        stm.on_ack(ms(160), false);
        let now = if owner { ms(200) } else { ms(1160) };
        if owner {
            stm.start(now)
        } else {
            stm.poll(now)
        }
        assert_eq!(stm.poll_at(now), Some(ms(2167)));
        // Which is no reason to do so twice.
        stm.start(ms(2300));
        assert_eq!(stm.poll_at(ms(2300)), Some(ms(2307)));
    }
}

#[test]
fn a_pause_is_short_while_something_passes() {
    let mut stm = synchronised();
    exchange(&mut stm, ms(200), false);
    assert_eq!(stm.poll_at(ms(200)), Some(ms(250)), "nothing passed");
    // A payload brings the next exchange forward, but the responder has its short pause.
    assert_eq!(stm.submit(ms(201), b"one"), 3);
    assert_eq!(stm.poll_at(ms(201)), Some(ms(205)));
    exchange(&mut stm, ms(205), false);
    assert_eq!(stm.poll_at(ms(205)), Some(ms(210)), "something passed");
    exchange(&mut stm, ms(210), false);
    assert_eq!(stm.poll_at(ms(210)), Some(ms(260)));
    assert_eq!(stm.submit(ms(240), b"two"), 3);
    assert_eq!(stm.poll_at(ms(240)), Some(ms(240)), "the short pause is over");
    exchange(&mut stm, ms(240), true);
    assert!(stm.is_passed());
    assert_eq!(stm.poll_at(ms(240)), Some(ms(245)));
    // One that waits for a responder without room is no hurry: it has to read first.
    assert_eq!(stm.submit(ms(241), b"three"), 5);
    exchange(&mut stm, ms(245), true);
    assert_eq!(stm.poll_at(ms(245)), Some(ms(295)));
    exchange(&mut stm, ms(295), false);
    assert!(!stm.is_passed());
    assert_eq!(stm.poll_at(ms(295)), Some(ms(300)), "now it can pass");
    assert_eq!(stm.exchanges(), 6);
}

#[test]
fn bytes_that_were_not_armed_are_a_bus_error() {
    let failed = Some(InitiatorEvent::Failed(Failure::Bus));
    let now = ms(200);
    for header in [&[][..], &[0], &[0, 0, 0]] {
        let mut stm = synchronised();
        asked(&mut stm, now);
        stm.on_received(now, header);
        assert_eq!(stm.next_event(), failed, "{header:?}");
    }
    for payload in [&b""[..], b"ab", b"abc", b"abcd"] {
        let mut stm = synchronised();
        asked(&mut stm, now);
        stm.on_received(now, &[3, 0]);
        stm.on_ack(now, false);
        stm.on_ack(now, true);
        assert_eq!(actions(&mut stm), [Syn(false), ArmRx(3), Syn(true)]);
        stm.on_received(now, payload);
        stm.on_ack(now, false);
        let fits = payload.len() == 3;
        assert_eq!(stm.next_event(), failed.filter(|_| !fits), "{payload:?}");
        assert_eq!(stm.received(), if fits { payload } else { b"" });
    }
    // It waits for its own header to be read.
    let mut stm = synchronised();
    stm.poll(now);
    stm.on_received(now, &[0, 0]);
    assert_eq!(stm.next_event(), failed);
    // Between two exchanges nothing is lost by it.
    let mut stm = synchronised();
    stm.on_received(now, &[0, 0]);
    assert_eq!((stm.next_event(), stm.is_synchronised()), (None, true));
}
