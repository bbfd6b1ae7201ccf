//! Three NATS servers, three gateways, and boards that write all the time through a balancer, while gateways and servers are
//! killed, halted, cut off and stopped: no line is lost, doubled or out of order, and all copies are equal.
//!
//! `PBLINK_FAILOVERS` says how many faults (8), `PBLINK_SEED` which.

mod deaf;
mod gateway;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use fastrand::Rng;
use gateway::{Fault, Fleet};
use pblink_serve::log::store::{Store, StoreOptions};
use pblink_soak::board::TIMEOUT;
use pblink_soak::crowd::{self, Crowd};
use pblink_soak::ledger::Ledger;
use pblink_soak::nats::{Cluster, Wanted, lasting_port};
use pblink_soak::proxy::Proxy;
use pblink_soak::store;
use tokio::runtime::Runtime;

use crate::desk::{Contents, HANGS, NAME, close};

/// Lines that pass before the next fault, at most.
const BETWEEN: u64 = 2000;

/// Lines after which the boards are at work again.
const AGAIN: u64 = 200;

/// A thing that happens to gateways, servers or the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Blow {
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

use Blow::{CutOff, Halt, HaltNats, Kill, KillAllNats, KillNats, Stop};

/// The faults of most tests. A gateway that has reached another server is not cut off by its relay.
const ALL: [Blow; 6] = [Kill, Halt, Stop, KillNats, HaltNats, KillAllNats];

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

fn failovers() -> u64 {
    number("PBLINK_FAILOVERS", 8)
}

/// What a test does.
struct Plan<'a> {
    faults: u64,
    /// Kinds of faults, each as often as any other.
    blows: &'a [Blow],
    /// Boards that write at a time.
    boards: u64,
    /// Lines that pass while a gateway stands still, at most.
    halted: u64,
    fault: Fault,
}

/// Everything in one place.
struct Scene {
    cluster: Cluster,
    fleet: Fleet,
    relays: Vec<Proxy>,
    balancer: Proxy,
    crowd: Crowd,
    random: Rng,
    /// Lines that pass while a gateway stands still, at most.
    halted: u64,
}

impl Scene {
    fn strike(&mut self, blow: Blow) {
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

/// Lets boards write meanwhile. `None`: there is no NATS server.
fn run(plan: Plan<'_>) -> Option<Ledger> {
    let Plan { faults, blows, boards, halted, fault } = plan;
    let cluster = Cluster::start(Wanted { servers: 3, ..Wanted::default() })?;
    let seed = number("PBLINK_SEED", fastrand::u64(..));
    println!("{faults} faults, PBLINK_SEED={seed}");
    let mut random = Rng::with_seed(seed);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let options =
        StoreOptions { urls: cluster.urls(), name: NAME.into(), ..StoreOptions::default() };
    make_stream(&runtime, &options);

    let relays: Vec<Proxy> = (0..3)
        .map(|gateway| {
            let mut servers = cluster.addresses();
            servers.rotate_left(gateway);
            runtime.block_on(Proxy::among(servers)).unwrap()
        })
        .collect();
    let addresses: Vec<SocketAddr> =
        (0..3).map(|_| ([127, 0, 0, 1], lasting_port()).into()).collect();
    let balancer = runtime.block_on(Proxy::among(addresses.clone())).unwrap();
    let urls = relays.iter().map(|relay| format!("nats://{}", relay.address())).collect();
    let fleet = Fleet::start(urls, addresses, fault);
    let crowd = Crowd::start(balancer.address(), boards, seed);
    let turns: Vec<Blow> = std::iter::repeat_with(|| {
        let mut turn = blows.to_vec();
        random.shuffle(&mut turn);
        turn
    })
    .take(faults as usize)
    .flatten()
    .take(faults as usize)
    .collect();
    let mut scene = Scene { cluster, fleet, relays, balancer, crowd, random, halted };
    for blow in turns {
        // The instant is the fault.
        scene.crowd.wait_for(scene.random.u64(20..BETWEEN));
        let began = Instant::now();
        scene.strike(blow);
        scene.crowd.wait_for(AGAIN);
        println!("{blow:?}: lines pass again after {:.1} s", began.elapsed().as_secs_f64());
    }
    let Scene { mut fleet, crowd, .. } = scene;
    let accounts = crowd.finish(if fault == Fault::None { HANGS } else { 5 * TIMEOUT });
    fleet.stop_all();
    let folders = fleet.folders();
    let copies: Vec<Contents> = (folders.iter().zip(["x", "y", "z"]))
        .map(|(folder, gateway)| {
            let leader = runtime.block_on(async {
                let store = Store::connect(&options, gateway).await.unwrap();
                store.stand_by(folder, |_| {}).await.unwrap()
            });
            close(leader)
        })
        .collect();
    for copy in &copies[1..] {
        assert!(*copy == copies[0], "the copies of two gateways are not equal");
    }
    let lines = copies[0].lines.clone();
    let (count, written) =
        (lines.len(), accounts.iter().map(|account| account.written.len()).sum::<usize>());
    println!("{count} lines in the log, {written} written");
    Some(crowd::judge(&accounts, Some(store::by_client(lines))))
}

fn make_stream(runtime: &Runtime, options: &StoreOptions) {
    let began = Instant::now();
    let make = async || Store::connect(options, "init").await?.init(3).await;
    // A cluster that has just been started has places for a stream a little later.
    while let Err(error) = runtime.block_on(make()) {
        assert!(began.elapsed() < Duration::from_secs(60), "{error}");
    }
}

const PLAN: Plan<'_> =
    Plan { faults: 0, blows: &ALL, boards: 20, halted: 2 * AGAIN, fault: Fault::None };

#[test]
fn faults_of_gateways_and_servers_lose_and_double_nothing() {
    let Some(ledger) = run(Plan { faults: failovers(), ..PLAN }) else { return };
    assert_eq!(ledger, Ledger::default());
}

#[test]
fn gateways_that_are_cut_off_from_the_store_lose_and_double_nothing() {
    let Some(ledger) = run(Plan { faults: failovers() / 4, blows: &[CutOff], ..PLAN }) else {
        return;
    };
    assert_eq!(ledger, Ledger::default());
}

/// A gateway that stood still knows sessions of before, in which numbers of new lines are those of old ones.
const ZOMBIES: Plan<'_> = Plan { boards: 6, blows: &[Halt], halted: 8000, ..PLAN };

#[test]
fn gateways_that_stood_still_while_their_boards_went_on_lose_and_double_nothing() {
    let Some(ledger) = run(Plan { faults: failovers() / 2, ..ZOMBIES }) else { return };
    assert_eq!(ledger, Ledger::default());
}

#[test]
fn a_gateway_that_acknowledges_before_its_record_is_in_the_stream_is_found_out() {
    let fault = Fault::Eager;
    let plan = Plan { faults: failovers() / 2, blows: &[Kill], fault, ..PLAN };
    let Some(ledger) = run(plan) else { return };
    assert_ne!(ledger, Ledger::default(), "the fault was not found");
    println!("found: {ledger:?}");
}

#[test]
fn a_gateway_that_goes_on_although_it_was_replaced_is_found_out() {
    let fault = Fault::Obstinate;
    // Two of three gateways: one that goes on never stands by again.
    let Some(ledger) = run(Plan { faults: 2, fault, ..ZOMBIES }) else { return };
    assert_ne!(ledger, Ledger::default(), "the fault was not found");
    println!("found: {ledger:?}");
}
