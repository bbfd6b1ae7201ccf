//! Initiator and responder on virtual wires.

use crate::common::rig::{Rig, Seen};
use crate::common::{Rng, span};
use pblink_protocol::i2c::{
    Failure, Header, Initiator, InitiatorEvent, InitiatorTiming, MAX_PAYLOAD, Responder,
};
use pblink_protocol::time::Duration;
use proptest::prelude::*;

type Pair = Rig<Initiator, Responder>;

fn started() -> Pair {
    let mut rig = Pair::new(Initiator::new(InitiatorTiming::default()));
    let now = rig.now;
    rig.stm.start(now);
    rig.settle();
    rig
}

/// Returns a pair between which exchanges take place.
fn synced() -> Pair {
    let mut rig = started();
    sync(&mut rig);
    rig
}

fn sync(rig: &mut Pair) {
    rig.until(span(20_000), |r| r.stm.next_event() == Some(InitiatorEvent::Synchronised));
}

fn failed(rig: &mut Pair, within: u64) -> Failure {
    let mut why = None;
    rig.until(span(within), |r| {
        if let Some(InitiatorEvent::Failed(failure)) = r.stm.next_event() {
            why = Some(failure);
        }
        why.is_some()
    });
    why.unwrap()
}

fn esp(rig: &mut Pair) -> &mut Responder {
    rig.esp.as_mut().expect("it has booted")
}

/// Passes a payload each way and takes it out at the other end.
fn pass(rig: &mut Pair, down: &[u8], up: &[u8]) {
    let now = rig.now;
    assert_eq!(rig.stm.submit(now, down), down.len());
    assert_eq!(esp(rig).submit(up), up.len());
    rig.until(span(2000), |r| {
        r.stm.is_passed() && r.stm.received() == up && {
            let e = esp(r);
            e.received() == down && e.can_submit()
        }
    });
    rig.stm.consume(up.len());
    esp(rig).consume(down.len());
    assert!(rig.stm.received().is_empty() && esp(rig).received().is_empty());
}

/// Runs until this is seen on the wires.
fn until_seen(rig: &mut Pair, want: impl Fn(&Seen) -> bool) {
    let from = rig.trace.len();
    rig.until(span(1000), |r| r.trace[from..].iter().any(|t| want(&t.1)));
}

fn bytes(rng: &mut Rng, n: usize) -> Vec<u8> {
    (0..n).map(|_| rng.next() as u8).collect()
}

#[test]
fn headers() {
    for len in 0..=MAX_PAYLOAD as u16 {
        for hold_off in [false, true] {
            let header = Header { len, hold_off };
            assert_eq!(Header::decode(header.encode()), Some(header));
        }
    }
    assert_eq!(Header { len: 61, hold_off: true }.encode(), [61, 0x80]);
    assert_eq!(Header::decode([201, 0]), None);
    assert_eq!(Header::decode([0, 1]), None);
    assert_eq!(Header::decode([0xff, 0xff]), None);
}

#[test]
fn every_length_passes_both_ways_at_once() {
    let mut rig = synced();
    let mut rng = Rng(1);
    for n in 1..=MAX_PAYLOAD {
        let (down, up) = (bytes(&mut rng, n), bytes(&mut rng, MAX_PAYLOAD + 1 - n));
        pass(&mut rig, &down, &up);
    }
    assert_eq!(rig.resets, 1);
    assert!(rig.pulses().iter().all(|&p| p >= 100), "{:?}", rig.pulses());
}

#[test]
fn a_longer_payload_is_taken_in_part() {
    let mut rig = synced();
    let long = [7; 450];
    let now = rig.now;
    assert_eq!(rig.stm.submit(now, &long), MAX_PAYLOAD);
    assert_eq!(rig.stm.submit(now, &long), 0, "one at a time");
    assert_eq!(esp(&mut rig).submit(&long), MAX_PAYLOAD);
    assert_eq!(esp(&mut rig).submit(&long), 0);
}

#[test]
fn an_unread_payload_holds_off_the_next_one_and_nothing_else() {
    let mut rig = synced();
    let now = rig.now;
    rig.stm.submit(now, b"one");
    esp(&mut rig).submit(b"eins");
    rig.until(span(2000), |r| r.stm.is_passed() && !r.stm.received().is_empty());
    let now = rig.now;
    rig.stm.submit(now, b"two");
    rig.until(span(2000), |r| esp(r).can_submit());
    esp(&mut rig).submit(b"zwei");
    let before = rig.stm.exchanges();
    rig.run(span(3000));
    assert!(rig.stm.exchanges() > before + 20, "exchanges go on");
    assert!(!rig.stm.is_passed());
    assert_eq!(rig.stm.received(), b"eins");
    assert_eq!(esp(&mut rig).received(), b"one");
    assert!(!esp(&mut rig).can_submit());
    // Taking only a part does not free the buffer.
    esp(&mut rig).consume(1);
    rig.stm.consume(2);
    rig.run(span(1000));
    assert_eq!(esp(&mut rig).received(), b"ne");
    assert_eq!(rig.stm.received(), b"ns");
    esp(&mut rig).consume(2);
    rig.until(span(500), |r| esp(r).received() == b"two");
    assert_eq!(rig.stm.received(), b"ns");
    rig.stm.consume(2);
    rig.until(span(500), |r| r.stm.received() == b"zwei");
    assert_eq!(rig.resets, 1);
}

#[test]
fn idle_exchanges_go_on_ten_times_a_second_and_quicker_while_payloads_flow() {
    let mut rig = synced();
    rig.run(span(200));
    let before = rig.stm.exchanges();
    rig.run(span(10_000));
    let idle = rig.stm.exchanges() - before;
    assert!((90..=100).contains(&idle), "{idle}");
    let before = rig.now;
    for _ in 0..50 {
        pass(&mut rig, b"down", b"up");
    }
    assert!(rig.now.since(before) < span(2000), "{}", rig.now.since(before));
}

#[test]
fn a_pulse_of_no_length_is_seen() {
    let mut rig = synced();
    rig.ack_batch = Duration::from_micros(700);
    let mut rng = Rng(2);
    for n in [1, 2, 50, 200] {
        let (down, up) = (bytes(&mut rng, n), bytes(&mut rng, n));
        pass(&mut rig, &down, &up);
    }
    rig.run(span(5000));
    assert_eq!(rig.resets, 1);
}

#[test]
fn a_responder_that_is_slow_to_boot_is_waited_for() {
    let mut rig = Pair::new(Initiator::new(InitiatorTiming::default()));
    rig.boot_time = span(6000);
    let now = rig.now;
    rig.stm.start(now);
    rig.settle();
    rig.run(span(6000));
    assert!(!rig.stm.is_synchronised());
    assert_eq!(rig.resets, 1);
    sync(&mut rig);
    pass(&mut rig, b"down", b"up");
    assert_eq!(rig.resets, 1);
    // The settling time was kept: a reference ESP8266 needs it to arm its interrupt.
    let low = rig.trace.iter().find(|t| t.1 == Seen::Ack(false)).unwrap().0;
    let first = rig.trace.iter().find(|t| t.0 > low && t.1 == Seen::Syn(true)).unwrap().0;
    assert!(first.since(low) >= span(1000));
}

/// `ack` is not driven while the ESP8266 boots: it may be low, then high, then low for good.
#[test]
fn an_ack_that_floats_low_is_not_taken_for_a_boot() {
    let mut rig = Pair::new(Initiator::new(InitiatorTiming::default()));
    rig.boot_time = span(3000);
    rig.floating = false;
    let now = rig.now;
    rig.stm.start(now);
    rig.settle();
    rig.run(span(900));
    rig.drive_ack(true);
    rig.run(span(2000));
    assert!(!rig.stm.is_synchronised());
    assert_eq!(rig.resets, 1);
    sync(&mut rig);
    pass(&mut rig, b"down", b"up");
    assert_eq!(rig.resets, 1);
}

#[test]
fn a_responder_that_does_not_boot_is_reset_again_and_again() {
    let mut rig = started();
    rig.dead = true;
    assert_eq!(failed(&mut rig, 11_000), Failure::NoBoot);
    assert_eq!(failed(&mut rig, 21_000), Failure::NoBoot);
    assert_eq!(rig.resets, 3);
    rig.dead = false;
    sync(&mut rig);
    pass(&mut rig, b"down", b"up");
}

/// Milliseconds between the resets of a responder, the first one included.
fn gaps(rig: &Rig<Initiator, Responder>) -> Vec<u64> {
    let resets = rig.trace.iter().filter(|(_, seen)| *seen == Seen::Reset(true));
    let at: Vec<_> = resets.map(|(at, _)| at.as_millis()).collect();
    at.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

/// One that is being flashed does not boot either, and must not be reset every ten seconds.
#[test]
fn a_responder_that_does_not_boot_is_left_in_peace_for_longer_each_time() {
    let mut rig = started();
    rig.dead = true;
    for _ in 0..6 {
        assert_eq!(failed(&mut rig, 121_000), Failure::NoBoot);
    }
    // Each with the 200 ms of the reset itself.
    assert_eq!(gaps(&rig), [10_200, 20_200, 40_200, 80_200, 120_200, 120_200]);
    // One that starts by itself in the meantime is noticed at once.
    rig.dead = false;
    rig.run(span(1000));
    rig.power_cycle_esp();
    rig.until(span(2000), |r| r.stm.is_synchronised());
    pass(&mut rig, b"down", b"up");
    // And having worked, it is trusted again.
    rig.dead = true;
    rig.hung = true;
    assert_eq!(failed(&mut rig, 1400), Failure::NoAnswer);
    for _ in 0..2 {
        assert_eq!(failed(&mut rig, 21_000), Failure::NoBoot);
    }
    let gaps = gaps(&rig);
    assert_eq!(gaps[gaps.len() - 2..], [10_200, 20_200]);
}

/// `ack` of an ESP8266 in its loader may float low, which looks like one that is ready.
#[test]
fn a_responder_that_only_seems_to_have_booted_does_not_end_the_back_off() {
    let mut rig = started();
    rig.dead = true;
    for _ in 0..3 {
        assert_eq!(failed(&mut rig, 121_000), Failure::NoBoot);
    }
    rig.drive_ack(false);
    rig.run(span(500));
    rig.drive_ack(true);
    rig.run(span(100));
    let from = rig.resets;
    rig.run(span(78_000));
    assert_eq!(rig.resets, from, "it is still given 80 s");
    // Even if nobody objects until the first exchange fails.
    rig.drive_ack(false);
    assert_eq!(failed(&mut rig, 3000), Failure::NoAnswer);
    rig.drive_ack(true);
    rig.run(span(78_000));
    assert_eq!(rig.resets, from + 1);
    // The owner, who may know that it can start now, begins anew.
    let now = rig.now;
    rig.stm.start(now);
    rig.settle();
    assert_eq!(failed(&mut rig, 11_000), Failure::NoBoot);
}

/// The responder hangs after each of its actions in turn; the initiator always notices, resets it,
/// and continues. Both forget payloads that were not passed.
#[test]
fn a_responder_that_hangs_at_any_step_is_reset_within_a_second() {
    for step in 0..14 {
        let mut rig = synced();
        rig.run(span(150));
        let now = rig.now;
        rig.stm.submit(now, b"lost");
        esp(&mut rig).submit(b"verloren");
        rig.hang_after = Some(step);
        let why = failed(&mut rig, 1400);
        assert_eq!(why, Failure::NoAnswer, "step {step}");
        assert_eq!(rig.resets, 2);
        sync(&mut rig);
        assert!(rig.stm.is_passed() && rig.stm.received().is_empty());
        pass(&mut rig, b"down", b"up");
        assert_eq!(rig.resets, 2, "step {step}");
    }
}

/// A payload that was received but whose exchange failed will be sent again by the server: the
/// application must not see it yet.
#[test]
fn a_payload_counts_as_received_only_when_the_responder_is_done_with_it() {
    let mut rig = synced();
    rig.run(span(150));
    esp(&mut rig).submit(b"payload");
    until_seen(&mut rig, |s| *s == Seen::Written(vec![7, 0]));
    until_seen(&mut rig, |s| *s == Seen::Syn(true));
    // From here on the initiator never sees that the responder takes ack down.
    rig.ack_stuck = Some(true);
    until_seen(&mut rig, |s| *s == Seen::Written(b"payload".to_vec()));
    rig.run(span(300));
    assert_eq!(rig.stm.received(), b"");
    assert_eq!(failed(&mut rig, 1100), Failure::NoAnswer);
    assert_eq!(rig.stm.received(), b"");
}

#[test]
fn an_address_that_is_not_acknowledged_is_tried_again() {
    let mut rig = synced();
    for n in [1, 2, 5, 100] {
        rig.naks = n;
        pass(&mut rig, b"down", b"up");
        assert_eq!(rig.naks, 0);
    }
    assert_eq!(rig.resets, 1);
    assert_eq!(esp(&mut rig).failures(), 0);
    // But not for ever.
    rig.naks = u32::MAX;
    assert_eq!(failed(&mut rig, 1300), Failure::NoAnswer);
}

#[test]
fn a_bus_error_resets() {
    let mut rig = synced();
    for skip in 0..4 {
        let now = rig.now;
        rig.stm.submit(now, b"down");
        esp(&mut rig).submit(b"up");
        let mut transfers = 0;
        let from = rig.trace.len();
        rig.until(span(500), |r| {
            transfers = r.trace[from..]
                .iter()
                .filter(|t| matches!(t.1, Seen::Read(_) | Seen::Written(_)))
                .count();
            transfers == skip
        });
        rig.garble = true;
        assert_eq!(failed(&mut rig, 1300), Failure::Bus);
        sync(&mut rig);
        pass(&mut rig, b"down", b"up");
    }
}

#[test]
fn an_impossible_header_resets() {
    for header in [[201, 0], [0, 1], [0xff, 0x7f], [0xff, 0xff]] {
        // From the responder: the initiator sees it itself.
        let mut rig = synced();
        until_seen(&mut rig, |s| matches!(s, Seen::Read(_)));
        rig.header = Some(header);
        assert_eq!(failed(&mut rig, 500), Failure::BadHeader);
        sync(&mut rig);
        pass(&mut rig, b"down", b"up");
        // From the initiator: the responder gives up, and is reset for it.
        let mut rig = synced();
        rig.header = Some(header);
        assert_eq!(failed(&mut rig, 1300), Failure::NoAnswer);
        sync(&mut rig);
        pass(&mut rig, b"down", b"up");
    }
}

/// The header of a payload that comes although it was held off.
#[test]
fn a_payload_that_was_held_off_overwrites_nothing() {
    let mut rig = synced();
    esp(&mut rig).submit(b"one");
    rig.until(span(500), |r| r.stm.received() == b"one");
    until_seen(&mut rig, |s| *s == Seen::Read(vec![0, 0x80]));
    rig.header = Some([3, 0]);
    assert_eq!(failed(&mut rig, 500), Failure::BadHeader);
}

#[test]
fn stuck_wires_are_failures_and_heal() {
    for level in [false, true] {
        // ack: the initiator sees no change.
        let mut rig = synced();
        rig.run(span(250));
        rig.stick_ack(Some(level));
        // Between two exchanges ack is low, unless the ESP8266 restarts.
        let want = [Failure::NoAnswer, Failure::Restarted][usize::from(level)];
        assert_eq!(failed(&mut rig, 1300), want, "ack {level}");
        rig.run(span(30_000));
        assert!(rig.resets >= 3, "it goes on trying");
        rig.stick_ack(None);
        rig.run(span(12_000));
        while rig.stm.next_event().is_some() {}
        pass(&mut rig, b"down", b"up");
        // syn: the responder sees no change.
        let mut rig = synced();
        rig.run(span(250));
        rig.syn_stuck = Some(level);
        assert_eq!(failed(&mut rig, 1300), Failure::NoAnswer, "syn {level}");
        rig.run(span(30_000));
        assert!(rig.resets >= 3, "it goes on trying");
        rig.syn_stuck = None;
        rig.run(span(12_000));
        while rig.stm.next_event().is_some() {}
        pass(&mut rig, b"down", b"up");
    }
}

/// An ESP8266 that starts again by itself has no configuration: it must be reset before it swallows
/// anything, whenever in an exchange or between two it happens.
#[test]
fn a_responder_that_starts_again_by_itself_is_reset() {
    let mut between = 0;
    for after in 0..120 {
        let mut rig = synced();
        rig.run(span(150));
        let now = rig.now;
        rig.stm.submit(now, &[1; 60]);
        esp(&mut rig).submit(&[2; 60]);
        rig.run(Duration::from_micros(after * 200));
        rig.boot_time = span(1 + after);
        rig.power_cycle_esp();
        let why = failed(&mut rig, 1300);
        between += u32::from(why == Failure::Restarted);
        sync(&mut rig);
        pass(&mut rig, b"down", b"up");
        assert_eq!(rig.resets, 2);
    }
    assert!((10..110).contains(&between), "{between}");
}

#[test]
fn a_responder_gives_up_after_a_second_and_is_ready_again() {
    let mut rig = synced();
    until_seen(&mut rig, |s| *s == Seen::Syn(true));
    // The STM32 is halted by a debugger, say: nothing more comes from it.
    let now = rig.now;
    let esp = esp(&mut rig);
    esp.on_syn(now, true);
    let mut at = now;
    while let Some(next) = esp.poll_at(at) {
        assert!(next > at || next.since(now) < span(1100), "spins");
        at = next;
        esp.poll(at);
        while esp.next_action().is_some() {}
        assert!(at.since(now) <= span(1200), "no time-out");
    }
    assert_eq!(esp.failures(), 1);
    assert!(!esp.is_synchronised(), "syn is still high");
    esp.on_syn(at, false);
    assert!(esp.is_synchronised());
}

#[test]
fn closing_leaves_syn_high_and_stops() {
    let mut rig = synced();
    rig.run(span(500));
    rig.stm.close();
    rig.settle();
    assert_eq!(rig.stm.poll_at(rig.now), None);
    assert!(!rig.stm.is_synchronised());
    let syn = rig.trace.iter().rev().find(|t| matches!(t.1, Seen::Syn(_))).unwrap();
    assert_eq!(syn.1, Seen::Syn(true));
    let now = rig.now;
    assert_eq!(rig.stm.submit(now, b"x"), 0);
    rig.run(span(3000));
    let now = rig.now;
    rig.stm.start(now);
    rig.settle();
    sync(&mut rig);
    pass(&mut rig, b"down", b"up");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..Default::default() })]

    /// Payloads of any length, late news, addresses that are not acknowledged and slow readers:
    /// nothing is lost, duplicated or changed.
    #[test]
    fn payloads_arrive_in_order(
        seed in any::<u64>(), ack in 0u64..3000, transfer in 0u64..3000, batch in 0u64..900,
    ) {
        let mut rig = synced();
        rig.ack_latency = Duration::from_micros(ack);
        rig.transfer_latency = Duration::from_micros(transfer);
        rig.ack_batch = Duration::from_micros(batch);
        let mut rng = Rng(seed);
        let (mut down, mut up) = (Vec::new(), Vec::new());
        let (mut got_down, mut got_up) = (Vec::new(), Vec::new());
        let end = rig.now + Duration::from_secs(20);
        while rig.now < end {
            let next = rig.next_at().unwrap();
            rig.step_to(next);
            let now = rig.now;
            let flow = now + Duration::from_secs(3) < end;
            if flow && rng.one_in(40) {
                rig.naks = rng.below(3) as u32;
            }
            if flow && rig.stm.can_submit() && rng.one_in(20) {
                let n = 1 + rng.below(200) as usize;
                let payload = bytes(&mut rng, n);
                rig.stm.submit(now, &payload);
                down.extend(payload);
            }
            if rng.one_in(20) {
                let n = rng.below(201) as usize;
                let part = rig.stm.received().len().min(n);
                got_up.extend_from_slice(&rig.stm.received()[..part]);
                rig.stm.consume(part);
            }
            let esp = rig.esp.as_mut().unwrap();
            if flow && esp.can_submit() && rng.one_in(20) {
                let n = 1 + rng.below(200) as usize;
                let payload = bytes(&mut rng, n);
                esp.submit(&payload);
                up.extend(payload);
            }
            if rng.one_in(20) {
                let n = rng.below(201) as usize;
                let part = esp.received().len().min(n);
                got_down.extend_from_slice(&esp.received()[..part]);
                esp.consume(part);
            }
        }
        got_up.extend_from_slice(rig.stm.received());
        got_down.extend_from_slice(esp(&mut rig).received());
        prop_assert!(down.len() > 1000 && up.len() > 1000, "{} {}", down.len(), up.len());
        prop_assert_eq!(got_down, down);
        prop_assert_eq!(got_up, up);
        prop_assert_eq!(rig.resets, 1);
        prop_assert!(rig.pulses().iter().all(|&p| p >= 100));
    }
}
