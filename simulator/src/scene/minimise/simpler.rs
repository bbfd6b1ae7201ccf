//! Simpler settings and times.

use pblink_protocol::time::{Duration, Instant};

use super::super::fault::{Kind, When};
use super::super::{PATIENCE, Scene};
use super::{MOMENT, Search, end_of};
use crate::world::WorldOptions;

/// The time at which boards are up.
const UP: Duration = Duration::from_secs(4);

/// Times to which others are rounded, from the coarsest on.
const GRAINS: [Duration; 5] = [
    Duration::from_secs(5),
    Duration::from_secs(1),
    Duration::from_millis(100),
    Duration::from_millis(10),
    MOMENT,
];

/// A setting that goes back to its usual value.
type Simplify = fn(&mut Scene, &WorldOptions);

/// All settings. Those that let less happen come first, and none undoes what another has done.
const SETTINGS: [Simplify; 12] = [
    |scene, _| scene.options.server_writes = None,
    |scene, _| scene.options.loss_percent = 0,
    |scene, _| scene.options.report_s = 0,
    |scene, _| scene.options.pair.program.padding = 0,
    |scene, usual| scene.options.latency = usual.latency,
    |scene, usual| scene.options.pair.join = usual.pair.join,
    |scene, usual| scene.options.pair.program.every = usual.pair.program.every,
    |scene, usual| {
        if scene.options.server_writes.is_some() {
            scene.options.server_writes = usual.server_writes;
        }
    },
    |scene, usual| {
        if scene.options.report_s > 0 {
            scene.options.report_s = usual.report_s;
        }
    },
    |scene, _| {
        if let Some(commits) = &mut scene.options.server_commits {
            *commits = Duration::from_millis(20);
        }
    },
    |scene, _| {
        let kills = scene.faults.iter().any(|fault| fault.kind == Kind::ServerKill);
        if scene.options.keys.is_some() || !kills {
            scene.options.server_commits = None;
        }
    },
    // Never less: a scene that has less time than it needs fails without a fault of the links.
    |scene, _| {
        (scene.back, scene.arrive) = (scene.back.max(PATIENCE), scene.arrive.max(PATIENCE));
    },
];

/// Puts settings back to what is usual, one by one.
pub(super) fn settings(search: &mut Search<'_>) -> bool {
    let usual = WorldOptions::default();
    let mut any = false;
    for simplify in SETTINGS {
        let mut candidate = search.best.clone();
        simplify(&mut candidate, &usual);
        if differs(&candidate, &search.best) {
            any |= search.takes(candidate, true);
        }
    }
    any
}

fn differs(a: &Scene, b: &Scene) -> bool {
    format!("{a:?}") != format!("{b:?}")
}

/// Brings faults closer together and nearer to the start, makes them shorter, and rounds their times.
pub(super) fn times(search: &mut Search<'_>) -> bool {
    let mut any = false;
    for n in 0..search.best.faults.len() {
        any |= earlier(search, n);
        any |= shorter(search, n);
    }
    any |= sooner_over(search);
    for n in 0..search.best.faults.len() {
        any |= round(search, n);
    }
    let mut candidate = search.best.clone();
    candidate.length = ceiling(candidate.length, Duration::from_secs(1));
    if differs(&candidate, &search.best) {
        // That is easier to read, and no smaller.
        search.takes(candidate, true);
    }
    any
}

fn instant_of(scene: &Scene, n: usize) -> Option<Instant> {
    match scene.faults.get(n)?.when {
        When::At(at) => Some(at),
        When::EachStep(..) => None,
    }
}

/// Moves fault `n`, and all behind it, and the end, `by` that much nearer to the start.
fn moved(scene: &Scene, n: usize, by: Duration) -> Scene {
    let mut moved = scene.clone();
    for fault in &mut moved.faults[n..] {
        if let When::At(at) = &mut fault.when {
            *at = *at - by;
        }
    }
    moved.length = (end_of(scene) - by).since(Instant::ZERO);
    moved
}

/// Shortens the pause before a fault.
fn earlier(search: &mut Search<'_>, n: usize) -> bool {
    let Some(at) = instant_of(&search.best, n) else { return false };
    let before = match n.checked_sub(1) {
        Some(before) => instant_of(&search.best, before),
        None => Some(Instant::ZERO + UP),
    };
    let Some(before) = before else { return false };
    let pause = at.since(before);
    let pauses = [0, 100, 1000, 3000, 10_000].map(Duration::from_millis);
    let halves = [pause.part(8), pause.part(4), pause.part(2)];
    let shorter = pauses.into_iter().chain(halves).filter(|shorter| *shorter < pause);
    for shorter in shorter.collect::<Vec<_>>() {
        let by = pause.as_micros() - shorter.as_micros();
        if by >= 1000 && search.takes(moved(&search.best, n, Duration::from_micros(by)), true) {
            return true;
        }
    }
    false
}

/// Makes a fault end sooner.
fn shorter(search: &mut Search<'_>, n: usize) -> bool {
    let length = search.best.faults[n].length;
    let lengths = [1, 100, 500, 1000, 2000, 5000].map(Duration::from_millis);
    for shorter in lengths.into_iter().filter(|shorter| *shorter < length) {
        let mut candidate = search.best.clone();
        candidate.faults[n].length = shorter;
        if search.takes(candidate, true) {
            return true;
        }
    }
    false
}

/// Ends the scene sooner.
fn sooner_over(search: &mut Search<'_>) -> bool {
    let last = search.best.faults.last().map_or(Instant::ZERO, |fault| fault.begins());
    let last = last.since(Instant::ZERO);
    for more in [1, 1000, 2000, 5000].map(Duration::from_millis) {
        let mut candidate = search.best.clone();
        candidate.length = ceiling(last + more, Duration::from_secs(1));
        if candidate.length < search.best.length && search.takes(candidate, true) {
            return true;
        }
    }
    false
}

/// Returns the least multiple of `grain` that is not less than `time`.
fn ceiling(time: Duration, grain: Duration) -> Duration {
    grain.times(time.as_micros().div_ceil(grain.as_micros()))
}

/// Rounds the time of a fault.
fn round(search: &mut Search<'_>, n: usize) -> bool {
    let Some(at) = instant_of(&search.best, n) else { return false };
    for grain in GRAINS {
        let micros = at.as_micros();
        if micros.is_multiple_of(grain.as_micros()) {
            return false;
        }
        let mut candidate = search.best.clone();
        let rounded = ceiling(at.since(Instant::ZERO), grain);
        let below = Duration::from_micros(rounded.as_micros() - grain.as_micros());
        for time in [below, rounded] {
            candidate.faults[n].when = When::At(Instant::ZERO + time);
            let ordered = candidate.faults.is_sorted_by_key(|fault| fault.begins());
            if ordered && search.takes(candidate.clone(), true) {
                return true;
            }
        }
    }
    false
}
