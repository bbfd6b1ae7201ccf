//! A board with keys that writes all the time, through any number of connections, and keeps account.

#[path = "../../../server-core/tests/common/secure.rs"]
mod client;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use client::SecureBoard;
use pblink_protocol::secure::board::BoardEvent;
use pblink_secure_suite::drbg::Drbg;
use pblink_secure_suite::issue::{Issued, issue};
use pblink_secure_suite::keys::{BoardKeys, Id, Secret};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::board::{AGAIN, Account, Manners, Passed, TIMEOUT};
use crate::pen::Pen;

/// Lines that wait for their acknowledgement, at most: a board's RAM.
const KEPT: usize = 64;

/// Returns keys of this many boards, and of their server. Of one seed they are always the same: whoever knows it has them, and
/// nobody has to pass on a file.
///
/// # Panics
/// Never: the ids are such.
pub fn keys(boards: u64, seed: u64) -> Vec<Issued> {
    let mut random =
        Drbg::new(&[b"keys of boards in tests, that need not be secret", &seed.to_be_bytes()]);
    let server = Secret::draw(&mut random);
    (0..boards)
        .map(|n| issue(&Id::new(&format!("keyed-{n}")).expect("an id"), 1, &server, &mut random))
        .collect()
}

/// See the module's text.
pub(crate) struct Keyed {
    board: SecureBoard,
    account: Account,
    pen: Pen,
    passed: Arc<Passed>,
    /// Time between two bursts of lines.
    pause: Duration,
    next: Instant,
    /// Number of the oldest line that was not acknowledged when it was looked at last.
    first: u64,
}

impl Keyed {
    /// Returns one that has written nothing yet. The seed decides what it writes; lines that pass are added to `passed`.
    pub(crate) fn new(
        server: SocketAddr,
        keys: &BoardKeys,
        pause: Duration,
        seed: u64,
        passed: Arc<Passed>,
    ) -> Self {
        let mut board = SecureBoard::new(keys, server, TIMEOUT);
        board.keeps = false;
        board.patience = board.patience.max(pause / 4);
        // Of its lines none has a fate of its own: no published client, and no number that is always new.
        let manners = Manners { ordered: true, published: false, echoed: true };
        let account = Account::new(keys.id.as_str().to_owned(), manners);
        let (pen, next) = (Pen::new(seed), Instant::now());
        Self { board, account, pen, passed, pause, next, first: 1 }
    }

    /// Writes until `writing` ends, and then waits until all is acknowledged and every echo is here, or for as long as nobody
    /// tells it to `give_up`.
    pub(crate) async fn run(
        mut self,
        writing: Arc<AtomicBool>,
        give_up: CancellationToken,
    ) -> Account {
        let ended = give_up.run_until_cancelled_owned(self.work(&writing)).await;
        self.account.finished = ended.is_some();
        self.account.unacked = self.board.link.memory().lines.len();
        self.account
    }

    async fn work(&mut self, writing: &AtomicBool) {
        while !self.is_done(writing) {
            if writing.load(Ordering::Relaxed) && Instant::now() >= self.next {
                self.next = Instant::now() + self.pause;
                self.write_some();
            }
            if self.board.try_step().await.is_err() {
                sleep(AGAIN).await;
            }
            self.look();
        }
    }

    fn is_done(&mut self, writing: &AtomicBool) -> bool {
        !writing.load(Ordering::Relaxed)
            && self.board.link.memory().lines.is_empty()
            && self.pen.has_heard_all(&self.account, 0)
    }

    fn write_some(&mut self) {
        if self.pen.is_far_behind(&self.account) {
            return;
        }
        for _ in 0..self.pen.burst() {
            if self.board.link.memory().lines.len() >= KEPT {
                return;
            }
            let line = self.pen.compose(false);
            match line.guaranteed {
                true => drop(self.board.write(&line.text)),
                // One is on its way: this one goes with the next.
                false if !self.board.link.send(&line.text) => return,
                false => {}
            }
            self.pen.wrote(&mut self.account, line);
        }
    }

    /// Notes what has come of its lines, and what has come to it.
    fn look(&mut self) {
        let mut reset = false;
        for event in self.board.events.drain(..) {
            self.account.connects += u32::from(event == BoardEvent::Up);
            reset |= event == BoardEvent::ResetWanted;
        }
        if reset {
            // Its ESP8266 connects anew.
            self.board.cut();
        }
        let memory = self.board.link.memory();
        let first = memory.next - memory.lines.len() as u64;
        let passed = first - self.first + self.board.got.len() as u64;
        self.first = first;
        self.account.received.append(&mut self.board.got);
        if passed > 0 {
            self.passed.add(passed);
        }
    }
}
