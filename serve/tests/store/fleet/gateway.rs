//! Gateways as processes of their own.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use pblink_serve::consumers::{self, App, Consumer};
use pblink_serve::gateways::{Door, Entrance};
use pblink_serve::hub::Hub;
use pblink_serve::log::store::{Leader, Store, StoreOptions};
use pblink_serve::log::{Keep, Log, Opened};
use pblink_server::{Keys, Server, open_socket};
use pblink_soak::board::TIMEOUT;
use pblink_soak::machine::{Cable, Machine};
use pblink_soak::{secure, wall};
use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::deaf::Obstinate;
use crate::desk::{HANGS, NAME};
use crate::engines::Eager;

/// A gateway of these tests is this program with this set: its name, its URLs, its folder, its address, its fault, the number
/// of boards that have keys and the seed of these.
const GATEWAY: &str = "PBLINK_STORE_GATEWAY";

/// A word of a gateway that leads, once it listens.
const LEADS: &str = "leads";

/// A fault that the test has to find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    None,
    /// Commits return before their records are in the stream.
    Eager,
    /// It goes on when another leads.
    Obstinate,
}

/// Manner of all gateways.
#[derive(Debug, Clone, Copy)]
pub struct Manner {
    pub fault: Fault,
    /// Boards that have keys.
    pub keyed: u64,
    /// The seed of the keys.
    pub seed: u64,
}

/// The gateway's process: not a test, unless it is started as one.
#[test]
fn gateway() {
    let Ok(what) = std::env::var(GATEWAY) else { return };
    let [name, urls, folder, address, fault, keyed, seed] = what.split('|').collect::<Vec<_>>()[..]
    else {
        panic!("{what}")
    };
    let options = StoreOptions { urls: urls.into(), name: NAME.into(), ..StoreOptions::default() };
    let address = address.parse().unwrap();
    let keys = secure::keys(keyed.parse().unwrap(), seed.parse().unwrap());
    let keys = keys.into_iter().fold(Keys::new(), |keys, board| keys.board(board.server));
    let keys = keys.others_classic(true);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (end, mut ended) = watch::channel(false);
        std::thread::spawn(move || {
            // It ends in order when its standard input does.
            std::io::read_to_string(std::io::stdin()).unwrap();
            end.send_replace(true);
        });
        let ports = Ports::open(address);
        loop {
            let stands_by = stand_by(&options, name, Path::new(folder), &ports);
            let leader = tokio::select! {
                leader = stands_by => leader,
                _ = ended.wait_for(|&ended| ended) => return,
            };
            if lead(leader, &ports, fault, &keys, &mut ended).await {
                return;
            }
        }
    });
}

/// Ports for boards and for other gateways, as long as the process: whatever comes to a gateway that stands by is passed on.
struct Ports {
    boards: TcpListener,
    others: TcpListener,
}

impl Ports {
    fn open(address: SocketAddr) -> Self {
        let open = |address| open_socket(address).unwrap();
        Self { boards: open(address), others: open((address.ip(), 0).into()) }
    }

    /// Returns the entrance of a gateway that leads, and tells the others the way.
    fn entrance(&self, leader: &Leader) -> Entrance {
        let socket = tokio::net::TcpListener::from_std(self.others.try_clone().unwrap()).unwrap();
        let address = socket.local_addr().unwrap();
        let entrance = Entrance::new(socket, address).unwrap();
        leader.tell_way(entrance.way());
        entrance
    }
}

async fn stand_by(options: &StoreOptions, name: &str, folder: &Path, ports: &Ports) -> Leader {
    let mut pause = tokio::time::interval(Duration::from_millis(50));
    let store = loop {
        match Store::connect(options, name).await {
            Ok(store) => break store,
            // As long as there is no NATS server.
            Err(_) => pause.tick().await,
        };
    };
    let boards = tokio::net::TcpListener::from_std(ports.boards.try_clone().unwrap()).unwrap();
    let door = Door::for_boards(boards, (name, store.way()), 100_000);
    let leader = store.stand_by(folder, |_| {}).await.unwrap();
    door.close().await;
    leader
}

/// Serves boards until another one leads, or it is to end. Returns true then.
async fn lead(
    leader: Leader,
    ports: &Ports,
    fault: &str,
    keys: &Keys,
    ended: &mut watch::Receiver<bool>,
) -> bool {
    let (entrance, fellows) = (ports.entrance(&leader), leader.fellows());
    let Opened { log, sessions, past } = match fault {
        "Eager" => Log::open(Eager::new(leader), Keep::default()),
        "Obstinate" => Log::open(Obstinate(leader), Keep::default()),
        _ => Log::open(leader, Keep::default()),
    }
    .unwrap();
    let builder =
        Server::builder().timeout(TIMEOUT).commits(true).restore_states(sessions).gate(log.gate());
    let builder = builder.keys(keys.clone()).listener(ports.boards.try_clone().unwrap());
    let server = builder.bind().await.unwrap();
    // Before the first line: the consumer has its place.
    let hub = Hub::resume(server.clone(), log.clone(), past, TIMEOUT, "echo").await.unwrap();
    let (passed, _lines) = mpsc::channel(1);
    let ending = CancellationToken::new();
    let echo = vec![Consumer::new(consumers::Kind::App(App::Echo), true)];
    let echo = tokio::spawn(consumers::run(hub, log.clone(), echo, passed, ending.clone()));
    log.attach(server.clone()).await;
    let entrance = entrance.open(server.clone(), None, fellows);
    say(LEADS);
    let ends = tokio::select! {
        _ = log.failed() => false,
        _ = ended.wait_for(|&ended| ended) => true,
    };
    drop(entrance);
    match ends {
        true => drop(server.shutdown().await),
        // Nothing that it could say counts any more.
        false => drop(server.shutdown_within(Duration::ZERO).await),
    }
    ending.cancel();
    echo.await.unwrap();
    log.stop().await;
    ends
}

fn say(what: &str) {
    println!("\n{what}");
    std::io::stdout().flush().unwrap();
}

/// The gateway that was the last to say that it leads.
#[derive(Default)]
struct Leading {
    gateway: Mutex<Option<usize>>,
    /// Times that one of them has said so.
    times: AtomicU64,
    changed: Condvar,
}

/// Three gateways. They are killed when this is dropped.
pub struct Fleet {
    urls: Vec<String>,
    addresses: Vec<SocketAddr>,
    manner: Manner,
    variables: Vec<(String, String)>,
    /// Machines that they are on; none: this one.
    machines: Vec<Machine>,
    folder: tempfile::TempDir,
    children: [Option<Child>; 3],
    leading: Arc<Leading>,
}

impl Fleet {
    /// Starts them with this added to their variables, the gateway's number in place of [`wall::NAME`].
    pub fn start(
        urls: Vec<String>,
        addresses: Vec<SocketAddr>,
        manner: Manner,
        variables: &[(&str, String)],
        machines: Vec<Machine>,
    ) -> Self {
        let (folder, leading) = (tempfile::tempdir().unwrap(), Arc::default());
        let variables = variables.iter().map(|(name, value)| ((*name).into(), value.clone()));
        let (variables, children) = (variables.collect(), [None, None, None]);
        let mut fleet =
            Self { urls, addresses, manner, variables, machines, folder, children, leading };
        (0..3).for_each(|gateway| fleet.start_one(gateway));
        fleet
    }

    fn start_one(&mut self, gateway: usize) {
        let (urls, address) = (&self.urls[gateway], self.addresses[gateway]);
        let folder = self.folders()[gateway].display().to_string();
        let Manner { fault, keyed, seed } = self.manner;
        let what = format!("gateway-{gateway}|{urls}|{folder}|{address}|{fault:?}|{keyed}|{seed}");
        let program = std::env::current_exe().unwrap();
        let mut command = match self.machines.get(gateway) {
            Some(machine) => machine.command(&program),
            None => Command::new(program),
        };
        let mut child = command
            .args(["--exact", "fleet::gateway::gateway", "--nocapture", "--test-threads=1"])
            .env(GATEWAY, what)
            .envs(
                self.variables
                    .iter()
                    .map(|(name, value)| (name, value.replace(wall::NAME, &gateway.to_string()))),
            )
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let leading = Arc::clone(&self.leading);
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if line == LEADS {
                    leading.times.fetch_add(1, Ordering::Relaxed);
                    *leading.gateway.lock().unwrap() = Some(gateway);
                    leading.changed.notify_all();
                }
            }
        });
        self.children[gateway] = Some(child);
    }

    /// Waits until a gateway leads, and returns it.
    pub fn leader(&self) -> usize {
        self.wait_for(|_| true)
    }

    /// Returns how often a gateway has begun to lead.
    pub fn led(&self) -> u64 {
        self.leading.times.load(Ordering::Relaxed)
    }

    /// Waits until another one leads.
    pub fn wait_for_another(&self, than: usize) {
        self.wait_for(|gateway| gateway != than);
    }

    fn wait_for(&self, wanted: impl Fn(usize) -> bool) -> usize {
        let gateway = self.leading.gateway.lock().unwrap();
        let waits = |gateway: &mut Option<usize>| !gateway.is_some_and(&wanted);
        let (gateway, waited) =
            self.leading.changed.wait_timeout_while(gateway, HANGS, waits).unwrap();
        assert!(!waited.timed_out(), "no gateway leads");
        gateway.unwrap()
    }

    /// Pulls cables of a gateway's machine, or puts them back.
    pub fn plug(&self, gateway: usize, cables: &[Cable], plugged: bool) {
        cables.iter().for_each(|cable| self.machines[gateway].plug(*cable, plugged).unwrap());
    }

    /// Returns the folders of all copies.
    pub fn folders(&self) -> [PathBuf; 3] {
        [0, 1, 2].map(|gateway| self.folder.path().join(gateway.to_string()))
    }

    /// Returns the numbers of all processes.
    pub fn pids(&self) -> [u32; 3] {
        [0, 1, 2].map(|gateway| self.children[gateway].as_ref().unwrap().id())
    }

    pub fn kill(&mut self, gateway: usize) {
        let mut child = self.children[gateway].take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        self.is_gone(gateway);
    }

    /// Starts a gateway that was killed or stopped.
    pub fn restart(&mut self, gateway: usize) {
        self.start_one(gateway);
    }

    pub fn stop(&mut self, gateway: usize) {
        let mut child = self.children[gateway].take().unwrap();
        drop(child.stdin.take());
        assert!(child.wait().unwrap().success(), "gateway {gateway} has failed");
        self.is_gone(gateway);
    }

    /// Stops all gateways, the one that leads last; those with a fault are killed.
    pub fn stop_all(&mut self) {
        if self.manner.fault != Fault::None {
            return (0..3).for_each(|gateway| self.kill(gateway));
        }
        let leader = self.leader();
        for gateway in (0..3).filter(|gateway| *gateway != leader).chain([leader]) {
            self.stop(gateway);
        }
    }

    pub fn halt(&self, gateway: usize) {
        self.signal(gateway, Signal::STOP);
    }

    pub fn resume(&self, gateway: usize) {
        self.signal(gateway, Signal::CONT);
    }

    fn signal(&self, gateway: usize, signal: Signal) {
        let child = self.children[gateway].as_ref().unwrap();
        kill_process(Pid::from_raw(child.id().cast_signed()).unwrap(), signal).unwrap();
    }

    fn is_gone(&self, gateway: usize) {
        let mut leading = self.leading.gateway.lock().unwrap();
        if *leading == Some(gateway) {
            *leading = None;
        }
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        for child in self.children.iter_mut().flatten() {
            // It may have ended.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
