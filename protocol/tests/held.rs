//! Messages whose acknowledgement the owner holds back, in every order of what can happen to them.

use pblink_protocol::tcp::endpoint::{Disposition, Endpoint, Host, Receipt, Role, Ticket, Timing};
use pblink_protocol::time::{Duration, Instant};

type End = Endpoint<heapless::Vec<u8, 16>, Vec<u8>, 1>;

/// An owner that commits what it was given later, in order.
#[derive(Clone, Default)]
struct Owner {
    /// Number and receipt of every message that was delivered.
    delivered: Vec<(u8, Receipt)>,
    /// Number of them in the batch that is being committed.
    batch: usize,
    /// Number of them that are committed.
    committed: usize,
}

impl Owner {
    /// Returns true if the last message with this number is committed.
    fn is_committed(&self, mid: u8) -> bool {
        self.delivered.iter().rposition(|d| d.0 == mid).is_some_and(|at| at < self.committed)
    }
}

/// The owner takes every message, and learns its number from the line that the test sends.
struct Delivering<'a>(&'a mut Owner, u8);

impl Host<Vec<u8>> for Delivering<'_> {
    fn deliver(&mut self, _: &str, receipt: Receipt) -> Disposition {
        self.0.delivered.push((self.1, receipt));
        Disposition::Later
    }

    fn acked(&mut self, _: Ticket, _: Option<Vec<u8>>, _: Duration) {
        panic!("nothing was sent");
    }
}

#[derive(Clone)]
struct State {
    end: End,
    owner: Owner,
}

const NUMBERS: u8 = 3;
const TEXTS: [char; 2] = ['a', 'b'];
/// Messages, a new connection, the beginning and the end of a commit, and sending.
const STEPS: u8 = NUMBERS * 2 + 4;
const SEND: u8 = STEPS - 1;

impl State {
    fn new() -> Self {
        let mut end = End::new(Role::Server, Timing::classic(), heapless::Vec::new());
        end.on_connected(Instant::ZERO);
        Self { end, owner: Owner::default() }
    }

    fn message(&mut self, mid: u8, text: char) {
        let line = format!("{mid:02x}{text}\n");
        self.end.on_bytes(Instant::ZERO, line.as_bytes(), &mut Delivering(&mut self.owner, mid));
    }

    /// Releases what is in the batch.
    fn commit(&mut self) {
        for at in self.owner.committed..self.owner.batch {
            self.end.release(self.owner.delivered[at].1);
        }
        self.owner.committed = self.owner.batch;
    }

    /// Writes what is due, and returns the numbers that are acknowledged by it.
    fn send(&mut self) -> Vec<u8> {
        let (mut out, mut acked) = ([0; 64], Vec::new());
        loop {
            let n = self.end.transmit(Instant::ZERO, &mut out);
            if n == 0 {
                return acked;
            }
            let text = std::str::from_utf8(&out[..n]).expect("UTF-8");
            let acks = text.lines().filter(|line| !line.is_empty());
            acked.extend(acks.map(|ack| u8::from_str_radix(ack, 16).expect("a number")));
        }
    }

    /// Does one step. False: a number was acknowledged of which the last message is not committed.
    fn step(&mut self, step: u8) -> bool {
        match step {
            0..6 => self.message(step / 2, TEXTS[usize::from(step % 2)]),
            6 => self.end.on_connected(Instant::ZERO),
            7 => self.owner.batch = self.owner.delivered.len(),
            8 => self.commit(),
            _ => return self.send().into_iter().all(|mid| self.owner.is_committed(mid)),
        }
        true
    }
}

/// Goes through all sequences of `depth` more steps; returns how many traces end in a wrong
/// acknowledgement. With `prompt` everything is sent after each step.
fn explore(state: &State, depth: usize, prompt: bool, leaf: &mut impl FnMut(&State)) -> u64 {
    if depth == 0 {
        leaf(state);
        return 0;
    }
    let steps = if prompt { SEND } else { STEPS };
    let mut wrong = 0;
    for step in 0..steps {
        let mut next = state.clone();
        if next.step(step) && (!prompt || next.step(SEND)) {
            wrong += explore(&next, depth - 1, prompt, leaf);
        } else {
            // All traces that begin so.
            wrong += u64::from(steps).pow(depth as u32 - 1);
        }
    }
    wrong
}

#[test]
fn an_acknowledgement_means_that_the_last_message_with_its_number_is_committed() {
    let mut traces = 0;
    let wrong = explore(&State::new(), 6, true, &mut |_| traces += 1);
    assert_eq!((wrong, traces), (0, 531_441));
}

#[test]
fn it_does_so_too_when_acknowledgements_wait_for_the_socket() {
    let mut traces = 0;
    let wrong = explore(&State::new(), 5, false, &mut |_| traces += 1);
    assert_eq!((wrong, traces), (0, 100_000));
}

#[test]
fn whatever_happened_a_message_that_is_committed_is_acknowledged_when_it_comes_again() {
    explore(&State::new(), 4, true, &mut |state| {
        for mid in 0..NUMBERS {
            for text in TEXTS {
                let mut state = state.clone();
                state.message(mid, text);
                state.owner.batch = state.owner.delivered.len();
                state.commit();
                state.message(mid, text);
                state.owner.batch = state.owner.delivered.len();
                state.commit();
                assert!(state.send().contains(&mid), "{mid:02x}{text} is never acknowledged");
            }
        }
    });
}
