//! A server on disk, boards that write all the time, and faults at random instants: kills, halts, cuts.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use fastrand::Rng;
use rustix::process::{Pid, Signal, kill_process};

use crate::board::TIMEOUT;
use crate::crowd::{self, Boards, Crowd};
use crate::ledger::Ledger;
use crate::process::{Server, Used, program};
use crate::proxy::Proxy;
use crate::{secure, store};

/// The longest time for which the server is halted: longer than the link's time-out.
const HALT: u64 = 2500;

/// Time that the boards have for what is left, at the end.
const PATIENCE: Duration = Duration::from_secs(120);

/// A soak to be done.
#[derive(Debug, Clone)]
pub struct Options {
    /// Time for which boards write and faults happen.
    pub time: Duration,
    /// Boards that write as fast as their echoes come.
    pub boards: u64,
    /// Boards beside them that have keys.
    pub keyed: u64,
    /// `pblink simulate` processes beside them.
    pub simulators: usize,
    /// The faults and what the boards write.
    pub seed: u64,
    /// The most that the server may use.
    pub most: Used,
    /// A fault that has to be found: after a kill the log is as it was at an earlier one, as on a disk that forgets.
    pub forgets: bool,
}

/// Result of a soak.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The boards' ledger.
    pub ledger: Ledger,
    /// Anything else that is wrong, in words.
    pub problems: Vec<String>,
    /// Lines in the log.
    pub lines: usize,
    /// Times that the server was killed.
    pub kills: u32,
    /// Times that it was halted.
    pub halts: u32,
    /// Connections that were cut.
    pub cuts: usize,
    /// The most that a server has used.
    pub used: Used,
}

impl Outcome {
    /// Returns true if nothing was lost, doubled, in disorder or beyond its bounds.
    pub fn is_clean(&self) -> bool {
        self.ledger == Ledger::default() && self.problems.is_empty()
    }
}

/// A soak at work.
struct Soak<'a> {
    options: &'a Options,
    state: &'a Path,
    /// The server's settings, beside which its keys are.
    settings: &'a Path,
    /// The log as it was at the first kill.
    earlier: &'a Path,
    random: Rng,
    proxy: Proxy,
    /// `None` between a kill and the next start only.
    server: Option<Server>,
    outcome: Outcome,
    /// Faults so far, up to 255.
    faults: u8,
}

/// Runs a soak in an empty folder.
///
/// # Panics
/// If a server does not start, or ends by itself.
pub fn run(options: &Options, folder: &Path) -> Outcome {
    let (state, earlier) = (folder.join("state"), folder.join("earlier"));
    let keys = secure::keys(options.keyed, options.seed);
    let boards = (0..options.boards).map(|n| format!("board {n}"));
    let classic: Vec<_> = boards.chain((0..options.simulators).map(simulated)).collect();
    let settings = secure::write_keys(folder, &keys, &classic).expect("a file");
    let server = start(&state, &settings, "127.0.0.1:0".parse().expect("an address"));
    let network = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let network = network.expect("threads");
    let proxy = network.block_on(Proxy::start(server.address())).expect("a port");
    let keyed = keys.into_iter().map(|keys| keys.board).collect();
    let boards = Boards { classic: options.boards, keyed, ..Boards::default() };
    let crowd = Crowd::of(proxy.address(), boards, options.seed);
    let simulators: Vec<_> = (0..options.simulators).map(|n| simulator(&proxy, n)).collect();
    let mut soak = Soak {
        options,
        state: &state,
        settings: &settings,
        earlier: &earlier,
        random: Rng::with_seed(options.seed),
        proxy,
        server: Some(server),
        outcome: Outcome::default(),
        faults: 0,
    };
    let began = Instant::now();
    // A short one has many faults, a long one time for whatever grows.
    let pause = (options.time / 100).clamp(Duration::from_millis(200), Duration::from_secs(20));
    while began.elapsed() < options.time {
        let part = 0.2 + 1.6 * soak.random.f64();
        soak.wait(pause.mul_f64(part));
        soak.fault();
    }
    for (n, simulator) in simulators.into_iter().enumerate() {
        soak.finish_simulator(n, simulator);
    }
    let patience = if options.forgets { 5 * TIMEOUT } else { PATIENCE };
    let accounts = crowd.finish(patience);
    let mut outcome = soak.stop();
    match store::lines(&state) {
        Ok(lines) => {
            outcome.lines = lines.len();
            outcome.ledger = crowd::judge(&accounts, Some(store::by_client(lines)));
        }
        Err(error) => outcome.problems.push(format!("the log cannot be read: {error}")),
    }
    outcome
}

fn start(state: &Path, settings: &Path, address: SocketAddr) -> Server {
    Server::start_with(state, address, |command| {
        command.args(["--app", "echo", "--config"]).arg(settings)
    })
}

/// Returns the id of a simulated board.
fn simulated(n: usize) -> String {
    format!("simulated {n}")
}

fn simulator(proxy: &Proxy, n: usize) -> Child {
    Command::new(program())
        .args(["simulate", "--client", &simulated(n), "--every", "50ms", "--timeout"])
        .arg(format!("{}ms", TIMEOUT.as_millis()))
        .args(["--json", "--server", &proxy.address().to_string()])
        .current_dir(std::env::temp_dir())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the simulator starts")
}

impl Soak<'_> {
    fn server(&self) -> &Server {
        self.server.as_ref().expect("it runs")
    }

    /// Lets time pass, and looks at what the server uses.
    fn wait(&mut self, pause: Duration) {
        let until = Instant::now() + pause;
        loop {
            self.look();
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            // The instant is the fault.
            std::thread::sleep(left.min(Duration::from_millis(500)));
        }
    }

    fn look(&mut self) {
        let used = self.server().used();
        let (most, before) = (self.options.most, self.outcome.used);
        if used.memory > most.memory && before.memory <= most.memory {
            let (is, may) = (used.memory >> 20, most.memory >> 20);
            self.outcome.problems.push(format!("the server uses {is} MB, and may {may}"));
        }
        if used.descriptors > most.descriptors && before.descriptors <= most.descriptors {
            let (is, may) = (used.descriptors, most.descriptors);
            self.outcome.problems.push(format!("the server has {is} descriptors, and may {may}"));
        }
        self.outcome.used = before.max(used);
    }

    fn fault(&mut self) {
        // Each kind once, and then any. What a disk forgets shows after kills.
        let kind = match self.faults {
            _ if self.options.forgets => 0,
            first @ 0..3 => 3 * first,
            _ => self.random.u8(..10),
        };
        self.faults = self.faults.saturating_add(1);
        match kind {
            0..3 => self.kill(),
            3..6 => {
                self.server().signal(Signal::STOP);
                std::thread::sleep(Duration::from_millis(self.random.u64(20..HALT)));
                self.server().signal(Signal::CONT);
                self.outcome.halts += 1;
            }
            _ => {
                let random = &mut self.random;
                self.outcome.cuts += self.proxy.cut(|| random.bool());
            }
        }
    }

    fn kill(&mut self) {
        let server = self.server.take().expect("it runs");
        let address = server.address();
        server.kill();
        self.outcome.kills += 1;
        if self.options.forgets {
            self.forget();
        }
        self.server = Some(start(self.state, self.settings, address));
    }

    /// Keeps the log at the first kill, and brings it back at the third.
    fn forget(&mut self) {
        match self.outcome.kills {
            1 => store::copy(self.state, self.earlier).expect("a copy"),
            3 => {
                std::fs::remove_dir_all(self.state).expect("the log goes");
                store::copy(self.earlier, self.state).expect("a copy");
            }
            _ => {}
        }
    }

    /// Ends a simulated board in order: its own ledger says whether all is well.
    fn finish_simulator(&mut self, n: usize, mut simulator: Child) {
        let pid = Pid::from_raw(simulator.id().cast_signed()).expect("a process");
        let status = kill_process(pid, Signal::INT).map_err(std::io::Error::from);
        match status.and_then(|()| simulator.wait()) {
            Ok(status) if status.success() => {}
            Ok(status) => self
                .outcome
                .problems
                .push(format!("simulated board {n} ended with {status}: its ledger is not clean")),
            Err(error) => self.outcome.problems.push(format!("simulated board {n}: {error}")),
        }
    }

    fn stop(mut self) -> Outcome {
        self.look();
        if let Some(server) = self.server.take() {
            match self.options.forgets {
                // It may wait for what it has forgotten.
                true => server.kill(),
                false => drop(server.stop(Signal::TERM)),
            }
        }
        self.outcome
    }
}
