//! A server that keeps its lines for a board in a store, and is killed at any moment.

use std::collections::{HashMap, HashSet, VecDeque};

use crate::common::{Rec, Rng, ms};
use pblink_protocol::delivery::Delivery;
use pblink_protocol::tcp::endpoint::{Disposition, Endpoint, Host, Receipt, Role, Ticket, Timing};
use pblink_protocol::tcp::line::Mid;
use pblink_protocol::time::Duration;

type End = Endpoint<heapless::Vec<u8, 64>, Vec<u8>, 64>;

/// The data that survives a kill: the rows that are not done, and the number of the oldest.
#[derive(Clone, Default)]
struct Store {
    rows: VecDeque<u32>,
    first: Mid,
    next_row: u32,
}

/// The server's memory.
struct Server {
    end: End,
    /// Rows in the endpoint, oldest first.
    sent: VecDeque<(Ticket, u32)>,
    acked: Acked,
    /// Rows of the store that are not in the endpoint yet.
    fed: usize,
    /// End of the commit that is under way, and the number of rows that it removes.
    commit: Option<(u64, usize)>,
}

#[derive(Default)]
struct Acked(HashSet<Ticket>);

impl Host<Vec<u8>> for Acked {
    fn deliver(&mut self, _: &str, _: Receipt) -> Disposition {
        unreachable!("the board says nothing")
    }

    fn acked(&mut self, ticket: Ticket, _: Option<Vec<u8>>, _: Duration) {
        assert!(self.0.insert(ticket), "the owner hears of each line once");
    }
}

impl Server {
    fn start(store: &Store, commits: bool) -> Self {
        let mut end = End::new(Role::Server, Timing::classic(), heapless::Vec::new());
        end.set_commits(commits);
        assert!(end.set_first_number(store.first));
        Self { end, sent: VecDeque::new(), acked: Acked::default(), fed: 0, commit: None }
    }

    /// Puts rows into the endpoint, and ends and begins commits.
    fn work(&mut self, now: u64, store: &mut Store, rng: &mut Rng, commits: bool) {
        while let Some(&row) = store.rows.get(self.fed)
            && self.end.has_room()
        {
            let delivery = [Delivery::UNORDERED, Delivery::ORDERED, Delivery::BestEffort];
            let delivery = delivery[(row % 3) as usize];
            let text = row.to_string().into_bytes();
            let ticket = self.end.write(ms(now), text, delivery).expect("there is room");
            self.sent.push_back((ticket, row));
            self.fed += 1;
        }
        if let Some((at, rows)) = self.commit
            && now >= at
        {
            self.commit = None;
            for (ticket, row) in self.sent.drain(..rows) {
                assert_eq!(store.rows.pop_front(), Some(row));
                store.first = store.first.next();
                self.fed -= 1;
                assert!(!commits || self.end.done(ticket));
            }
            assert!(!commits || self.end.first_number() == store.first);
        }
        let acked = self.sent.iter().take_while(|s| self.acked.0.contains(&s.0)).count();
        if acked > 0 && self.commit.is_none() {
            let slow = if rng.one_in(10) { 4000 } else { 60 };
            self.commit = Some((now + rng.below(slow), acked));
        }
    }
}

struct Outcome {
    duplicates: usize,
    lost: usize,
    left: usize,
    kills: u32,
    settled: u32,
}

/// Two minutes of kills, cuts and slow commits, then one without.
fn run(seed: u64, commits: bool) -> Outcome {
    let mut rng = Rng(seed);
    let (faults, all) = (120_000, 200_000);
    let (kill, cut) = (20 + rng.below(100), rng.below(200));
    let every = [20, 200, 1500, 9000][rng.below(4) as usize];
    let latency = [5, 60, 400][rng.below(3) as usize];
    let mut store = Store::default();
    let mut server = Some(Server::start(&store, commits));
    let mut board = End::new(Role::Client, Timing::classic(), heapless::Vec::new());
    let mut at_board = Rec::default();
    let (mut up, mut down) = (VecDeque::<(u64, Vec<u8>)>::new(), VecDeque::new());
    let (mut connected, mut connect_at, mut next_row, mut back_at, mut kills) = (false, 0, 0, 0, 0);
    let mut out = [0; 1500];
    for now in (0..all).step_by(10) {
        let (at, calm) = (ms(now), now >= faults);
        let mut drop =
            connected && (board.outage(at) || server.as_ref().is_some_and(|s| s.end.outage(at)));
        if !calm && rng.below(100_000) < kill && server.take().is_some() {
            (kills, back_at, drop) = (kills + 1, now + rng.below(3000), true);
        }
        drop |= !calm && rng.below(100_000) < cut;
        if drop && connected {
            connected = false;
            board.on_disconnected();
            if let Some(server) = &mut server {
                server.end.on_disconnected();
            }
            connect_at = now + rng.below(1500);
        }
        if server.is_none() && now >= back_at {
            server = Some(Server::start(&store, commits));
        }
        let Some(server) = &mut server else { continue };
        if !connected && now >= connect_at {
            connected = true;
            up.clear();
            down.clear();
            board.on_connected(at);
            server.end.on_connected(at);
        }
        // Each row is in the store before its first byte is sent.
        while !calm && now >= next_row {
            next_row += 1 + rng.below(every * 2) + if rng.one_in(40) { 9000 } else { 0 };
            // A link that is slow for its application holds it off.
            if store.rows.len() < 40 {
                store.rows.push_back(store.next_row);
                store.next_row += 1;
            }
        }
        server.work(now, &mut store, &mut rng, commits);
        if connected {
            while up.front().is_some_and(|f| f.0 <= now) {
                let (_, bytes) = up.pop_front().expect("there is one");
                server.end.on_bytes(at, &bytes, &mut server.acked);
            }
            while down.front().is_some_and(|f: &(u64, Vec<u8>)| f.0 <= now) {
                let (_, bytes) = down.pop_front().expect("there is one");
                board.on_bytes(at, &bytes, &mut at_board);
            }
            for (end, pipe) in [(&mut server.end, &mut down), (&mut board, &mut up)] {
                loop {
                    match end.transmit(at, &mut out) {
                        0 => break,
                        n => pipe.push_back((now + latency, out[..n].to_vec())),
                    }
                }
            }
        }
    }
    let mut times = HashMap::<&str, u32>::new();
    at_board.lines.iter().for_each(|line| *times.entry(line).or_default() += 1);
    let there =
        |row: &u32| times.contains_key(row.to_string().as_str()) || store.rows.contains(row);
    Outcome {
        duplicates: times.values().filter(|&&n| n > 1).count(),
        lost: (0..store.next_row).filter(|row| !there(row)).count(),
        left: store.rows.len(),
        kills,
        settled: board.stats().settled,
    }
}

#[test]
fn a_server_that_is_killed_loses_and_doubles_no_line() {
    let (mut kills, mut settled) = (0, 0);
    for seed in 0..60 {
        let outcome = run(seed, true);
        let what = (outcome.duplicates, outcome.lost, outcome.left);
        assert_eq!(what, (0, 0, 0), "duplicates, lost, left with seed {seed}");
        kills += outcome.kills;
        settled += outcome.settled;
    }
    assert!(kills > 200 && settled > 60, "{kills} {settled}");
}

/// The same seeds find an endpoint in which a line leaves before that is committed.
#[test]
fn lines_that_leave_before_the_commit_are_duplicated_or_lost() {
    let wrong = (0..60).map(|seed| run(seed, false)).map(|o| o.duplicates + o.lost).sum::<usize>();
    assert!(wrong > 100, "{wrong}");
}
