//! One run: everything in it follows from its seed.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use fastrand::Rng;
use pblink_protocol::config::{Config, DEFAULT_PORT};
use pblink_protocol::time::{Duration, Instant};
use pblink_secure_suite::issue::issue;
use pblink_secure_suite::keys::{Id, Secret};
use pblink_secure_suite::random::Random;
use pblink_server::{Keys, simulated};
use pblink_simulator::{Fault, Pair, PairKeys, PairOptions, ProgramOptions, Totals};

use super::board::Board;
use super::faults::hurt;
use super::net::{Net, NetOptions};
use super::process::Plan;
use super::stage::{Flaw, Stage};
use super::world::World;

/// The wall clock at the beginning, in milliseconds since the Unix epoch.
const WALL: u64 = 1_800_000_000_000;

/// The time within which everything has arrived after the last fault. Two handshakes of a board with keys may be 60 s apart.
const LATE: Duration = Duration::from_secs(120);

/// The kind of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// Boards have keys.
    pub keys: bool,
    /// The application commits, and its process is killed.
    pub commits: bool,
    pub flaw: Option<Flaw>,
}

impl Kind {
    /// Returns the kind of the run with this seed. Cryptography takes most of the time of one with keys.
    pub const fn of(seed: u64) -> Self {
        Self { keys: seed % 4 == 3, commits: seed / 4 % 2 == 1, flaw: None }
    }
}

/// The outcome of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    pub totals: Totals,
    pub failures: Vec<String>,
    pub faults: Vec<String>,
    /// The state at the end.
    pub standing: String,
    pub took: Duration,
    pub late: Option<Duration>,
    pub starts: u32,
    pub events: (u64, u64),
    /// A digest of all that has arrived anywhere, and when, and of all events.
    pub trace: u64,
}

impl Outcome {
    /// Returns what is wrong, if something is.
    pub fn wrong(&self) -> Option<String> {
        let settled = self.late.is_some();
        let clean = settled && self.totals.is_clean() && self.failures.is_empty();
        (!clean).then(|| {
            let Self { totals, failures, faults, standing, .. } = self;
            let faults = faults.join("\n");
            format!("{totals:?}, settled: {settled}, {failures:?}\n{faults}\n{standing}")
        })
    }
}

/// Numbers that follow from a seed. What is drawn from them is secret from nobody.
struct Seeded(Rng);

impl Random for Seeded {
    fn fill(&mut self, out: &mut [u8]) {
        self.0.fill(out);
    }
}

/// The wall clock of a run: what it is ahead of the time that passes, in milliseconds.
pub type Wall = Rc<Cell<u64>>;

/// Does something with a world of this seed, and returns what it gives.
pub fn simulate<R>(
    seed: u64,
    kind: Kind,
    f: impl AsyncFnOnce(&mut World, &mut Rng, &Wall) -> R,
) -> R {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .expect("a runtime");
    let mut rng = Rng::with_seed(seed);
    let wall = Wall::new(Cell::new(WALL));
    runtime.block_on(async {
        let (clock, began) = (Rc::clone(&wall), tokio::time::Instant::now());
        let mut random = rng.fork();
        let _guard = simulated::enter(
            move || clock.get() + began.elapsed().as_millis() as u64,
            move |out| random.fill(out),
        );
        let mut world = world(&mut rng, kind).await;
        f(&mut world, &mut rng, &wall).await
    })
}

async fn world(rng: &mut Rng, kind: Kind) -> World {
    let timeout = Duration::from_millis([500, 1000, 2000, 2000, 5000][rng.usize(0..5)]);
    let net = Net::new(
        NetOptions {
            latency: (500, [2_000, 20_000, timeout.as_micros() / 8][rng.usize(0..3)]),
            buffers: ([512, 4096, 65_536][rng.usize(0..3)], [512, 4096, 65_536][rng.usize(0..3)]),
            stingy: rng.bool(),
        },
        rng.fork(),
    );
    let own = Secret::draw(&mut Seeded(rng.fork()));
    let mut keys = Keys::new().classic(["guest"]);
    let every = |rng: &mut Rng| Duration::from_millis([60, 300, 700, 2000][rng.usize(0..4)]);
    let boards: Vec<Board> = (1..=rng.usize(1..4))
        .map(|n| {
            let config = config(&format!("{n}"), timeout);
            let mut options = PairOptions {
                seed: rng.u64(..),
                program: ProgramOptions {
                    every: every(rng),
                    padding: [0, 40, 400][rng.usize(0..3)],
                    ..ProgramOptions::default()
                },
                ..PairOptions::default()
            };
            if kind.keys {
                let id = Id::new(&config.id).expect("a number can be an id");
                let issued = issue(&id, 1, &own, &mut Seeded(rng.fork()));
                keys = std::mem::take(&mut keys).board(issued.server);
                options.keys = Some(PairKeys::seeded(issued.board, issued.seed));
            }
            Board::new(Pair::new(&config, options, Instant::ZERO).expect("a valid configuration"))
        })
        .collect();
    let accounts = boards.iter().map(|it| (it.id.clone(), Arc::clone(&it.accounts))).collect();
    // A good disk, a busy one, and one that stalls for longer than the time-out.
    let commit = [5_000, 300_000, 5_000_000][rng.usize(0..3)];
    let lines = (every(rng), [0, 40, 400][rng.usize(0..3)]);
    let stage = Stage::new(net.clone(), accounts, lines, kind.flaw, commit, rng.fork());
    let plan = Plan { timeout, commits: kind.commits, keys: kind.keys.then_some(keys) };
    World::new(net, rng.fork(), boards, Arc::new(stage), plan).await
}

fn config(id: &str, timeout: Duration) -> Config {
    Config {
        id: id.try_into().unwrap_or_default(),
        port: DEFAULT_PORT,
        server: "10.0.0.1".try_into().unwrap_or_default(),
        timeout_ms: timeout.as_millis() as u32,
        report_s: 10,
        ssid: "net".try_into().unwrap_or_default(),
        password: "password".try_into().unwrap_or_default(),
    }
}

/// Lets the world live through faults, and then until everything has arrived.
pub fn run(seed: u64, kind: Kind) -> Outcome {
    simulate(seed, kind, async |world, rng, wall| {
        // Long enough for the boards to start.
        world.run(Duration::from_secs(3)).await;
        for _ in 0..rng.usize(5..25) {
            world.run(Duration::from_micros(rng.u64(10_000..6_000_000))).await;
            hurt(world, rng, kind, wall).await;
        }
        let late = world.settle(LATE).await;
        // A look at what is left: guests have gone, and connections that were forgotten are noticed. A report may be waiting.
        world.run(Duration::from_secs(20)).await;
        let (connections, waiting) = world.load();
        if late.is_some() && (connections > world.boards.len() || waiting > 1024) {
            world.stage.fail(format!("{connections} connections, {waiting} bytes are left"));
        }
        let resets: u32 = world.boards.iter().map(|board| board.pair.resets()).sum();
        if !kind.keys && resets > 0 {
            world.stage.fail(format!("boards have reset their ESP8266s {resets} times"));
        }
        let inner = world.stage.lock();
        Outcome {
            totals: world.totals(),
            failures: inner.failures.clone(),
            faults: inner.faults.clone(),
            standing: world.standing(),
            took: world.now.since(Instant::ZERO),
            late,
            starts: world.starts,
            events: inner.events,
            trace: world.net.trace(),
        }
    })
}

/// Lets a board's ESP8266 or its program fail. Only boards with keys lose nothing by it.
pub fn crash(world: &mut World, rng: &mut Rng, board: usize) {
    let fault = match rng.u8(0..4) {
        0 => Fault::Crash,
        1 => Fault::Restart,
        2 => Fault::Hang(Duration::from_millis(rng.u64(50..9000))),
        _ => Fault::HostRestart,
    };
    world.inject(board, fault);
}
