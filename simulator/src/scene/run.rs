//! Runs of a scene, and their judgement.

use std::panic::{AssertUnwindSafe, catch_unwind};

use pblink_protocol::delivery::Delivery;
use pblink_protocol::time::{Duration, Instant};
use serde::Serialize;

use super::demand::{Demand, Unmet};
use super::fault::{Kind, When};
use super::{Scene, exception};
use crate::flaw::Flaw;
use crate::ledger::Totals;
use crate::world::{World, WorldOptions};

/// The most cases of one scene.
pub const MOST_CASES: u64 = 20_000;

/// The outcome of a scene: all of its cases, or those up to the first that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Runs: one for each seed, and for each step at which a fault was injected.
    pub cases: u64,
    /// Faults in all of them.
    pub faults: u64,
    /// Time that passed in all of them, in ms.
    pub simulated_ms: u64,
    /// The accounts of all of them.
    pub totals: Totals,
    /// The first case that failed.
    pub failure: Option<Failure>,
}

/// A case that has failed. The same file fails again in the same way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// The seed of the case.
    pub seed: u64,
    /// The times of its faults, in µs since the start.
    pub faults_at_us: Vec<u64>,
    /// The time of the first line that was not as it should be; if there is none, the end. In µs.
    pub at_us: u64,
    /// The first such line, if there is one.
    pub line: Option<String>,
    /// The demand that is not met.
    pub demand: Demand,
    /// The same, with its figures.
    pub what: String,
}

/// The end of a case.
enum Case {
    /// Its step of this fault is later than the last one.
    Past(usize),
    Over(Box<World>, Vec<Instant>, Result<(), Unmet>),
    /// A machine has panicked, with this message.
    Panicked(Vec<Instant>, String),
}

/// Runs all cases, and shows the sums after each.
pub(super) fn run(scene: &Scene, flaw: Option<Flaw>, mut each: impl FnMut(&Report)) -> Report {
    let mut report =
        Report { cases: 0, faults: 0, simulated_ms: 0, totals: Totals::default(), failure: None };
    for seed in (0..scene.seeds).map(|n| scene.options.seed + n) {
        let mut steps = vec![0; scene.faults.len()];
        loop {
            match caught(scene, seed, &steps, flaw) {
                Case::Panicked(times, message) => {
                    report.cases += 1;
                    report.faults += times.len() as u64;
                    report.failure = Some(Failure {
                        seed,
                        at_us: times.last().copied().unwrap_or_default().as_micros(),
                        faults_at_us: times.iter().map(|at| at.as_micros()).collect(),
                        line: None,
                        demand: Demand::Panic,
                        what: message,
                    });
                    return report;
                }
                Case::Over(world, times, result) => {
                    report.add(scene, *world, seed, &times, result);
                    if report.failure.is_some() {
                        return report;
                    }
                    each(&report);
                    // The last of the faults goes on to its next step.
                    match scene.faults.iter().rposition(|f| matches!(f.when, When::EachStep(..))) {
                        Some(last) => steps[last] += 1,
                        None => break,
                    }
                }
                Case::Past(fault) => {
                    steps[fault] = 0;
                    let stepping = |n: &usize| matches!(scene.faults[*n].when, When::EachStep(..));
                    match (0..fault).rev().find(stepping) {
                        Some(before) => steps[before] += 1,
                        None => break,
                    }
                }
            }
        }
    }
    report
}

/// Runs one case. A machine that panics is one that fails.
fn caught(scene: &Scene, seed: u64, steps: &[u64], flaw: Option<Flaw>) -> Case {
    let mut times = Vec::new();
    let ended = catch_unwind(AssertUnwindSafe(|| case(scene, seed, steps, flaw, &mut times)));
    ended.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        Case::Panicked(times, format!("panic: {}", text.unwrap_or("without a message")))
    })
}

/// Runs one case: fault `n` is injected at step `steps[n]` of its time. The times of faults go into `times`, too.
fn case(
    scene: &Scene,
    seed: u64,
    steps: &[u64],
    flaw: Option<Flaw>,
    times: &mut Vec<Instant>,
) -> Case {
    let mut world = World::new(WorldOptions { seed, ..scene.options.clone() });
    let mut pause = Pause::default();
    if let Some(flaw) = flaw.filter(|flaw| *flaw != Flaw::Silent) {
        world.plant(flaw);
    }
    for (n, fault) in scene.faults.iter().enumerate() {
        if let Err(unmet) = pause.judge(scene, &mut world, fault.begins()) {
            return Case::Over(Box::new(world), std::mem::take(times), Err(unmet));
        }
        world.run(fault.begins().since(world.now()));
        if let When::EachStep(_, to) = fault.when {
            // A fault before it may have come later than its time.
            if world.now() > to {
                return Case::Past(n);
            }
            for _ in 0..steps[n] {
                if !world.run_step(to) {
                    return Case::Past(n);
                }
            }
        }
        fault.inject(&mut world);
        times.push(world.now());
        pause.hurt(fault.kind, world.now() + fault.length);
    }
    if let Some(flaw) = flaw.filter(|flaw| *flaw == Flaw::Silent) {
        world.plant(flaw);
    }
    let result = judge(scene, &mut world);
    Case::Over(Box::new(world), std::mem::take(times), result)
}

/// The time in which no fault lasts: new lines pass in each that is long enough, not only at the end.
#[derive(Debug, Default)]
struct Pause {
    since: Instant,
    /// A program takes no lines: they need not pass.
    held_off: bool,
}

impl Pause {
    /// Notes a fault that lasts until `end`.
    fn hurt(&mut self, kind: Kind, end: Instant) {
        self.since = self.since.max(end);
        match kind {
            Kind::ProgramStopsReading => self.held_off = true,
            Kind::ProgramReads => self.held_off = false,
            _ => {}
        }
    }

    /// Lets the time pass in which new lines must pass again, if that is over before the next fault, at `next`.
    fn judge(&self, scene: &Scene, world: &mut World, next: Instant) -> Result<(), Unmet> {
        let end = self.since + scene.back;
        if self.since == Instant::ZERO || self.held_off || end > next {
            return Ok(());
        }
        world.run(self.since.since(world.now()));
        let marks = marks(scene, world);
        world.run((end - PROGRESS).since(world.now()));
        let before = newest(scene, world);
        world.run(end.since(world.now()));
        match all_pass(scene, world, &marks) || all_went_on(scene, world, &before) {
            true => Ok(()),
            false => {
                let what = format!("no new lines pass, {} after a fault", scene.back);
                Err(Unmet::new(Demand::LinesPass, what))
            }
        }
    }
}

/// Time within which some line arrives where a queue is long, the disk slow and the network slower: what waits in a board may take
/// longer than any patience, and it has to get less.
const PROGRESS: Duration = Duration::from_secs(60);

/// Returns the newest lines that have arrived, of each board and of the server to it.
fn newest(scene: &Scene, world: &World) -> Vec<[Option<u64>; 2]> {
    let of = |board| {
        let (outward, inward) = world.ledgers(board);
        [outward.newest(), inward.newest()]
    };
    (0..scene.options.boards).map(of).collect()
}

/// Returns true if lines have arrived since `before`, for all boards and both ways.
fn all_went_on(scene: &Scene, world: &World, before: &[[Option<u64>; 2]]) -> bool {
    let writes = scene.options.server_writes.is_some();
    let now = newest(scene, world);
    now.iter()
        .zip(before)
        .all(|(now, before)| now[0] > before[0] && (!writes || now[1] > before[1]))
}

/// Returns the numbers of lines that each board, and the server to it, have written.
fn marks(scene: &Scene, world: &World) -> Vec<[u64; 2]> {
    (0..scene.options.boards).map(|board| written(world, board)).collect()
}

/// Returns true if lines that were written after `marks` have arrived, for all boards.
fn all_pass(scene: &Scene, world: &World, marks: &[[u64; 2]]) -> bool {
    marks.iter().enumerate().all(|(board, marks)| passes(scene, world, board, *marks))
}

/// Lets the rest of a case pass, and says what does not hold: new lines pass, all arrive once and in order but for the exceptions that
/// are allowed, and resets and connections are as many as they must be.
fn judge(scene: &Scene, world: &mut World) -> Result<(), Unmet> {
    let marks = marks(scene, world);
    world.run((Instant::ZERO + scene.length).since(world.now()));
    let end = world.now() + scene.back;
    let mut before = (world.now(), newest(scene, world));
    while !all_pass(scene, world, &marks) {
        if world.now() >= before.0 + PROGRESS {
            if world.now() >= end && all_went_on(scene, world, &before.1) {
                break;
            }
            before = (world.now(), newest(scene, world));
        }
        if world.now() >= end + PROGRESS {
            let what = format!("no new lines pass, {} after the end of `for`", scene.back);
            return Err(Unmet::new(Demand::LinesPass, what));
        }
        world.run(Duration::from_secs(1));
    }
    let mut arrived = world.totals().arrived;
    while !world.settle(scene.arrive) && world.totals().arrived > arrived {
        arrived = world.totals().arrived;
    }
    // Repetitions come within two and a half time-outs, or never.
    world.run(scene.options.timeout.times(5));
    let waits = scene.options.pair.program.delivery == Delivery::ORDERED;
    for board in 0..scene.options.boards {
        let keys = scene.options.keys.is_some();
        let stalls = scene.stalls();
        exception::check(world, board, &scene.faults, &scene.allows, (keys, waits, stalls))
            .map_err(|unmet| unmet.of_board(board))?;
        for (demand, name, count, range) in [
            (Demand::Resets, "resets", world.resets(board), scene.resets),
            (Demand::Connects, "connections", world.connects(board), scene.connects),
            (Demand::Outages, "outages", world.outages(board), scene.outages),
        ] {
            if let Some((least, most)) = range.filter(|(l, m)| !(*l..=*m).contains(&count)) {
                let what = format!("{count} {name}, and {least} to {most} must be");
                return Err(Unmet::new(demand, what).of_board(board));
            }
        }
    }
    for board in scene.undisturbed.iter().copied() {
        let seen = (world.resets(board), world.connects(board), world.outages(board));
        if seen != (0, 1, 0) {
            let (resets, connects, outages) = seen;
            let what = format!(
                "it is disturbed: {resets} resets, {connects} connections, {outages} outages"
            );
            return Err(Unmet::new(Demand::Undisturbed, what).of_board(board));
        }
    }
    Ok(())
}

/// Returns the numbers of lines written to the server and by it.
fn written(world: &World, board: usize) -> [u64; 2] {
    let (outward, inward) = world.ledgers(board);
    [outward, inward].map(|ledger| ledger.totals().written)
}

/// Returns true if lines that were written after `marks` have arrived.
fn passes(scene: &Scene, world: &World, board: usize, marks: [u64; 2]) -> bool {
    let (outward, inward) = world.ledgers(board);
    outward.newest() >= Some(marks[0])
        && (scene.options.server_writes.is_none() || inward.newest() >= Some(marks[1]))
}

impl Report {
    fn add(
        &mut self,
        scene: &Scene,
        world: World,
        seed: u64,
        times: &[Instant],
        result: Result<(), Unmet>,
    ) {
        self.cases += 1;
        self.faults += times.len() as u64;
        self.simulated_ms += world.now().as_millis();
        self.totals = self.totals.plus(&world.totals());
        let result = result.and_then(|()| match self.cases > MOST_CASES {
            true => {
                let what =
                    format!("there are more than {MOST_CASES} cases: make `each-step` shorter");
                Err(Unmet::new(Demand::Cases, what))
            }
            false => Ok(()),
        });
        if let Err(Unmet { demand, what }) = result {
            let wrong = (0..scene.options.boards).flat_map(|board| world.first_wrong(board));
            let wrong = wrong.flatten().min_by_key(|wrong| wrong.at);
            self.failure = Some(Failure {
                seed,
                faults_at_us: times.iter().map(|at| at.as_micros()).collect(),
                at_us: wrong.as_ref().map_or(world.now(), |wrong| wrong.at).as_micros(),
                line: wrong.map(|wrong| wrong.what),
                demand,
                what,
            });
        }
    }
}
