//! NATS servers, gateways, the networks between them, and boards: everything in one place.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use fastrand::Rng;
use pblink_serve::log::Line;
use pblink_serve::log::store::{Store, StoreOptions};
use pblink_soak::board::TIMEOUT;
use pblink_soak::crowd::{self, Boards, Crowd};
use pblink_soak::ledger::Ledger;
use pblink_soak::machine::{Cable, Machine};
use pblink_soak::nats::{Cluster, Wanted, lasting_port};
use pblink_soak::proxy::Proxy;
use pblink_soak::{process, secure, store};
use tokio::runtime::Runtime;

use super::gateway::{Fault, Fleet, Manner};
use super::number;
use crate::desk::{Contents, HANGS, NAME, close};

/// Lines that pass before the next fault, at most.
pub const BETWEEN: u64 = 2000;

/// Lines after which the boards are at work again.
pub const AGAIN: u64 = 200;

/// A thing that happens to gateways, servers or the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blow {
    /// `kill -9` of the gateway that leads, and a new start.
    Kill,
    /// The gateway that leads stands still until another one leads, and goes on then.
    Halt,
    /// The gateway that leads is cut off from the store until another one leads. Boards reach it all the time.
    CutOff,
    /// The gateway that leads ends in order, and is started again.
    Stop,
    /// `kill -9` of one NATS server, and a new start.
    KillNats,
    /// A NATS server stands still for a while.
    HaltNats,
    /// `kill -9` of all NATS servers, and a new start.
    KillAllNats,
}

pub use Blow::{CutOff, Halt, HaltNats, Kill, KillAllNats, KillNats, Stop};

/// The faults of most tests. A gateway that has reached another server is not cut off by its relay.
pub const ALL: [Blow; 6] = [Kill, Halt, Stop, KillNats, HaltNats, KillAllNats];

/// What a test does.
#[derive(Debug, Clone, Copy)]
pub struct Plan<'a> {
    pub faults: u64,
    /// Kinds of faults, each as often as any other.
    pub blows: &'a [Blow],
    /// Boards that write at a time without keys, and with.
    pub boards: (u64, u64),
    /// Time between two bursts of lines of a board with keys.
    pub pause: Duration,
    /// Lines that pass while a gateway stands still, at most.
    pub halted: u64,
    pub fault: Fault,
}

/// See the module's text.
pub struct Scene {
    pub cluster: Cluster,
    pub fleet: Fleet,
    pub relays: Vec<Proxy>,
    pub balancer: Proxy,
    pub crowd: Crowd,
    pub random: Rng,
    pub seed: u64,
    options: StoreOptions,
    runtime: Runtime,
    halted: u64,
    fault: Fault,
}

impl Scene {
    /// Starts everything, with this added to the variables of the gateways' processes. `None`: there is no NATS server.
    pub fn start(plan: &Plan<'_>, variables: &[(&str, String)]) -> Option<Self> {
        Self::start_on(plan, variables, Vec::new())
    }

    /// Starts everything, with the gateways on these machines; none: on this one.
    pub fn start_on(
        plan: &Plan<'_>,
        variables: &[(&str, String)],
        machines: Vec<Machine>,
    ) -> Option<Self> {
        let cluster = Cluster::start(Wanted { servers: 3, ..Wanted::default() })?;
        let seed = number("PBLINK_SEED", fastrand::u64(..));
        println!("PBLINK_SEED={seed}");
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let options =
            StoreOptions { urls: cluster.urls(), name: NAME.into(), ..StoreOptions::default() };
        make_stream(&runtime, &options);

        let relays: Vec<Proxy> = (0..3)
            .map(|gateway| {
                let mut servers = cluster.addresses();
                servers.rotate_left(gateway);
                let host = machines.get(gateway).map(|machine| machine.host(Cable::Inner));
                let host = host.unwrap_or(Ipv4Addr::LOCALHOST);
                runtime.block_on(Proxy::at(host, servers)).unwrap()
            })
            .collect();
        let addresses: Vec<SocketAddr> = (0..3)
            .map(|gateway| {
                let outer = machines.get(gateway).map(|machine| machine.address(Cable::Outer));
                (outer.unwrap_or(Ipv4Addr::LOCALHOST), lasting_port()).into()
            })
            .collect();
        let balancer = runtime.block_on(Proxy::among(addresses.clone())).unwrap();
        let urls = relays.iter().map(|relay| format!("nats://{}", relay.address())).collect();
        let (classic, keyed) = plan.boards;
        let manner = Manner { fault: plan.fault, keyed, seed };
        let fleet = Fleet::start(urls, addresses, manner, variables, machines);
        let keyed = secure::keys(keyed, seed).into_iter().map(|keys| keys.board).collect();
        let boards = Boards { classic, keyed, pause: plan.pause, ..Boards::default() };
        let crowd = Crowd::of(balancer.address(), boards, seed);
        let (halted, fault, random) = (plan.halted, plan.fault, Rng::with_seed(seed));
        Some(Self {
            cluster,
            fleet,
            relays,
            balancer,
            crowd,
            random,
            seed,
            options,
            runtime,
            halted,
            fault,
        })
    }

    /// Lets the boards finish, ends all gateways, and compares everything. Returns the lines of the log, too.
    pub fn finish(self) -> (Ledger, Vec<Line>) {
        let Self { cluster, mut fleet, relays, balancer, crowd, options, runtime, .. } = self;
        let patience = if self.fault == Fault::None { HANGS } else { 5 * TIMEOUT };
        let accounts = crowd.finish(patience);
        fleet.stop_all();
        drop((relays, balancer));
        let copies: Vec<Contents> = (fleet.folders().iter().zip(["x", "y", "z"]))
            .map(|(folder, gateway)| {
                let leader = runtime.block_on(async {
                    let store = Store::connect(&options, gateway).await.unwrap();
                    store.stand_by(folder, |_| {}).await.unwrap()
                });
                close(leader)
            })
            .collect();
        drop(cluster);
        for copy in &copies[1..] {
            assert!(*copy == copies[0], "the copies of two gateways are not equal");
        }
        let lines = copies[0].lines.clone();
        let (count, written) =
            (lines.len(), accounts.iter().map(|account| account.written.len()).sum::<usize>());
        println!("{count} lines in the log, {written} written");
        (crowd::judge(&accounts, Some(store::by_client(lines.clone()).unwrap())), lines)
    }

    /// Lets one fault after the other happen, at random instants.
    pub fn strike_all(&mut self, plan: &Plan<'_>) {
        let faults = plan.faults as usize;
        println!("{faults} faults");
        let turns: Vec<Blow> = std::iter::repeat_with(|| {
            let mut turn = plan.blows.to_vec();
            self.random.shuffle(&mut turn);
            turn
        })
        .take(faults)
        .flatten()
        .take(faults)
        .collect();
        for blow in turns {
            // The instant is the fault.
            self.crowd.wait_for(self.random.u64(20..BETWEEN));
            let began = Instant::now();
            self.strike(blow);
            self.crowd.wait_for(AGAIN);
            println!("{blow:?}: lines pass again after {:.1} s", began.elapsed().as_secs_f64());
        }
    }

    /// Returns the memory of the gateways and of the NATS servers, in MB.
    pub fn memory(&self) -> ([u64; 3], Vec<u64>) {
        let megabytes = |pid| process::memory(pid) >> 20;
        let servers = self.cluster.pids().into_iter().map(megabytes).collect();
        (self.fleet.pids().map(megabytes), servers)
    }

    /// Lets lines pass until then.
    pub fn pass_until(&self, then: Instant) {
        while Instant::now() < then {
            self.crowd.wait_for(1);
        }
    }

    pub fn strike(&mut self, blow: Blow) {
        let leader = self.fleet.leader();
        match blow {
            Kill => {
                self.fleet.kill(leader);
                self.fleet.restart(leader);
            }
            Halt => {
                self.fleet.halt(leader);
                self.fleet.wait_for_another(leader);
                self.crowd.wait_for(self.random.u64(AGAIN..self.halted));
                // Boards that come to it just then must not be told what it does not know better.
                self.balancer.cut(|| true);
                self.crowd.wait_for(AGAIN);
                self.fleet.resume(leader);
            }
            CutOff => {
                self.relays[leader].stop(true);
                self.fleet.wait_for_another(leader);
                self.crowd.wait_for(AGAIN);
                self.relays[leader].stop(false);
            }
            Stop => {
                self.fleet.stop(leader);
                self.fleet.restart(leader);
            }
            KillNats => {
                let server = self.random.usize(..3);
                self.cluster.kill(server);
                self.crowd.wait_for(AGAIN);
                self.cluster.restart(server);
            }
            HaltNats => {
                let server = self.random.usize(..3);
                self.cluster.halt(server);
                self.crowd.wait_for(BETWEEN);
                self.cluster.resume(server);
            }
            KillAllNats => {
                (0..3).for_each(|server| self.cluster.kill(server));
                (0..3).for_each(|server| self.cluster.restart(server));
            }
        }
    }
}

fn make_stream(runtime: &Runtime, options: &StoreOptions) {
    let began = Instant::now();
    let make = async || Store::connect(options, "init").await?.init(3).await;
    // A cluster that has just been started has places for a stream a little later.
    while let Err(error) = runtime.block_on(make()) {
        assert!(began.elapsed() < Duration::from_secs(60), "{error}");
    }
}
