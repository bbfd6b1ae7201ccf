//! The choice of the next line, beside a look at all lines, which is slow and plain.

extern crate std;

use std::vec::Vec;

use proptest::prelude::*;

use super::*;

const TIMEOUT: Duration = Duration::from_millis(100);

type Lines<const N: usize> = Outbox<heapless::Vec<Vec<u8>, N>, N>;

impl<S: Store, const N: usize> Outbox<S, N> {
    /// Does the same as [`candidate`](Self::candidate), by a look at one line after the other.
    fn plain_candidate(&self, timeout: Duration) -> Option<(usize, Instant)> {
        let mut earliest: Option<(usize, Instant)> = None;
        let mut oldest: Option<Mid> = None;
        let mut unacked = false;
        for (at, slot) in self.slots.iter().enumerate() {
            let due = match slot.state {
                State::Acked(_) => continue,
                State::Interrupted(_) => return Some((at, Instant::ZERO)),
                State::Sent(..) if !self.is_guaranteed(slot) => continue,
                State::Sent(_, sent) => sent + timeout,
                State::Queued => {
                    let held = slot.delivery.is_ordered() && unacked;
                    let spread = oldest.is_some_and(|o| distance(o, self.next_mid) >= MAX_SPREAD);
                    let first = oldest == Some(Mid(0));
                    if !held && !spread && !first {
                        let again = earliest.filter(|&(_, due)| due <= slot.written);
                        return again.or(Some((at, slot.written)));
                    }
                    break;
                }
            };
            unacked |= self.is_guaranteed(slot) && !slot.acked;
            oldest = oldest.or(slot.state.mid());
            if earliest.is_none_or(|(_, e)| due < e) {
                earliest = Some((at, due));
            }
        }
        earliest
    }

    fn plain_find(&self, ticket: Ticket) -> Option<usize> {
        self.slots.iter().position(|slot| slot.ticket == ticket)
    }
}

#[derive(Debug, Clone)]
enum Step {
    Push(Delivery),
    /// Sends what is due, at most so many lines. The last one only in part, if `part`.
    Send {
        most: usize,
        part: bool,
    },
    /// Sends the rest of a line.
    Rest,
    /// Acknowledges one of those that have a number, counted from the oldest.
    Ack(usize),
    /// The owner is done with one, counted from the oldest.
    Done(usize),
    Cancel(usize),
    Interrupt,
    Wait(Duration),
    /// A clock goes back, which no owner's does.
    Back(Duration),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let push = prop_oneof![
        Just(Delivery::UNORDERED),
        Just(Delivery::UNORDERED),
        Just(Delivery::ORDERED),
        Just(Delivery::BestEffort)
    ];
    let some = || prop_oneof![2 => Just(0usize), 1 => 0..12usize];
    let time = |most: u64| (0..=most).prop_map(Duration::from_millis);
    let step = prop_oneof![
        12 => push.prop_map(Step::Push),
        8 => (1..6usize, prop::bool::weighted(0.3)).prop_map(|(most, part)| Step::Send { most, part }),
        4 => Just(Step::Rest),
        8 => some().prop_map(Step::Ack),
        4 => some().prop_map(Step::Done),
        1 => some().prop_map(Step::Cancel),
        1 => Just(Step::Interrupt),
        8 => time(120).prop_map(Step::Wait),
        1 => time(30).prop_map(Step::Back),
    ];
    prop::collection::vec(step, 0..120)
}

/// An outbox at work, as an endpoint uses it.
struct Work<const N: usize> {
    lines: Lines<N>,
    now: Instant,
    /// The line of which the last bytes are not sent.
    sending: Option<Ticket>,
    /// The states that the lines were in when one was chosen.
    seen: Seen,
}

/// Cases that a run has to have met, or it shows nothing.
#[derive(Debug, Default, Clone, Copy)]
struct Seen {
    out_of_turn: usize,
    repeated: usize,
    interrupted: usize,
    waited: usize,
}

impl<const N: usize> Work<N> {
    fn new(keeps: bool, first: Mid) -> Self {
        let mut lines = Lines::new(heapless::Vec::new());
        lines.set_keeps(keeps);
        assert!(lines.set_first(first));
        Self { lines, now: Instant::from_millis(1000), sending: None, seen: Seen::default() }
    }

    fn step(&mut self, step: &Step) {
        let Self { lines, now, sending, .. } = self;
        match *step {
            Step::Push(delivery) => drop(lines.push(*now, b"x".to_vec(), delivery)),
            Step::Send { most, part } => self.send(most, part),
            Step::Rest => {
                if let Some(ticket) = sending.take() {
                    lines.completed(ticket, *now);
                }
            }
            Step::Ack(nth) => {
                let mids: Vec<Mid> = lines.slots.iter().filter_map(|s| s.state.mid()).collect();
                if let Some(&mid) = mids.get(nth) {
                    lines.acked(mid, *sending, *now);
                }
            }
            Step::Done(nth) => {
                if let Some(slot) = lines.slots.get(nth) {
                    lines.done(slot.ticket, *sending);
                }
            }
            Step::Cancel(nth) => {
                if let Some(slot) = lines.slots.get(nth) {
                    lines.cancel(slot.ticket);
                }
            }
            Step::Interrupt => {
                *sending = None;
                lines.interrupted();
            }
            Step::Wait(time) => *now += time,
            Step::Back(time) => *now = *now - time,
        }
    }

    fn send(&mut self, most: usize, part: bool) {
        let Self { lines, now, sending, seen } = self;
        if sending.is_some() {
            return;
        }
        for nth in 1..=most {
            let plain = lines.plain_candidate(TIMEOUT).filter(|&(_, due)| due <= *now);
            let expected = plain.map(|(at, _)| lines.slots[at].ticket);
            seen.waited += usize::from(expected.is_none() && lines.len() > 0);
            let again = lines.plain_candidate(TIMEOUT).is_some_and(|(at, _)| {
                seen.interrupted +=
                    usize::from(matches!(lines.slots[at].state, State::Interrupted(_)));
                lines.slots[at].state.mid().is_some()
            });
            let Some(chosen) = lines.choose(*now, TIMEOUT) else {
                assert_eq!(expected, None);
                return;
            };
            let ticket = match chosen {
                Chosen::First(ticket) => {
                    assert!(!again);
                    ticket
                }
                Chosen::Again(ticket) => {
                    assert!(again);
                    seen.repeated += 1;
                    ticket
                }
            };
            assert_eq!(Some(ticket), expected);
            if part && nth == most {
                *sending = Some(ticket);
            } else {
                lines.completed(ticket, *now);
            }
        }
    }

    fn check(&mut self) {
        let lines = &self.lines;
        let plain = lines.plain_candidate(TIMEOUT);
        assert_eq!(lines.candidate(TIMEOUT), plain);
        assert_eq!(lines.due(self.now, TIMEOUT), plain.map(|(_, due)| due.max(self.now)));
        // Counts and marks follow from the lines: else equal states would be two in a model of all states.
        let waits = |slot: &Slot| matches!(slot.state, State::Queued | State::Interrupted(_));
        let under_way = lines.slots.iter().position(waits).unwrap_or(lines.len());
        assert_eq!(usize::from(lines.under_way), under_way);
        let times: Vec<Instant> = lines.slots.iter().filter_map(|s| s.state.sent()).collect();
        assert_eq!(lines.in_turn, times.is_sorted());
        let oldest = lines.slots.first().map_or(lines.next_ticket, |slot| slot.ticket.0);
        for ticket in (oldest.saturating_sub(1)..=lines.next_ticket).map(Ticket) {
            assert_eq!(lines.find(ticket), lines.plain_find(ticket));
        }
        self.seen.out_of_turn += usize::from(!lines.in_turn);
    }
}

fn run<const N: usize>(keeps: bool, first: Mid, steps: &[Step]) -> Seen {
    let mut work = Work::<N>::new(keeps, first);
    for step in steps {
        work.step(step);
        work.check();
    }
    work.seen
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// The same line at the same time as by a look at all of them, whatever has happened.
    #[test]
    fn the_next_line_is_that_of_a_plain_look(
        steps in steps(),
        keeps in any::<bool>(),
        first in prop_oneof![Just(0u8), Just(1), Just(250)],
    ) {
        run::<12>(keeps, Mid(first), &steps);
        run::<3>(keeps, Mid(first), &steps);
    }
}

/// A line that stays unacknowledged while a hundred numbers pass holds the others back.
#[test]
fn the_next_line_is_that_of_a_plain_look_at_the_limit_of_numbers() {
    let mut work = Work::<4>::new(false, Mid(200));
    for _ in 0..120 {
        for step in
            [Step::Push(Delivery::UNORDERED), Step::Send { most: 1, part: false }, Step::Ack(1)]
        {
            work.step(&step);
            work.check();
        }
    }
    assert_eq!(distance(Mid(200), work.lines.next_mid), MAX_SPREAD);
    work.step(&Step::Ack(0));
    work.check();
    work.step(&Step::Send { most: 1, part: false });
    assert_eq!(distance(Mid(200), work.lines.next_mid), MAX_SPREAD + 1);
}

/// The random runs above meet what is to be compared.
#[test]
fn runs_meet_repetitions_out_of_turn() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let mut sum = Seen::default();
    for _ in 0..200 {
        let steps = steps().new_tree(&mut runner).unwrap().current();
        for keeps in [false, true] {
            let seen = run::<12>(keeps, Mid(1), &steps);
            sum.out_of_turn += seen.out_of_turn;
            sum.repeated += seen.repeated;
            sum.interrupted += seen.interrupted;
            sum.waited += seen.waited;
        }
    }
    assert!(sum.out_of_turn > 100 && sum.repeated > 100, "{sum:?}");
    assert!(sum.interrupted > 100 && sum.waited > 100, "{sum:?}");
}
