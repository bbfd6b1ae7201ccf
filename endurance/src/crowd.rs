//! Boards that write until they are told to stop, and the ledger over them.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use pblink_secure_suite::keys::BoardKeys;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::board::{Account, Board, Manners, Passed};
use crate::ledger::Ledger;
use crate::secure::Keyed;

/// Nothing takes this long unless it hangs.
const HANGS: Duration = Duration::from_secs(120);

/// Boards at work.
#[derive(Debug)]
pub struct Crowd {
    runtime: Runtime,
    writing: Arc<AtomicBool>,
    give_up: CancellationToken,
    passed: Arc<Passed>,
    boards: Vec<JoinHandle<Account>>,
}

/// Boards of a crowd.
#[derive(Debug, Clone)]
pub struct Boards {
    /// Number of those without keys. Every other one keeps the order of its lines, and every fifth receives as the published
    /// client does.
    pub classic: u64,
    /// Keys of all others.
    pub keyed: Vec<BoardKeys>,
    /// The server returns the lines of the classic ones. To the others it has to.
    pub echoed: bool,
    /// Time between two bursts of lines of a board.
    pub pause: Duration,
    /// Ends the boards at once when it is cancelled.
    pub give_up: CancellationToken,
}

impl Default for Boards {
    fn default() -> Self {
        let give_up = CancellationToken::new();
        Self { classic: 0, keyed: Vec::new(), echoed: true, pause: Duration::ZERO, give_up }
    }
}

impl Crowd {
    /// Lets this many boards without keys write to a server.
    ///
    /// # Panics
    /// If the system gives no threads.
    pub fn start(server: SocketAddr, boards: u64, seed: u64) -> Self {
        Self::of(server, Boards { classic: boards, ..Boards::default() }, seed)
    }

    /// Lets boards write to a server that returns nothing.
    ///
    /// # Panics
    /// If the system gives no threads.
    pub fn without_echo(server: SocketAddr, boards: u64, seed: u64) -> Self {
        Self::of(server, Boards { classic: boards, echoed: false, ..Boards::default() }, seed)
    }

    /// Lets these boards write to a server.
    ///
    /// # Panics
    /// If the system gives no threads.
    pub fn of(server: SocketAddr, boards: Boards, seed: u64) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        let runtime = runtime.expect("threads");
        let passed = Arc::<Passed>::default();
        let writing = Arc::new(AtomicBool::new(true));
        let Boards { classic, keyed, echoed, pause, give_up } = boards;
        let classic = (0..classic).map(|n| {
            let manners = Manners { ordered: n % 2 == 0, published: n % 5 == 0, echoed };
            let mut board =
                Board::new(format!("board {n}"), manners, seed ^ n, Arc::clone(&passed));
            board.pause = pause;
            runtime.spawn(board.run(server, Arc::clone(&writing), give_up.clone()))
        });
        let keyed = keyed.iter().zip(1..).map(|(keys, n): (_, u64)| {
            let board = Keyed::new(server, keys, pause, seed ^ n << 32, Arc::clone(&passed));
            runtime.spawn(board.run(Arc::clone(&writing), give_up.clone()))
        });
        let boards = classic.chain(keyed).collect();
        Self { runtime, writing, give_up, passed, boards }
    }

    /// Waits until this many more lines have passed: lines of boards that were acknowledged, and lines that boards have
    /// received. So an instant in the traffic is chosen, whatever the speed of the machine.
    ///
    /// # Panics
    /// If they do not within two minutes.
    pub fn wait_for(&self, lines: u64) {
        assert!(self.passed.wait(lines, HANGS), "{lines} lines do not pass");
    }

    /// Returns the number of lines that have passed so far.
    pub fn passed(&self) -> u64 {
        self.passed.count()
    }

    /// Returns the runtime that the boards are on.
    pub fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// Lets the boards write no more, and waits until each has seen all that it waits for, but not longer than `patience`
    /// without any line: a board that waits for what is lost waits for ever.
    ///
    /// # Panics
    /// If a board has panicked.
    pub fn finish(self, patience: Duration) -> Vec<Account> {
        self.writing.store(false, Ordering::Relaxed);
        let Self { runtime, give_up, passed, boards, .. } = self;
        runtime.block_on(async {
            let all = futures::future::join_all(boards);
            tokio::pin!(all);
            let mut before = passed.count();
            let accounts = loop {
                if let Ok(accounts) = timeout(patience, &mut all).await {
                    break accounts;
                }
                let now = passed.count();
                if std::mem::replace(&mut before, now) == now {
                    give_up.cancel();
                    break all.await;
                }
            };
            accounts.into_iter().map(|account| account.expect("no board panics")).collect()
        })
    }
}

/// Compares what boards have written with the log and with what they have received. `log`: texts by client; without
/// it, only their echoes count.
pub fn judge(accounts: &[Account], log: Option<HashMap<String, Vec<String>>>) -> Ledger {
    let mut ledger = Ledger::default();
    let is_there = log.is_some();
    let mut log = log.unwrap_or_default();
    for account in accounts {
        // Named first: the echoes that it lacks follow from that, or are the reason.
        if !account.finished {
            let Account { id, manners, unacked, .. } = account;
            ledger.lost.push(format!("{id} waits for ever, {unacked} unacknowledged, {manners:?}"));
        }
        if is_there {
            let found = log.remove(&account.id).unwrap_or_default();
            ledger.check("log", account, &found, true);
        }
        if account.manners.echoed {
            ledger.check("board", account, &account.received, false);
        }
    }
    ledger
}
