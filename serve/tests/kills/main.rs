//! `kill -9` at random instants under load: nothing that was acknowledged is lost, nothing is doubled, in the log
//! and at the boards. The server is a process of its own, with the log on disk and `echo` as its consumer.
//!
//! `PBLINK_KILLS` says how often (20), `PBLINK_SEED` which instants.

mod engines;

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use engines::Eager;
use pblink_serve::consumers::{self, App, Consumer};
use pblink_serve::hub::Hub;
use pblink_serve::log::{Engine, Keep, Kind, Line, Log, Opened, Sqlite};
use pblink_server::Server;
use pblink_soak::board::{Account, Board, Manners, TIMEOUT};
use pblink_soak::ledger::Ledger;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Boards that write at a time.
const BOARDS: u64 = 40;

/// Nothing here takes this long unless it hangs.
const HANGS: Duration = Duration::from_secs(300);

/// The server of these tests is this program with this set: folder, address, fault.
const SERVER: &str = "PBLINK_KILLS_SERVER";

/// A fault that the test has to find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    /// Commits return before they are on the disk.
    Eager,
}

/// The server's process: not a test, unless it is started as one.
#[test]
fn server() {
    let Ok(what) = std::env::var(SERVER) else { return };
    let [folder, address, fault] = what.split('|').collect::<Vec<_>>()[..] else {
        panic!("{what}")
    };
    let engine = Sqlite::open(Path::new(folder)).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let Opened { log, sessions, past } = match fault {
            "Eager" => Log::open(Eager::new(engine), Keep::default()),
            _ => Log::open(engine, Keep::default()),
        }
        .unwrap();
        let builder = Server::builder().timeout(TIMEOUT).commits(true).restore_states(sessions);
        let server = builder.listen(address.parse().unwrap()).bind().await.unwrap();
        // Before the first line: the consumer has its place.
        let hub = Hub::resume(server.clone(), log.clone(), past, TIMEOUT, "echo").await.unwrap();
        let (passed, _lines) = mpsc::channel(1);
        let ending = CancellationToken::new();
        let echo = vec![Consumer::new(consumers::Kind::App(App::Echo), true)];
        let echo = consumers::run(hub, log.clone(), echo, passed, ending.clone());
        let echo = tokio::spawn(echo);
        while log.status().consumers.iter().all(|consumer| !consumer.running) {
            tokio::task::yield_now().await;
        }
        log.attach(server.clone()).await;
        println!("\nlistening {}", server.local_addr());
        std::io::stdout().flush().unwrap();
        // It ends in order when its standard input does.
        let ended = tokio::task::spawn_blocking(|| std::io::read_to_string(std::io::stdin()));
        ended.await.unwrap().unwrap();
        server.shutdown().await;
        ending.cancel();
        echo.await.unwrap();
        log.stop().await;
    });
}

/// A process of the server. It is killed when it is dropped.
struct Process {
    child: Child,
    address: SocketAddr,
}

impl Process {
    fn start(folder: &Path, address: SocketAddr, fault: Fault) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "server", "--nocapture", "--test-threads=1"])
            .env(SERVER, format!("{}|{address}|{fault:?}", folder.display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let listening = lines.find_map(|line| {
            Some(line.ok()?.strip_prefix("listening ")?.parse().expect("an address"))
        });
        // Whatever else it says must not fill its pipe.
        std::thread::spawn(move || lines.count());
        Self { child, address: listening.expect("the server starts") }
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn stop(mut self) {
        drop(self.child.stdin.take());
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read(folder: &Path) -> Vec<Line> {
    let mut engine = Sqlite::open(folder).unwrap();
    engine.load().unwrap();
    let reader = engine.reader();
    let mut lines: Vec<Line> = Vec::new();
    loop {
        let after = lines.last().map_or(0, |line| line.offset);
        let (more, _) = reader.lines(after, 10_000, 10_000, None).unwrap();
        if more.is_empty() {
            return lines;
        }
        lines.extend(more);
    }
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

/// Boards write while the server is killed this often.
fn run(kills: u64, fault: Fault) -> Ledger {
    let folder = tempfile::tempdir().unwrap();
    let path: PathBuf = folder.path().join("state");
    let seed = number("PBLINK_SEED", fastrand::u64(..));
    println!("{kills} kills, PBLINK_SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let mut server = Process::start(&path, "127.0.0.1:0".parse().unwrap(), fault);
    let address = server.address;
    let writing = Arc::new(AtomicBool::new(true));
    let give_up = CancellationToken::new();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let boards: Vec<_> = (0..BOARDS)
        .map(|n| {
            let manners = Manners { ordered: n % 2 == 0, published: n % 5 == 0 };
            let board = Board::new(format!("board {n}"), manners, seed ^ n);
            runtime.spawn(board.run(address, Arc::clone(&writing), give_up.clone()))
        })
        .collect();
    for _ in 0..kills {
        // The instant is the fault.
        std::thread::sleep(Duration::from_millis(random.u64(50..600)));
        server.kill();
        server = Process::start(&path, address, fault);
    }
    writing.store(false, Ordering::Relaxed);
    let accounts: Vec<Account> = runtime.block_on(async {
        let all = futures::future::join_all(boards);
        tokio::pin!(all);
        let accounts = match tokio::time::timeout(patience(fault), &mut all).await {
            Ok(accounts) => accounts,
            Err(_) => {
                // A board that waits for what is lost waits for ever.
                give_up.cancel();
                all.await
            }
        };
        accounts.into_iter().map(Result::unwrap).collect()
    });
    match fault {
        Fault::None => server.stop(),
        // What such a server has lost, it may wait for.
        Fault::Eager => server.kill(),
    }
    let mut by_client: HashMap<String, Vec<String>> = HashMap::new();
    let mut last = 0;
    for line in read(&path) {
        assert_eq!(line.offset, last + 1, "offsets have no gaps");
        last = line.offset;
        assert_eq!(line.kind == Kind::Report, line.text.starts_with('{'));
        by_client.entry(line.client.to_string()).or_default().push(line.text.to_string());
    }
    let mut ledger = Ledger::default();
    for account in &accounts {
        let found = by_client.remove(&account.id).unwrap_or_default();
        ledger.check("log", account, &found, true);
        ledger.check("board", account, &account.received, false);
        if fault == Fault::None {
            assert!(u64::from(account.connects) > kills / 2, "it was there most of the time");
        }
    }
    for account in accounts.iter().filter(|account| !account.finished) {
        let Account { id, manners, unacked, .. } = account;
        ledger.lost.push(format!("{id} waits for ever, {unacked} unacknowledged, {manners:?}"));
    }
    let written: usize = accounts.iter().map(|account| account.written.len()).sum();
    println!("{last} lines in the log, {written} written");
    ledger
}

fn patience(fault: Fault) -> Duration {
    match fault {
        Fault::None => HANGS,
        Fault::Eager => 3 * TIMEOUT,
    }
}

#[test]
fn kills_at_any_instant_lose_and_double_nothing() {
    let ledger = run(number("PBLINK_KILLS", 20), Fault::None);
    assert_eq!(ledger, Ledger::default());
}

#[test]
fn a_server_that_acknowledges_before_its_commit_is_found_out() {
    let ledger = run(number("PBLINK_KILLS", 20), Fault::Eager);
    assert_ne!(ledger, Ledger::default(), "the fault was not found");
    println!("found: {} lost, {} doubled", ledger.lost.len(), ledger.doubled.len());
}
