//! An endpoint that rests whenever it can, beside one that never does: nobody can tell them apart.

use pblink_protocol::delivery::Delivery;
use pblink_protocol::tcp::endpoint::{
    Disposition, Endpoint, Host, Receipt, Rest, Role, Ticket, Timing,
};
use pblink_protocol::time::{Duration, Instant};
use proptest::prelude::*;

type End = Endpoint<heapless::Vec<u8, 64>, Vec<u8>, 4>;

/// Events that the owner has seen, and receipts that it has.
#[derive(Default)]
struct Owner {
    seen: Vec<String>,
    receipts: Vec<Receipt>,
    later: bool,
}

impl Host<Vec<u8>> for Owner {
    fn deliver(&mut self, text: &str, receipt: Receipt) -> Disposition {
        self.seen.push(text.to_owned());
        if self.later {
            self.receipts.push(receipt);
            return Disposition::Later;
        }
        Disposition::Taken
    }

    fn acked(&mut self, ticket: Ticket, line: Option<Vec<u8>>, took: Duration) {
        self.seen.push(format!("{ticket:?} {line:?} {took:?}"));
    }

    fn restarted(&mut self) {
        self.seen.push("restarted".to_owned());
    }
}

struct Twin {
    end: End,
    /// One that has seen other things, and rests.
    other: End,
    owner: Owner,
    rested: usize,
}

impl Twin {
    fn new(commits: bool) -> Self {
        let mut twin =
            Self { end: fresh(commits), other: fresh(commits), owner: Owner::default(), rested: 0 };
        for step in [
            Step::Connect,
            Step::Message { mid: 0, text: 'x', later: true },
            Step::Message { mid: 7, text: 'x', later: true },
            Step::Message { mid: 7, text: 'y', later: true },
            Step::Bytes(b"08z".to_vec()),
            Step::Write(Delivery::ORDERED),
            Step::Disconnect,
            Step::Release,
            Step::Connect,
            Step::Bytes(b"\n".to_vec()),
        ] {
            twin.step(Instant::ZERO, &step, commits);
        }
        let later = Instant::ZERO + Duration::from_millis(300);
        for step in [Step::Send, Step::Bytes(b"00\n".to_vec()), Step::Done, Step::Disconnect] {
            twin.step(later, &step, commits);
        }
        assert!(twin.end.rest().is_some(), "{:?}", twin.end);
        std::mem::swap(&mut twin.end, &mut twin.other);
        twin.owner = Owner::default();
        twin
    }

    fn step(&mut self, now: Instant, step: &Step, commits: bool) -> Vec<u8> {
        let mut out = vec![0; 64];
        let mut sent = Vec::new();
        match step {
            Step::Connect => self.end.on_connected(now),
            Step::Disconnect => self.end.on_disconnected(),
            Step::Message { mid, text, later } => {
                self.owner.later = *later;
                let line = format!("{mid:02x}{text}\n");
                self.end.on_bytes(now, line.as_bytes(), &mut self.owner);
            }
            Step::Bytes(bytes) => self.end.on_bytes(now, bytes, &mut self.owner),
            Step::Write(delivery) => {
                let ticket = self.end.write(now, b"down".to_vec(), *delivery);
                self.owner.seen.push(format!("{ticket:?}"));
            }
            Step::Release => {
                for receipt in self.owner.receipts.drain(..) {
                    self.end.release(receipt);
                }
            }
            Step::Done => {
                let acked: Vec<_> = self.end.acked_oldest().collect();
                acked.into_iter().filter(|_| commits).for_each(|ticket| {
                    self.end.done(ticket);
                });
            }
            Step::Send => loop {
                let n = self.end.transmit(now, &mut out);
                if n == 0 {
                    break;
                }
                sent.extend_from_slice(&out[..n]);
            },
        }
        sent
    }

    fn rest(&mut self, commits: bool) {
        let Some(rest) = self.end.rest() else { return };
        if !self.owner.receipts.is_empty() {
            return;
        }
        assert_eq!(rest.stats(), self.end.stats());
        let window = self.end.window().clone();
        // In a new one, or in one that another peer has left.
        if self.rested.is_multiple_of(2) {
            self.end = fresh(commits);
        } else {
            std::mem::swap(&mut self.end, &mut self.other);
        }
        self.end.resume(rest, (!window.is_empty()).then_some(&window));
        assert_eq!(self.end.rest(), Some(rest));
        self.rested += 1;
    }
}

fn fresh(commits: bool) -> End {
    let mut end = End::new(Role::Server, Timing::classic(), heapless::Vec::new());
    end.set_commits(commits);
    end
}

#[derive(Debug, Clone)]
enum Step {
    Connect,
    Disconnect,
    Message { mid: u8, text: char, later: bool },
    Bytes(Vec<u8>),
    Write(Delivery),
    Release,
    Done,
    Send,
}

fn steps() -> impl Strategy<Value = Step> {
    let message = (0..4u8, prop::sample::select(vec!['a', 'b']), any::<bool>());
    let deliveries = vec![Delivery::ORDERED, Delivery::UNORDERED, Delivery::BestEffort];
    let bytes =
        vec![b"\n".to_vec(), b"00\n".to_vec(), b"01\n".to_vec(), b"02\n".to_vec(), b"03c".to_vec()];
    prop_oneof![
        2 => Just(Step::Connect),
        3 => Just(Step::Disconnect),
        3 => message.prop_map(|(mid, text, later)| Step::Message { mid, text, later }),
        4 => prop::sample::select(bytes).prop_map(Step::Bytes),
        1 => prop::sample::select(deliveries).prop_map(Step::Write),
        2 => Just(Step::Release),
        1 => Just(Step::Done),
        3 => Just(Step::Send),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn nobody_can_tell_an_endpoint_that_rests_from_one_that_does_not(
        steps in prop::collection::vec((steps(), 0..900u64), 1..60),
        commits: bool,
    ) {
        let (mut rests, mut never) = (Twin::new(commits), Twin::new(commits));
        let mut now = Instant::ZERO;
        for (step, ms) in steps {
            now += Duration::from_millis(ms);
            let sent = rests.step(now, &step, commits);
            prop_assert_eq!(sent, never.step(now, &step, commits), "{:?}", step);
            prop_assert_eq!(&rests.owner.seen, &never.owner.seen);
            prop_assert_eq!(rests.end.poll_at(now), never.end.poll_at(now));
            prop_assert_eq!(rests.end.stats(), never.end.stats());
            prop_assert_eq!(rests.end.first_number(), never.end.first_number());
            prop_assert_eq!(rests.end.unacked(), never.end.unacked());
            rests.rest(commits);
        }
    }
}

#[test]
fn a_new_endpoint_rests() {
    assert_eq!(fresh(false).rest(), Some(Rest::NEW));
}

#[test]
fn what_is_under_way_keeps_it_awake() {
    let mut twin = Twin::new(false);
    let now = Instant::ZERO;
    twin.step(now, &Step::Connect, false);
    assert_eq!(twin.end.rest(), None, "a connection");
    twin.step(now, &Step::Message { mid: 0, text: 'a', later: true }, false);
    twin.step(now, &Step::Disconnect, false);
    assert_eq!(twin.end.rest(), None, "a message whose acknowledgement is held back");
    twin.step(now, &Step::Release, false);
    assert!(twin.end.rest().is_some());
    twin.step(now, &Step::Write(Delivery::ORDERED), false);
    assert_eq!(twin.end.rest(), None, "a line");
}

#[test]
fn what_a_sender_held_before_it_restarted_keeps_nothing_awake() {
    let mut twin = Twin::new(false);
    let now = Instant::ZERO;
    twin.step(now, &Step::Connect, false);
    for mid in 0..3 {
        twin.step(now, &Step::Message { mid, text: 'a', later: true }, false);
    }
    twin.step(now, &Step::Disconnect, false);
    twin.step(now, &Step::Connect, false);
    // Another text with the same number: only a sender that has restarted writes that.
    twin.step(now, &Step::Message { mid: 0, text: 'b', later: false }, false);
    twin.step(now, &Step::Disconnect, false);
    assert!(twin.end.rest().is_some(), "nobody waits for the acknowledgements of before");
}
