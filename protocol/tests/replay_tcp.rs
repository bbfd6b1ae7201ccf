//! The recorded TCP sessions of the published code, replayed against both roles.
//!
//! An endpoint gets the bytes that the recorded peer sent, at their times, and its application
//! writes the recorded lines when the recorded application did. What it then does is compared with
//! what the reference did. Two things are ours and differ:
//!
//! - the order in time: ours answers at once, where the reference polls every 20 to 50 ms;
//! - keepalives: the reference's server sends one every `to/4` whatever else it sends, ours only if
//!   nothing else was sent.
//!
//! In none of the recordings does the reference lose or duplicate a line, so all must agree.

use crate::common::vectors::{Entry, load};
use crate::common::{End, Rec, drain};
use pblink_protocol::delivery::Delivery;
use pblink_protocol::tcp::endpoint::{Endpoint, Role, Timing};
use pblink_protocol::tcp::line::{Found, Line, LineReader, Mid};
use pblink_protocol::time::{Duration, Instant};

const RECORDINGS: [&str; 7] = [
    "normal",
    "reconnect_fin",
    "client_reboot",
    "lost_ack_c2s_mid2",
    "lost_ack_s2c_mid2",
    "mid_wrap",
    "i2c_link_tcp_side",
];

fn fresh(role: Role) -> End {
    Endpoint::new(role, Timing::default(), heapless::Vec::new())
}

/// A message: id and text.
type Message = (Mid, String);

/// Messages and acknowledgements in a stream of one direction, connection by connection.
#[derive(Debug, Default)]
struct Stream {
    hello: Option<Vec<u8>>,
    messages: Vec<Message>,
    acks: Vec<Mid>,
}

impl Stream {
    /// `hello`: the first line is not one of the others.
    fn read(
        reader: &mut LineReader<crate::common::Buf>,
        bytes: &[u8],
        hello: bool,
        into: &mut Self,
    ) {
        reader.feed(bytes, |found| {
            let Found::Line(line) = found else { panic!("too long") };
            if hello && into.hello.is_none() {
                into.hello = Some(line.to_vec());
                return true;
            }
            match Line::parse(line) {
                Line::Keepalive => {}
                Line::Ack(mid) => into.acks.push(mid),
                Line::Message { mid, text } => into.messages.push((mid, text.into())),
                Line::Invalid(line) => panic!("{line:?}"),
            }
            true
        });
    }
}

/// The outcome of a replay.
#[derive(Debug, Default)]
struct Outcome {
    delivered: Vec<String>,
    acked: usize,
    /// Bytes that the endpoint sent, over all connections.
    sent: Stream,
    /// The longest time without a byte from it, while it was connected.
    gap: Duration,
    outages: usize,
}

/// An endpoint under replay.
struct Replay {
    role: Role,
    end: End,
    out: Outcome,
    reader: LineReader<crate::common::Buf>,
    last_out: Option<Instant>,
}

impl Replay {
    fn new(role: Role) -> Self {
        Self {
            role,
            end: fresh(role),
            out: Outcome::default(),
            reader: LineReader::new(heapless::Vec::new()),
            last_out: None,
        }
    }

    /// Lets the endpoint do what it wants until `now`, whenever it asks for it, and at `now`.
    fn until(&mut self, now: Instant) {
        while let Some(at) = self.end.poll_at(now).filter(|&at| at < now) {
            self.poll(at);
            let next = self.end.poll_at(at);
            assert!(next.is_none_or(|next| next > at), "poll_at spins");
        }
        self.poll(now);
    }

    fn poll(&mut self, now: Instant) {
        let bytes = drain(&mut self.end, now);
        if !bytes.is_empty() {
            if let Some(last) = self.last_out {
                self.out.gap = Duration::from_micros(
                    self.out.gap.as_micros().max(now.since(last).as_micros()),
                );
            }
            self.last_out = Some(now);
            Stream::read(&mut self.reader, &bytes, false, &mut self.out.sent);
        }
        if self.end.outage(now) {
            self.out.outages += 1;
            self.disconnected();
        }
    }

    fn connected(&mut self, now: Instant) {
        self.end.on_connected(now);
        self.reader.reset();
        self.last_out = Some(now);
    }

    fn disconnected(&mut self) {
        self.end.on_disconnected();
        self.last_out = None;
    }

    fn receive(&mut self, now: Instant, bytes: &[u8]) {
        let mut rec = Rec::default();
        self.end.on_bytes(now, bytes, &mut rec);
        assert_eq!(rec.invalid, Vec::<Vec<u8>>::new());
        self.out.delivered.append(&mut rec.lines);
        self.out.acked += rec.acked.len();
    }

    /// Boots the client again: it forgets everything.
    fn reboot(&mut self) {
        self.end = fresh(self.role);
        self.last_out = None;
    }
}

/// Returns what the peer sent, and what the reference in our place sent, from the recording.
fn streams(entries: &[Entry], dir: &str, dropped_too: bool) -> (Stream, Vec<(Instant, Message)>) {
    let mut all = Stream::default();
    let mut timed = Vec::new();
    let mut reader = LineReader::new(heapless::Vec::<u8, 256>::new());
    let mut conn = -1;
    for entry in entries.iter().filter(|e| e.str("dir") == dir) {
        if !dropped_too && !entry.is_data(dir) {
            continue;
        }
        if entry.num("conn") != conn {
            conn = entry.num("conn");
            reader.reset();
            all.hello = None;
        }
        let before = all.messages.len();
        Stream::read(&mut reader, &entry.bytes(), dir == "c2s", &mut all);
        timed.extend(all.messages[before..].iter().map(|m| (entry.at, m.clone())));
    }
    (all, timed)
}

/// When the application of this end wrote which line: when it said so, or when the line was first
/// seen on the wire if that was logged before.
fn writes(entries: &[Entry], src: &str, dir: &str) -> Vec<(Instant, Option<String>)> {
    let (_, timed) = streams(entries, dir, true);
    let mut first: Vec<(Instant, Message)> = Vec::new();
    let mut reboots: Vec<Instant> = Vec::new();
    if src == "client" {
        reboots.extend(entries.iter().filter(|e| e.str("ev") == "killclient").map(|e| e.at));
    }
    let life = |at: Instant| reboots.iter().filter(|&&r| r <= at).count();
    for (at, message) in timed {
        // An id comes again after 255 others; a repetition comes soon, with the same text.
        let known =
            first.iter().rev().take(100).any(|(t, m)| *m == message && life(*t) == life(at));
        if !known {
            first.push((at, message));
        }
    }
    let said: Vec<Instant> = entries.iter().filter(|e| e.is(src, "tx")).map(|e| e.at).collect();
    let mut list: Vec<(Instant, Option<String>)> = first
        .iter()
        .enumerate()
        .map(|(n, (at, (_, text)))| {
            let at = said.get(n).map_or(*at, |said| *said.min(at));
            (at, Some(text.clone()))
        })
        .collect();
    // `None`: the program was killed and its lines with it.
    list.extend(reboots.into_iter().map(|at| (at, None)));
    list.sort_by_key(|w| w.0);
    list
}

fn replay(entries: &[Entry], role: Role, delivery: Delivery) -> Outcome {
    let (src, own, peer) = match role {
        Role::Server => ("server", "s2c", "c2s"),
        Role::Client => ("client", "c2s", "s2c"),
    };
    let mut replay = Replay::new(role);
    let mut writes = writes(entries, src, own).into_iter().peekable();
    let mut hello: Option<Vec<u8>> = None;
    for entry in entries {
        while let Some((at, text)) = writes.next_if(|w| w.0 <= entry.at) {
            replay.until(at);
            match text {
                Some(text) => {
                    replay.end.write(at, text.into(), delivery).expect("room");
                    replay.until(at);
                }
                None => replay.reboot(),
            }
        }
        let now = entry.at;
        replay.until(now);
        match entry.str("ev") {
            "accept" if role == Role::Client => replay.connected(now),
            "accept" => hello = Some(Vec::new()),
            "close" | "cut_by_tap" => replay.disconnected(),
            _ if entry.is_data(peer) => {
                let mut bytes = entry.bytes();
                // The server's hello is its owner's business: what follows it is the endpoint's.
                if let Some(mut line) = hello.take() {
                    line.append(&mut bytes);
                    match line.iter().position(|&b| b == b'\n') {
                        None => hello = Some(line),
                        Some(end) => {
                            assert_eq!(&line[..end], b"qos");
                            replay.connected(now);
                            bytes = line.split_off(end + 1);
                        }
                    }
                }
                replay.receive(now, &bytes);
            }
            _ => {}
        }
        replay.until(now);
    }
    replay.out
}

#[test]
fn recordings_against_both_roles() {
    for name in RECORDINGS {
        let entries = load(name);
        // Only this one was made with `wait=False`.
        let delivery = match name {
            "mid_wrap" => Delivery::UNORDERED,
            _ => Delivery::ORDERED,
        };
        for (role, src, own, peer) in
            [(Role::Server, "server", "s2c", "c2s"), (Role::Client, "client", "c2s", "s2c")]
        {
            let what = format!("{name}, our {src}");
            let outcome = replay(&entries, role, delivery);
            let (from_peer, _) = streams(&entries, peer, false);
            let (reference, _) = streams(&entries, own, true);

            // The same lines come out as in the recording.
            let mut lines: Vec<String> = entries
                .iter()
                .filter(|e| e.is(src, "rx"))
                .map(|e| e.str("line").trim_end().to_string())
                .collect();
            if name == "i2c_link_tcp_side" {
                // Without the programs' events: no line was repeated in it.
                lines = from_peer.messages.iter().map(|m| m.1.clone()).collect();
            }
            // The reference hands a line over up to 50 ms after it came, so the last one of a recording
            // may be missing there.
            let (common, last) = outcome.delivered.split_at(lines.len());
            assert_eq!(common, lines, "{what}: delivered");
            if let Some(line) = last.first() {
                let end = from_peer.messages.last().map(|m| &m.1);
                assert_eq!((last.len(), Some(line)), (1, end), "{what}: delivered");
            }

            // Each message of the peer is acknowledged, repetitions too, in order.
            let ids: Vec<Mid> = from_peer.messages.iter().map(|m| m.0).collect();
            assert_eq!(outcome.sent.acks, ids, "{what}: acknowledgements");

            // The same messages with the same ids go out, and the same ones are repeated.
            assert_eq!(outcome.sent.messages, reference.messages, "{what}: messages");

            // Each line whose acknowledgement is in the recording is done.
            assert!(outcome.acked > 0 || reference.messages.is_empty(), "{what}");
            let acked = from_peer.acks.len();
            assert_eq!(outcome.acked, acked, "{what}: acknowledged");

            // The peer never misses a keepalive, and is never missed.
            let quarter = Timing::default().keepalive();
            assert!(outcome.gap <= quarter, "{what}: silent for {}", outcome.gap);
            assert_eq!(outcome.outages, 0, "{what}: outages");
        }
    }
}

/// The recordings hold what their names say; otherwise the test above would show little.
#[test]
fn the_recordings_are_what_they_say() {
    let (wrap, _) = streams(&load("mid_wrap"), "c2s", true);
    assert_eq!(wrap.messages.len(), 300);
    assert_eq!(wrap.messages[256].0, Mid(1));
    for (name, dir) in [("lost_ack_c2s_mid2", "s2c"), ("lost_ack_s2c_mid2", "c2s")] {
        let (stream, _) = streams(&load(name), dir, true);
        let twos = stream.messages.iter().filter(|m| m.0 == Mid(2)).count();
        assert_eq!(twos, 2, "{name}: repeated once");
    }
    let (reboot, _) = streams(&load("client_reboot"), "c2s", true);
    let zeros = reboot.messages.iter().filter(|m| m.0 == Mid(0)).count();
    assert_eq!(zeros, 2);
    let connections = load("reconnect_fin").iter().filter(|e| e.str("ev") == "accept").count();
    assert_eq!(connections, 2);
}
