//! The pauses between exchanges.

use crate::common::rig::{Rig, Seen};
use crate::common::span;
use pblink_protocol::i2c::{Initiator, InitiatorEvent, InitiatorTiming, Responder};
use pblink_protocol::time::{Duration, Instant};

type Pair = Rig<Initiator, Responder>;

/// Returns a pair between which exchanges take place, of which each step takes the responder this long.
fn pair(timing: InitiatorTiming, step: Duration) -> Pair {
    let mut rig = Pair::new(Initiator::new(timing));
    rig.ack_latency = step;
    let now = rig.now;
    rig.stm.start(now);
    rig.settle();
    sync(&mut rig);
    rig.stm.expect_lines(true);
    rig
}

fn sync(rig: &mut Pair) {
    rig.until(span(20_000), |r| r.stm.next_event() == Some(InitiatorEvent::Synchronised));
}

const QUICK: Duration = Duration::from_micros(3);

/// Returns begin and end of the exchanges of the next `ms`.
fn exchanges(rig: &mut Pair, ms: u64) -> Vec<(Instant, Instant)> {
    let begin = rig.now;
    rig.run(span(ms));
    let (mut list, mut risen) = (Vec::<(Instant, Instant)>::new(), None);
    for (at, seen) in rig.trace.iter().filter(|(at, _)| *at > begin) {
        match (seen, list.last_mut()) {
            (Seen::Syn(true), _) => risen = Some(*at),
            // The header, with which each begins.
            (Seen::Read(bytes), _) if bytes.len() == 2 => {
                list.extend(risen.map(|risen| (risen, *at)))
            }
            (Seen::Syn(false), Some(last)) => last.1 = *at,
            _ => {}
        }
    }
    // The last may not be complete.
    list.pop();
    list
}

/// Returns the longest and the shortest pause between them, in µs.
fn pauses(exchanges: &[(Instant, Instant)]) -> (u64, u64) {
    let pauses = exchanges.windows(2).map(|two| two[1].0.since(two[0].1).as_micros());
    let pauses: Vec<u64> = pauses.collect();
    (*pauses.iter().min().expect("some"), *pauses.iter().max().expect("some"))
}

/// Returns the part of its time that the responder is in exchanges.
fn load(exchanges: &[(Instant, Instant)]) -> f64 {
    let sum: u64 = exchanges.iter().map(|(begin, end)| end.since(*begin).as_micros()).sum();
    let all = exchanges[exchanges.len() - 1].1.since(exchanges[0].0).as_micros();
    sum as f64 / all as f64
}

#[test]
fn an_idle_link_is_looked_at_often_and_costs_a_quick_responder_little() {
    let mut rig = pair(InitiatorTiming::adaptive(), QUICK);
    rig.run(span(12_000));
    let list = exchanges(&mut rig, 5_000);
    let (_, longest) = pauses(&list);
    assert!(longest < 10_000, "{longest} µs");
    assert!(load(&list) < 0.10, "{}", load(&list));
}

/// Without a server, nothing can come.
#[test]
fn a_responder_without_a_server_is_not_asked_often() {
    let mut rig = pair(InitiatorTiming::adaptive(), QUICK);
    rig.run(span(1_000));
    rig.stm.expect_lines(false);
    rig.run(span(100));
    let (shortest, _) = pauses(&exchanges(&mut rig, 5_000));
    assert!(shortest >= 99_000, "{shortest} µs");
    rig.stm.expect_lines(true);
    rig.run(span(100));
    let (_, longest) = pauses(&exchanges(&mut rig, 5_000));
    assert!(longest < 10_000, "{longest} µs");
    rig.stm.start(rig.now);
    sync(&mut rig);
    let (shortest, _) = pauses(&exchanges(&mut rig, 5_000));
    assert!(shortest >= 99_000, "it has no server yet: {shortest} µs");
}

#[test]
fn pauses_are_short_behind_a_line_and_grow_in_silence() {
    for came in [false, true] {
        let mut rig = pair(InitiatorTiming::adaptive(), QUICK);
        rig.run(span(12_000));
        let now = rig.now;
        if came {
            rig.stm.on_line(now);
        } else {
            rig.stm.submit(now, b"line");
        }
        rig.until(span(20), |r| r.stm.is_passed());
        let (_, soon) = pauses(&exchanges(&mut rig, 50));
        let (_, later) = pauses(&exchanges(&mut rig, 5_000));
        let (_, last) = pauses(&exchanges(&mut rig, 8_000));
        assert!((2_000..3_000).contains(&soon), "{soon} µs");
        assert!(soon < later && later < last, "{soon} {later} {last} µs");
    }
}

#[test]
fn a_slow_responder_keeps_its_pace() {
    for (ms, idle) in [(1, 36_000), (5, 100_000)] {
        let mut rig = pair(InitiatorTiming::adaptive(), span(ms));
        rig.run(span(12_000));
        let list = exchanges(&mut rig, 5_000);
        let (shortest, longest) = pauses(&list);
        assert!((idle..=100_100).contains(&shortest) && longest <= 100_100, "{shortest} {longest}");
        let now = rig.now;
        rig.stm.submit(now, b"line");
        rig.until(span(300), |r| r.stm.is_passed());
        rig.run(span(100));
        let list = exchanges(&mut rig, 300);
        let (shortest, _) = pauses(&list);
        // Two thirds of its time remain, as far as the fixed pauses left it so much.
        let least = (2 * list[0].1.since(list[0].0).as_micros()).min(20_000);
        assert!(shortest + 200 >= least, "{shortest} of {least} µs");
    }
}

#[test]
fn fixed_pauses_stay_what_they_were() {
    for ms in [0, 1, 5] {
        let mut rig = pair(InitiatorTiming::classic(), span(ms));
        rig.run(span(500));
        let (shortest, longest) = pauses(&exchanges(&mut rig, 5_000));
        assert!(shortest >= 99_900 && longest <= 100_100 + 1000 * ms, "{shortest} {longest}");
    }
}

/// A foreign responder that arms its interrupt late misses the start of an exchange, which costs a reset: not again
/// and again.
#[test]
fn a_responder_that_misses_a_start_gets_the_fixed_pauses_for_an_hour() {
    let mut rig = pair(InitiatorTiming::adaptive(), QUICK);
    let before = rig.stm.exchanges();
    rig.until(span(1_000), |r| r.stm.exchanges() > before + 50);
    rig.hung = true;
    rig.until(span(1_200), |r| matches!(r.stm.next_event(), Some(InitiatorEvent::Failed(_))));
    sync(&mut rig);
    rig.stm.expect_lines(true);
    for _ in 0..5 {
        rig.run(span(600_000));
        let (shortest, _) = pauses(&exchanges(&mut rig, 2_000));
        assert!(shortest >= 99_000, "{shortest} µs");
    }
    rig.run(span(1_200_000));
    let (_, longest) = pauses(&exchanges(&mut rig, 2_000));
    assert!(longest < 10_000, "{longest} µs");
    assert_eq!(rig.resets, 2);
}
