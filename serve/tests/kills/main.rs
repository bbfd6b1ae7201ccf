//! `kill -9` at random instants under load: nothing that was acknowledged is lost, nothing is doubled, in the log
//! and at the boards. The server is a process of its own, with the log on disk and `echo` as its consumer.
//!
//! `PBLINK_KILLS` says how often (20), `PBLINK_SEED` which instants.

mod engines;

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use engines::{Eager, Repeated, Stalling};
use pblink_serve::consumers::{self, App, Consumer};
use pblink_serve::hub::Hub;
use pblink_serve::log::{Keep, Log, Opened, Sqlite, Status};
use pblink_server::Server;
use pblink_soak::board::{Account, TIMEOUT};
use pblink_soak::crowd::{self, Crowd};
use pblink_soak::ledger::Ledger;
use pblink_soak::store;
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
    /// No fault to be found: some commits last for so long that boards repeat lines meanwhile, or connect to the next server.
    Stalls,
    /// No fault to be found: each line is deleted as soon as its consumer has it.
    Empties,
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
        let repeated = Arc::<Repeated>::default();
        let Opened { log, sessions, past } = match fault {
            "Eager" => Log::open(Eager::new(engine), Keep::default()),
            "Stalls" => Log::open(Stalling::new(engine, Arc::clone(&repeated)), Keep::default()),
            "Empties" => Log::open(engine, Keep { bytes: 1, ..Keep::default() }),
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
        let links = server.clone();
        tokio::spawn(async move {
            let mut looks = tokio::time::interval(Duration::from_millis(20));
            loop {
                looks.tick().await;
                repeated.tell(links.links().iter().map(|link| link.duplicates).sum());
            }
        });
        if fault == "Empties" {
            let log = log.clone();
            tokio::spawn(async move {
                let consumed = |status: &Status| status.consumers.iter().map(|c| c.offset).min();
                loop {
                    let before = consumed(&log.status());
                    log.retain_now().await;
                    // As often as there is something to delete.
                    let status = log.wait_for(|status| consumed(status) > before).await;
                    if consumed(&status) <= before {
                        // The log has ended.
                        return;
                    }
                }
            });
        }
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
    let began = std::time::Instant::now();
    let mut server = Process::start(&path, "127.0.0.1:0".parse().unwrap(), fault);
    let address = server.address;
    let crowd = Crowd::start(address, BOARDS, seed);
    for _ in 0..kills {
        // The instant is the fault.
        crowd.wait_for(random.u64(20..4000));
        server.kill();
        server = Process::start(&path, address, fault);
    }
    let accounts = crowd.finish(patience(fault));
    match fault {
        // It may wait for lines that such a server has lost.
        Fault::Eager => server.kill(),
        _ => server.stop(),
    }
    let lines = store::lines(&path).unwrap();
    let last = lines.last().map_or(0, |line| line.offset);
    let guaranteed = accounts.iter().flat_map(|account| &account.written).filter(|l| l.guaranteed);
    let guaranteed = guaranteed.count() as u64;
    let left = lines.len() as u64;
    let texts = store::by_client(lines).unwrap();
    // Of lines that are deleted meanwhile the echoes tell, each of which is one commit with its line, and the offsets.
    let ledger = crowd::judge(&accounts, (fault != Fault::Empties).then_some(texts));
    if fault == Fault::Empties {
        assert!(left < last / 2, "{left} of {last} are left: nothing was deleted");
        let written: usize = accounts.iter().map(|account| account.written.len()).sum();
        assert!((guaranteed..=written as u64).contains(&last), "{guaranteed} to {written}: {last}");
    }
    assert_is_mixed(&accounts);
    for account in accounts.iter().filter(|_| fault == Fault::None) {
        assert!(u64::from(account.connects) > kills / 2, "it was there most of the time");
    }
    let written: usize = accounts.iter().map(|account| account.written.len()).sum();
    println!("{last} lines in the log, {written} written, {} s", began.elapsed().as_secs());
    ledger
}

/// Everything that makes kills hard was there: equal texts, a report as number 0, best effort between lines that must arrive, and
/// boards that receive as the published ones do.
fn assert_is_mixed(accounts: &[Account]) {
    let written = || accounts.iter().flat_map(|account| &account.written);
    assert!(written().filter(|line| line.text == "motion").count() > 100, "equal texts");
    assert!(written().filter(|line| !line.guaranteed).count() > 100, "best effort");
    let begins = |account: &Account| account.written.first().is_some_and(|line| line.report);
    assert!(accounts.iter().all(begins), "number 0 is a report");
    assert!(accounts.iter().any(|account| account.manners.published && account.received.len() > 1));
}

fn patience(fault: Fault) -> Duration {
    match fault {
        Fault::Eager => 3 * TIMEOUT,
        _ => HANGS,
    }
}

#[test]
fn kills_at_any_instant_lose_and_double_nothing() {
    let ledger = run(number("PBLINK_KILLS", 20), Fault::None);
    assert_eq!(ledger, Ledger::default());
}

#[test]
fn commits_that_stall_while_boards_connect_anew_lose_and_double_nothing() {
    let ledger = run(number("PBLINK_KILLS", 20) / 3, Fault::Stalls);
    assert_eq!(ledger, Ledger::default());
}

#[test]
fn a_log_that_is_emptied_all_the_time_loses_and_doubles_nothing() {
    let ledger = run(number("PBLINK_KILLS", 20) / 2, Fault::Empties);
    assert_eq!(ledger, Ledger::default());
}

#[test]
fn a_server_that_acknowledges_before_its_commit_is_found_out() {
    let ledger = run(number("PBLINK_KILLS", 20), Fault::Eager);
    assert_ne!(ledger, Ledger::default(), "the fault was not found");
    println!("found: {} lost, {} doubled", ledger.lost.len(), ledger.doubled.len());
}
