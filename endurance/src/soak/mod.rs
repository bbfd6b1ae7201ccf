//! A server on disk, boards that write all the time, and faults at random instants.

mod faults;
mod outcome;
mod simulators;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use fastrand::Rng;
use tokio::runtime::Runtime;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

pub use self::outcome::{Outcome, Progress};

use self::simulators::{Simulators, simulated};
use crate::board::TIMEOUT;
use crate::crowd::{self, Boards, Crowd};
use crate::process::{Server, Signal, Used};
use crate::proxy::Proxy;
use crate::wall::{self, Walls};
use crate::{secure, store};

/// Time that the boards have for what is left, at the end, without any line.
const PATIENCE: Duration = Duration::from_secs(120);

/// Time between two looks at what the server uses.
const LOOK: Duration = Duration::from_millis(500);

/// Time until the first report of progress.
const FIRST_REPORT: Duration = Duration::from_secs(2);

/// Time between two reports of progress.
const REPORT: Duration = Duration::from_secs(10);

/// The name of the server's clock.
const CLOCK: &str = "server";

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
    /// Time between two bursts of lines of a board.
    pub pause: Duration,
    /// The faults and what the boards write.
    pub seed: u64,
    /// The most that the server may use.
    pub most: Used,
    /// A fault that has to be found: after a kill the log is as it was at an earlier one, as on a disk that forgets.
    pub forgets: bool,
}

impl Options {
    /// Returns the most descriptors that a server of these boards needs.
    pub fn enough_descriptors(&self) -> usize {
        200 + 4 * ((self.boards + self.keyed) as usize + self.simulators)
    }
}

impl Default for Options {
    fn default() -> Self {
        let options = Self {
            time: Duration::from_secs(600),
            boards: 12,
            keyed: 4,
            simulators: 2,
            pause: Duration::from_millis(100),
            seed: 0,
            most: Used { memory: 96 << 20, descriptors: 0 },
            forgets: false,
        };
        let descriptors = options.enough_descriptors();
        Self { most: Used { descriptors, ..options.most }, ..options }
    }
}

/// A soak: what it runs, and where.
#[derive(Debug)]
pub struct Soak {
    program: PathBuf,
    folder: PathBuf,
    options: Options,
    end: CancellationToken,
    give_up: CancellationToken,
}

impl Soak {
    /// Returns one that runs this `pblink` program in an empty folder.
    pub fn new(program: &Path, folder: &Path, options: Options) -> Self {
        let (end, give_up) = (CancellationToken::new(), CancellationToken::new());
        Self { program: program.to_owned(), folder: folder.to_owned(), options, end, give_up }
    }

    /// Returns what ends it before its time when it is cancelled: the boards write no more, and all that they wrote counts.
    pub fn end(&self) -> CancellationToken {
        self.end.clone()
    }

    /// Returns what ends it at once when it is cancelled: nothing is waited for.
    pub fn give_up(&self) -> CancellationToken {
        self.give_up.clone()
    }

    /// Runs it. `progress` is called about each ten seconds.
    ///
    /// # Errors
    /// If the server cannot be started, or files of the folder cannot be written.
    pub fn run(self, progress: impl FnMut(&Progress)) -> Result<Outcome, String> {
        let (state, options) = (self.folder.join("state"), &self.options);
        let failed = |error: std::io::Error| format!("{}: {error}", self.folder.display());
        let keys = secure::keys(options.keyed, options.seed);
        let boards = (0..options.boards).map(|n| format!("board {n}"));
        let classic: Vec<_> = boards.chain((0..options.simulators).map(simulated)).collect();
        let settings = secure::write_keys(&self.folder, &keys, &classic).map_err(failed)?;
        let walls = Walls::find(&self.folder, &[CLOCK]).map_err(failed)?;
        let place = Place { program: self.program.clone(), state: state.clone(), settings, walls };
        let server = place.start((Ipv4Addr::LOCALHOST, 0).into())?;
        let network = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        let network = network.map_err(failed)?;
        let proxy = network.block_on(Proxy::start(server.address())).map_err(failed)?;
        let keyed = keys.into_iter().map(|keys| keys.board).collect();
        let boards = Boards {
            classic: options.boards,
            keyed,
            pause: options.pause,
            give_up: self.give_up.clone(),
            ..Boards::default()
        };
        let crowd = Crowd::of(proxy.address(), boards, options.seed);
        let simulators = Simulators::start(&self.program, proxy.address(), options.simulators)
            .map_err(failed)?;
        let mut work = Work {
            options,
            earlier: self.folder.join("earlier"),
            outcome: Outcome::of(options, place.walls.is_some()),
            place,
            random: Rng::with_seed(options.seed),
            network,
            proxy,
            server: Some(server),
            faults: 0,
            began: Instant::now(),
            report: FIRST_REPORT,
            end: self.end.clone(),
            progress,
        };
        // Whoever gives up ends it, too.
        let gives_up = work.network.spawn({
            let (end, give_up) = (self.end.clone(), self.give_up.clone());
            async move {
                give_up.cancelled().await;
                end.cancel();
            }
        });
        if let Err(why) = work.soak(|| crowd.passed()) {
            work.outcome.problems.push(why);
        }
        gives_up.abort();
        work.outcome.seconds = work.began.elapsed().as_secs();
        work.outcome.problems.extend(simulators.finish());
        let is_over = options.forgets || work.server.is_none() || !work.outcome.problems.is_empty();
        let accounts = crowd.finish(if is_over { 5 * TIMEOUT } else { PATIENCE });
        let mut outcome = work.stop(self.give_up.is_cancelled());
        let lines = store::lines(&state).map_err(|error| error.to_string());
        let texts = lines.and_then(|lines| {
            outcome.lines = lines.len();
            store::by_client(lines)
        });
        match texts {
            Ok(texts) => outcome.ledger = crowd::judge(&accounts, Some(texts)),
            Err(why) => outcome.problems.push(format!("the log cannot be read: {why}")),
        }
        Ok(outcome)
    }
}

/// Program and files of a server.
#[derive(Debug)]
struct Place {
    program: PathBuf,
    state: PathBuf,
    /// Its settings, beside which its keys are.
    settings: PathBuf,
    /// Its clock, where there are such.
    walls: Option<Walls>,
}

impl Place {
    fn start(&self, address: SocketAddr) -> Result<Server, String> {
        Server::start(&self.program, &self.state, address, |command| {
            let variables = self.walls.as_ref().map(Walls::variables);
            for (name, value) in variables.into_iter().flatten() {
                command.env(name, value.replace(wall::NAME, CLOCK));
            }
            command.args(["--app", "echo", "--config"]).arg(&self.settings)
        })
    }
}

/// A soak at work.
struct Work<'a, F> {
    options: &'a Options,
    place: Place,
    /// The log as it was at the first kill.
    earlier: PathBuf,
    random: Rng,
    network: Runtime,
    proxy: Proxy,
    /// `None` once it has ended by itself, and between a kill and the next start.
    server: Option<Server>,
    outcome: Outcome,
    /// Faults so far.
    faults: usize,
    began: Instant,
    /// Time of the next report of progress.
    report: Duration,
    end: CancellationToken,
    progress: F,
}

impl<F: FnMut(&Progress)> Work<'_, F> {
    fn soak(&mut self, passed: impl Fn() -> u64) -> Result<(), String> {
        // A short one has many faults, a long one time for whatever grows.
        let pause =
            (self.options.time / 100).clamp(Duration::from_millis(200), Duration::from_secs(20));
        while self.began.elapsed() < self.options.time && !self.end.is_cancelled() {
            let part = 0.2 + 1.6 * self.random.f64();
            self.wait(pause.mul_f64(part), &passed)?;
            if !self.end.is_cancelled() {
                self.fault()?;
            }
        }
        Ok(())
    }

    /// Lets time pass, and looks at what the server uses.
    fn wait(&mut self, pause: Duration, passed: impl Fn() -> u64) -> Result<(), String> {
        let until = Instant::now() + pause;
        loop {
            self.look()?;
            let time = self.began.elapsed();
            if time >= self.report {
                self.report = time + REPORT;
                let passed = passed();
                (self.progress)(&Progress { time, passed, outcome: &self.outcome });
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || self.pass(left.min(LOOK)) {
                return Ok(());
            }
        }
    }

    /// Lets this time pass, or less. Returns true if the end is wanted.
    fn pass(&self, time: Duration) -> bool {
        // The instant is the fault.
        self.network.block_on(async { timeout(time, self.end.cancelled()).await.is_ok() })
    }

    fn look(&mut self) -> Result<(), String> {
        if let Some(server) = &mut self.server {
            server.runs()?;
            let used = server.used();
            self.outcome.note(used, self.began.elapsed(), self.options);
        }
        Ok(())
    }

    fn stop(mut self, at_once: bool) -> Outcome {
        let stopped = match self.server.take() {
            // It may wait for what it has forgotten.
            Some(server) if at_once || self.options.forgets => server.kill(),
            Some(server) => server.stop(Signal::TERM).map(drop),
            None => Ok(()),
        };
        if let Err(why) = stopped
            && !self.outcome.problems.contains(&why)
        {
            self.outcome.problems.push(why);
        }
        self.outcome
    }
}
