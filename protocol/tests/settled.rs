//! The settled window: a sender that has been quiet for long enough may begin again with the same words.

use std::collections::{HashMap, VecDeque};

use crate::common::{End, Rec, Rng, ms, sent, span};
use pblink_protocol::delivery::Delivery;
use pblink_protocol::tcp::endpoint::{Disposition, Endpoint, Host, Receipt, Role, Timing};
use pblink_protocol::tcp::window::Window;
use pblink_protocol::time::Instant;

fn end(role: Role) -> End {
    Endpoint::new(role, Timing::classic(), heapless::Vec::new())
}

/// Two endpoints on a network that takes 20 ms; each looks every 10 ms.
struct Pair {
    now: Instant,
    server: End,
    client: End,
    at_server: Rec,
    at_client: Rec,
    flying: VecDeque<(Instant, Role, Vec<u8>)>,
}

impl Pair {
    fn new() -> Self {
        Self {
            now: ms(0),
            server: end(Role::Server),
            client: end(Role::Client),
            at_server: Rec::default(),
            at_client: Rec::default(),
            flying: VecDeque::new(),
        }
    }

    fn connect(&mut self) {
        self.flying.clear();
        self.server.on_connected(self.now);
        self.client.on_connected(self.now);
    }

    fn disconnect(&mut self) {
        self.server.on_disconnected();
        self.client.on_disconnected();
    }

    fn run(&mut self, millis: u64) {
        let until = self.now + span(millis);
        while self.now < until {
            self.now += span(10);
            while self.flying.front().is_some_and(|f| f.0 <= self.now) {
                let (_, to, bytes) = self.flying.pop_front().expect("there is one");
                match to {
                    Role::Server => self.server.on_bytes(self.now, &bytes, &mut self.at_server),
                    Role::Client => self.client.on_bytes(self.now, &bytes, &mut self.at_client),
                }
            }
            let at = self.now + span(20);
            for (end, to) in [(&mut self.server, Role::Client), (&mut self.client, Role::Server)] {
                let bytes = crate::common::drain(end, self.now);
                if !bytes.is_empty() {
                    self.flying.push_back((at, to, bytes));
                }
                assert!(!end.outage(self.now));
            }
        }
    }
}

#[test]
fn a_client_that_boots_says_the_same_and_sleeps_is_heard_each_time() {
    let mut pair = Pair::new();
    for _ in 0..8 {
        pair.client = end(Role::Client);
        pair.connect();
        pair.client.write(pair.now, b"motion".to_vec(), Delivery::ORDERED).expect("room");
        pair.run(5000);
        assert_eq!(pair.client.unacked(), 0, "acknowledged");
        pair.disconnect();
        pair.run(60_000);
    }
    assert_eq!(pair.at_server.lines, ["motion"; 8]);
    assert_eq!(pair.server.stats().settled, 8);
}

#[test]
fn a_server_that_is_restarted_and_says_the_same_is_heard_each_time() {
    let mut pair = Pair::new();
    for _ in 0..4 {
        pair.server = end(Role::Server);
        pair.connect();
        pair.server.write(pair.now, b"OPEN".to_vec(), Delivery::ORDERED).expect("room");
        pair.run(6000);
        assert_eq!(pair.server.unacked(), 0, "acknowledged");
        pair.disconnect();
        pair.run(1000);
    }
    assert_eq!(pair.at_client.lines, ["OPEN"; 4]);
}

/// Receives, and sends what is due.
fn get(end: &mut End, at: u64, bytes: &str, rec: &mut Rec) -> String {
    end.on_bytes(ms(at), bytes.as_bytes(), rec);
    sent(end, ms(at))
}

/// Connected at 0, `00a` has been received and acknowledged.
fn heard(role: Role) -> (End, Rec) {
    let (mut end, mut rec) = (end(role), Rec::default());
    end.on_connected(ms(0));
    assert!(get(&mut end, 0, "00a\n", &mut rec).contains("00\n"));
    (end, rec)
}

/// Lets keepalives come, `every` ms apart, and returns how many it took until the window was settled.
fn settles_after(end: &mut End, rec: &mut Rec, from: u64, every: u64) -> Option<u64> {
    (1..60).find(|n| {
        get(end, from + n * every, "\n", rec);
        end.window().is_empty()
    })
}

#[test]
fn it_takes_eight_keepalives_and_two_time_outs() {
    for role in [Role::Server, Role::Client] {
        for (every, keepalives) in [(500, 8), (1900, 8), (250, 16), (100, 40)] {
            let (mut end, mut rec) = heard(role);
            assert_eq!(settles_after(&mut end, &mut rec, 0, every), Some(keepalives), "{every} ms");
            assert_eq!(end.stats().settled, 1);
            get(&mut end, 80_000, "00a\n", &mut rec);
            assert_eq!(rec.lines, ["a", "a"]);
        }
    }
}

#[test]
fn it_takes_sixteen_on_a_connection_that_brought_no_message() {
    for role in [Role::Server, Role::Client] {
        let (mut end, mut rec) = heard(role);
        end.on_connected(ms(1000));
        assert_eq!(settles_after(&mut end, &mut rec, 1000, 500), Some(16));
    }
}

#[test]
fn a_message_a_repetition_and_a_connection_begin_the_count_anew() {
    for role in [Role::Server, Role::Client] {
        for message in ["01b\n", "00a\n", "00b\n"] {
            let (mut end, mut rec) = heard(role);
            for n in 1..=7 {
                get(&mut end, n * 500, "\n", &mut rec);
            }
            get(&mut end, 3600, message, &mut rec);
            assert_eq!(settles_after(&mut end, &mut rec, 3600, 500), Some(8), "{message:?}");
        }
        let (mut end, mut rec) = heard(role);
        for n in 1..=7 {
            get(&mut end, n * 500, "\n", &mut rec);
        }
        end.on_connected(ms(3600));
        get(&mut end, 3600, "00a\n", &mut rec);
        assert_eq!(settles_after(&mut end, &mut rec, 3600, 500), Some(8), "a new connection");
        assert_eq!(rec.lines, ["a"]);
    }
}

#[test]
fn acknowledgements_and_what_is_no_line_do_not_count() {
    let (mut end, mut rec) = heard(Role::Server);
    for n in 1..=7 {
        get(&mut end, n * 500, "\n", &mut rec);
        get(&mut end, n * 500 + 1, "05\nzz\n05\n", &mut rec);
    }
    assert!(!end.window().is_empty());
    get(&mut end, 4000, "\n", &mut rec);
    assert!(end.window().is_empty());
}

#[test]
fn nothing_is_settled_while_an_acknowledgement_is_held_or_unwritten() {
    let (mut end, mut rec) = (end(Role::Server), Rec { later: true, ..Rec::default() });
    end.on_connected(ms(0));
    get(&mut end, 0, "00a\n", &mut rec);
    assert_eq!(settles_after(&mut end, &mut rec, 0, 500), None, "held");
    // Released, but the socket takes nothing: its owner does not call transmit.
    end.release(rec.receipts[0]);
    for n in 0..40 {
        end.on_bytes(ms(30_000 + n * 500), b"\n", &mut rec);
    }
    assert!(!end.window().is_empty(), "unwritten");
    assert_eq!(sent(&mut end, ms(50_000)), "00\n");
    assert_eq!(
        settles_after(&mut end, &mut rec, 50_000, 500),
        Some(8),
        "from the acknowledgement on"
    );
}

#[test]
fn nothing_is_settled_while_the_owner_has_bytes_that_the_socket_did_not_take() {
    let (mut end, mut rec) = heard(Role::Server);
    end.on_blocked(ms(0));
    assert_eq!(settles_after(&mut end, &mut rec, 0, 500), None);
    end.on_written(ms(40_000));
    assert_eq!(settles_after(&mut end, &mut rec, 40_000, 500), Some(8));
}

#[test]
fn a_client_that_has_heard_nothing_yet_may_still_repeat_after_thirteen_keepalives() {
    let (mut server, mut rec) = heard(Role::Server);
    server.on_connected(ms(1000));
    for n in 1..=13 {
        get(&mut server, 1000 + n * 500, "\n", &mut rec);
    }
    get(&mut server, 8000, "00a\n", &mut rec);
    assert_eq!(rec.lines, ["a"]);
}

// ---- slow uplinks ----

/// Rule by which a receiver forgets.
#[derive(Clone, Copy, PartialEq)]
enum Rule {
    /// The endpoint's own.
    Keepalives,
    /// A planted fault: this many time-outs by the receiver's clock without a message.
    Elapsed(u64),
}

/// Takes lines into a store that commits now and then.
#[derive(Default)]
struct Store {
    got: HashMap<String, u32>,
    waiting: Vec<Receipt>,
    commits: bool,
    heard: bool,
}

impl Host<Vec<u8>> for Store {
    fn deliver(&mut self, text: &str, receipt: Receipt) -> Disposition {
        *self.got.entry(text.into()).or_default() += 1;
        self.heard = true;
        if !self.commits {
            return Disposition::Taken;
        }
        self.waiting.push(receipt);
        Disposition::Later
    }
}

/// One direction of a network: bytes in order, late.
#[derive(Default)]
struct Pipe {
    flying: VecDeque<(u64, Vec<u8>)>,
    last: u64,
    bytes: usize,
}

impl Pipe {
    /// `rate` is in bytes a millisecond.
    fn send(&mut self, now: u64, bytes: &[u8], latency: u64, rate: u64) {
        for part in bytes.chunks(200) {
            let at = self.last.max(now + latency) + (part.len() as u64).div_ceil(rate);
            self.last = at;
            self.bytes += part.len();
            self.flying.push_back((at, part.to_vec()));
        }
    }

    fn receive(&mut self, now: u64) -> Vec<u8> {
        let mut all = Vec::new();
        while self.flying.front().is_some_and(|f| f.0 <= now) {
            let (_, bytes) = self.flying.pop_front().expect("there is one");
            self.bytes -= bytes.len();
            all.extend(bytes);
        }
        all
    }
}

struct Outcome {
    duplicates: usize,
    unacked: usize,
    delivered: usize,
    settled: u32,
    retransmissions: u32,
}

/// Two minutes of a client whose uplink is slow, swells to seconds, and is cut now and then; then a
/// minute without faults. Each text is another one: delivered twice is a duplicate.
fn slow_uplink(seed: u64, rule: Rule) -> Outcome {
    let mut rng = Rng(seed);
    let (faults, all) = (120_000, 200_000);
    let rate = [4, 10, 20, 50][rng.below(4) as usize];
    let base = [3, 20, 80, 400][rng.below(4) as usize];
    let every = [50, 700, 3000, 12_000][rng.below(4) as usize];
    let size = [8, 60, 200][rng.below(3) as usize];
    // What is in flight passes within the time-out, or its repetitions would fill the uplink for ever.
    let in_flight = (rate * 1500 / size).clamp(1, 16);
    let (cut, stall) = (rng.below(3) * 150, rng.below(3) * 1500);
    let buffer = [2900, 65_536][rng.below(2) as usize];
    let delivery = if rng.one_in(2) { Delivery::ORDERED } else { Delivery::UNORDERED };
    let (mut client, mut server) = (end(Role::Client), end(Role::Server));
    let (mut at_client, mut store) = (Rec::default(), Store::default());
    store.commits = rng.one_in(2);
    let (mut up, mut down) = (Pipe::default(), Pipe::default());
    let (mut latency, mut connected, mut connect_at) = (base, false, 0);
    let (mut next_line, mut lines, mut commit_at, mut heard_at) = (500, 0, 0, 0);
    for now in (0..all).step_by(10) {
        let (at, calm) = (ms(now), now >= faults);
        if now % 200 == 0 {
            let swell = latency + rng.below(700);
            latency =
                swell.saturating_sub(rng.below(650)).clamp(base, if calm { base } else { 6000 });
        }
        // A sender that finds the connection dead makes another one; what is under way is lost.
        let dead = connected && (client.outage(at) || server.outage(at));
        if connected && (dead || (!calm && rng.below(100_000) < cut)) {
            connected = false;
            client.on_disconnected();
            server.on_disconnected();
            connect_at = now + 100 + rng.below(3000);
        }
        if !connected && now >= connect_at {
            connected = true;
            (up, down) = (Pipe::default(), Pipe::default());
            client.on_connected(at);
        }
        if !calm && now >= next_line && (client.unacked() as u64) < in_flight {
            next_line = now + rng.below(every * 2) + if rng.one_in(50) { 9000 } else { 0 };
            let text = format!("{lines} {}", "x".repeat(size as usize));
            lines += usize::from(client.write(at, text.into_bytes(), delivery).is_ok());
        }
        if connected {
            client.on_bytes(at, &down.receive(now), &mut at_client);
            let bytes = up.receive(now);
            // The hello has arrived.
            if !bytes.is_empty() && !server.is_connected() {
                server.on_connected(at);
            }
            server.on_bytes(at, &bytes, &mut store);
            let mut out = [0; 1500];
            while up.bytes < buffer {
                match client.transmit(at, &mut out) {
                    0 => break,
                    n => up.send(now, &out[..n], latency, rate),
                }
            }
            loop {
                match server.transmit(at, &mut out) {
                    0 => break,
                    n => down.send(now, &out[..n], base, 100),
                }
            }
        }
        if now >= commit_at {
            commit_at = now + 10 + rng.below(stall + 1);
            store.waiting.drain(..).for_each(|receipt| server.release(receipt));
        }
        if core::mem::take(&mut store.heard) {
            heard_at = now;
        }
        if let Rule::Elapsed(timeouts) = rule
            && now - heard_at >= timeouts * 2000
            && store.waiting.is_empty()
        {
            server.set_window(Window::new());
        }
    }
    Outcome {
        duplicates: store.got.values().filter(|&&times| times > 1).count(),
        unacked: client.unacked(),
        delivered: store.got.len(),
        settled: server.stats().settled,
        retransmissions: client.stats().retransmissions,
    }
}

#[test]
fn no_line_comes_twice_over_a_slow_uplink() {
    let (mut settled, mut delivered, mut again) = (0, 0, 0);
    for seed in 0..100 {
        let outcome = slow_uplink(seed, Rule::Keepalives);
        assert_eq!((outcome.duplicates, outcome.unacked), (0, 0), "seed {seed}");
        settled += outcome.settled;
        delivered += outcome.delivered;
        again += outcome.retransmissions;
    }
    // It says something only if windows were settled in between, and lines repeated.
    assert!(settled > 60 && delivered > 1000 && again > 1000, "{settled} {delivered} {again}");
}

/// The same seeds find a rule that trusts the receiver's clock alone.
#[test]
fn elapsed_time_alone_doubles_lines() {
    let duplicates = |timeouts| {
        (0..60).map(|seed| slow_uplink(seed, Rule::Elapsed(timeouts)).duplicates).sum::<usize>()
    };
    // More time makes it rarer, and no time is enough.
    let (two, four) = (duplicates(2), duplicates(4));
    assert!(two > 50 && four > 0, "{two} {four}");
}
