//! A server that keeps what it acknowledges: what survives a crash of its process, and the commits that bring
//! it there.

use std::collections::VecDeque;

use fastrand::Rng;
use pblink_protocol::delivery::Delivery;
use pblink_protocol::tcp::endpoint::{Disposition, Endpoint, Host, Receipt, Store};
use pblink_protocol::tcp::line::{LineBuf, Mid};
use pblink_protocol::tcp::window::Window;
use pblink_protocol::time::{Duration, Instant};

use crate::flaw::Flaw;
use crate::program::line_of_server;

/// The part of a session that survives a crash.
#[derive(Debug, Clone, Default)]
struct Kept {
    window: Window,
    /// Number of the oldest row.
    next: Mid,
    /// Lines to the board that are not done.
    rows: VecDeque<u64>,
    /// Number of the next row.
    number: u64,
}

/// A commit that is under way.
#[derive(Debug)]
struct Commit {
    ends: Instant,
    window: Window,
    next: Mid,
    lines: usize,
    rows: u64,
    done: usize,
}

/// The store of one session, and what waits for it.
#[derive(Debug)]
pub(super) struct Keeper {
    kept: Kept,
    /// Lines that came, and are not acknowledged.
    inbox: Vec<(String, Receipt)>,
    /// Rows that are written, and not durable.
    new_rows: u64,
    /// Rows that the endpoint has.
    fed: usize,
    settled: u32,
    commit: Option<Commit>,
    longest: Duration,
    /// A planted fault: lines are acknowledged before they are durable.
    acknowledges_first: bool,
    /// A planted fault: lines that were acknowledged leave before that is durable.
    frees_first: bool,
    rng: Rng,
}

impl Host<Vec<u8>> for Keeper {
    fn deliver(&mut self, text: &str, receipt: Receipt) -> Disposition {
        self.inbox.push((text.to_owned(), receipt));
        if self.acknowledges_first {
            return Disposition::Taken;
        }
        Disposition::Later
    }
}

/// Data that a commit has made durable.
#[derive(Debug, Default)]
pub(super) struct Durable {
    pub(super) lines: Vec<String>,
    pub(super) rows: std::ops::Range<u64>,
}

impl Keeper {
    pub(super) fn new(longest: Duration, rng: Rng) -> Self {
        Self {
            kept: Kept::default(),
            inbox: Vec::new(),
            new_rows: 0,
            fed: 0,
            settled: 0,
            commit: None,
            longest,
            acknowledges_first: false,
            frees_first: false,
            rng,
        }
    }

    /// Plants a fault.
    pub(super) fn plant(&mut self, flaw: Flaw) {
        self.acknowledges_first = flaw == Flaw::AcknowledgesFirst;
        self.frees_first = flaw == Flaw::FreesFirst;
    }

    /// Writes a line to the board: it is sent once it is durable.
    pub(super) fn write(&mut self) {
        self.new_rows += 1;
    }

    /// Forgets all that is not durable, and puts the rest into a new endpoint.
    pub(super) fn crash<B: LineBuf, L, const N: usize, S: Store<Line = L>>(
        &mut self,
        endpoint: &mut Endpoint<B, L, N, S>,
    ) {
        self.inbox.clear();
        (self.new_rows, self.fed, self.settled, self.commit) = (0, 0, 0, None);
        endpoint.set_commits(true);
        endpoint.set_window(self.kept.window.clone());
        assert!(endpoint.set_first_number(self.kept.next), "nothing was sent yet");
    }

    pub(super) fn next_at(&self) -> Option<Instant> {
        self.commit.as_ref().map(|commit| commit.ends)
    }

    /// Ends the commit whose time has come, and begins the next one.
    pub(super) fn work<B: LineBuf, const N: usize, S>(
        &mut self,
        now: Instant,
        endpoint: &mut Endpoint<B, Vec<u8>, N, S>,
        delivery: Delivery,
    ) -> Durable
    where
        S: Store<Line = Vec<u8>> + pblink_protocol::tcp::endpoint::Put<Vec<u8>>,
    {
        let mut durable = Durable::default();
        if let Some(commit) = self.commit.take_if(|commit| commit.ends <= now) {
            durable = self.committed(commit, endpoint);
        }
        while let Some(number) = self.kept.rows.get(self.fed)
            && endpoint.has_room()
        {
            let text = line_of_server(*number).into_bytes();
            if endpoint.write(now, text, delivery).is_err() {
                break;
            }
            self.fed += 1;
        }
        if self.frees_first {
            let done: Vec<_> = endpoint.acked_oldest().collect();
            for ticket in done {
                assert!(endpoint.done(ticket), "it is the oldest, and acknowledged");
                self.kept.rows.pop_front();
                self.fed -= 1;
            }
        }
        let done = endpoint.acked_oldest().count();
        let settled = endpoint.stats().settled;
        let waits = !self.inbox.is_empty() || self.new_rows > 0 || done > 0;
        if self.commit.is_none() && (waits || settled != self.settled) {
            self.settled = settled;
            self.commit = Some(Commit {
                ends: now + Duration::from_micros(self.rng.u64(100..=self.longest.as_micros())),
                window: endpoint.window().clone(),
                next: endpoint.first_number_after(done),
                lines: self.inbox.len(),
                rows: self.new_rows,
                done,
            });
        }
        durable
    }

    fn committed<B: LineBuf, L, const N: usize, S: Store<Line = L>>(
        &mut self,
        commit: Commit,
        endpoint: &mut Endpoint<B, L, N, S>,
    ) -> Durable {
        let kept = &mut self.kept;
        (kept.window, kept.next) = (commit.window, commit.next);
        let first = kept.number;
        kept.number += commit.rows;
        self.new_rows -= commit.rows;
        kept.rows.extend(first..kept.number);
        let done: Vec<_> = endpoint.acked_oldest().take(commit.done).collect();
        for ticket in done {
            assert!(endpoint.done(ticket), "it is the oldest, and acknowledged");
            kept.rows.pop_front();
            self.fed -= 1;
        }
        let acknowledged = self.acknowledges_first;
        let lines = self.inbox.drain(..commit.lines).map(|(text, receipt)| {
            if !acknowledged {
                endpoint.release(receipt);
            }
            text
        });
        Durable { lines: lines.collect(), rows: first..kept.number }
    }
}
