//! Small scenes out of large ones: all that a failure does not need is taken out.
//!
//! First the end, by halves; then faults, in ever smaller pieces (delta debugging); then boards and settings; then time. What is left
//! out changes all that chance decides later, so that a scene which needs an unlucky moment fails no more although nothing of its
//! cause is gone. Each candidate is therefore tried with several seeds.

mod simpler;

use pblink_protocol::time::{Duration, Instant};

use super::Scene;
use super::fault::When;
use super::run::{self, Failure};
use crate::flaw::Flaw;

/// Simulated time that is spent on the seeds of one candidate: short scenes are tried with many.
const BUDGET: Duration = Duration::from_secs(900);
/// The most seeds of one candidate.
const SEEDS: u64 = 48;
/// Rounds over all parts of a scene, at most.
const ROUNDS: u32 = 5;

/// The work so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Runs of scenes.
    pub runs: u64,
    /// Faults of the smallest scene that fails.
    pub faults: usize,
    /// The time for which its programs write.
    pub length: Duration,
}

/// A scene that cannot be made smaller, or the smallest so far.
#[derive(Debug, Clone)]
pub struct Minimised {
    /// The scene.
    pub scene: Scene,
    /// Its failure.
    pub failure: Failure,
    /// Runs that it took.
    pub runs: u64,
    /// False if it was ended before nothing smaller was found.
    pub complete: bool,
}

/// A search, with the smallest scene that fails so far.
struct Search<'a> {
    best: Scene,
    failure: Failure,
    flaw: Option<Flaw>,
    runs: u64,
    goes_on: &'a mut dyn FnMut(&Progress) -> bool,
    stopped: bool,
}

/// Makes a scene as small as possible. `None`: it does not fail.
pub(super) fn minimise(
    scene: &Scene,
    flaw: Option<Flaw>,
    mut goes_on: impl FnMut(&Progress) -> bool,
) -> Option<Minimised> {
    let failure = run::run(scene, flaw, |_| {}).failure?;
    let goes_on = &mut goes_on;
    let mut search =
        Search { best: scene.clone(), failure, flaw, runs: 1, goes_on, stopped: false };
    // A fault at each step is one at the step at which it fails.
    if scene.seeds > 1 || is_stepping(scene) {
        search.takes(fixed(scene, &search.failure), false);
    }
    search.cut_the_end();
    for _ in 0..ROUNDS {
        let before = search.runs;
        let any = [
            search.drop_faults(),
            search.drop_boards(),
            simpler::settings(&mut search),
            simpler::times(&mut search),
        ];
        if search.stopped || search.runs == before || !any.contains(&true) {
            break;
        }
    }
    let Search { mut best, failure, runs, stopped, .. } = search;
    best.forbid_the_impossible();
    Some(Minimised { scene: best, failure, runs, complete: !stopped })
}

/// Returns true if a fault comes at each step of a time.
fn is_stepping(scene: &Scene) -> bool {
    scene.faults.iter().any(|fault| matches!(fault.when, When::EachStep(..)))
}

/// Returns the one case of a scene that fails as a scene of its own.
fn fixed(scene: &Scene, failure: &Failure) -> Scene {
    let mut fixed = scene.clone();
    (fixed.options.seed, fixed.seeds) = (failure.seed, 1);
    for (fault, at_us) in fixed.faults.iter_mut().zip(&failure.faults_at_us) {
        fault.when = When::At(Instant::from_micros(*at_us));
    }
    // A fault may have come later than the time of the next.
    fixed.faults.sort_by_key(|fault| fault.begins());
    fixed
}

impl Search<'_> {
    /// Takes a candidate if it fails in the same way, with the seed of the best so far or, if `seeds`, with another. Returns true if
    /// it does.
    fn takes(&mut self, mut candidate: Scene, seeds: bool) -> bool {
        let valid = candidate.faults.iter().all(|fault| fault.begins() < end_of(&candidate));
        if self.stopped || !valid {
            return false;
        }
        candidate.forbid_the_impossible();
        let most = match candidate.seeds {
            1 if seeds => {
                (BUDGET.as_micros() / candidate.length.as_micros().max(1)).clamp(1, SEEDS)
            }
            _ => 1,
        };
        let first = candidate.options.seed;
        for seed in std::iter::once(first).chain(0..most - 1) {
            candidate.options.seed = seed;
            let report = run::run(&candidate, self.flaw, |_| {});
            self.runs += 1;
            let same = report.failure.filter(|failure| failure.demand == self.failure.demand);
            let found = same.is_some();
            if let Some(failure) = same {
                (self.best, self.failure) = (candidate.clone(), failure);
            }
            let Scene { faults, length, .. } = &self.best;
            let progress = Progress { runs: self.runs, faults: faults.len(), length: *length };
            self.stopped = !(self.goes_on)(&progress);
            if found || self.stopped {
                return found;
            }
        }
        false
    }

    /// Takes all faults out that come behind the failure. Up to it nothing changes by that, whatever chance decides.
    fn cut_the_end(&mut self) {
        if is_stepping(&self.best) {
            return;
        }
        let all = self.best.clone();
        let with = |count: usize| {
            let mut scene = all.clone();
            let next = scene.faults.get(count).map(|fault| fault.begins());
            scene.faults.truncate(count);
            let last = scene.faults.last().map_or(Instant::ZERO, |fault| fault.begins());
            let end = last + Duration::from_secs(8);
            let end = next.map_or(end, |next| end.min(next));
            scene.length = end.since(Instant::ZERO).max(last.since(Instant::ZERO) + MOMENT);
            scene
        };
        // The number of faults that is known to be enough, and one that is known not to be.
        let (mut too_few, mut enough) = (0, all.faults.len());
        // The time of the first wrong line is a good guess.
        let wrong = Instant::from_micros(self.failure.at_us);
        let mut guess = all.faults.iter().filter(|fault| fault.begins() < wrong).count();
        while too_few < enough && !self.stopped {
            let count = guess.clamp(too_few, enough - 1);
            match self.takes(with(count), false) {
                true => enough = count,
                false => too_few = count + 1,
            }
            guess = (too_few + enough) / 2;
        }
        if enough == all.faults.len() {
            self.takes(with(enough), false);
        }
    }

    /// Takes out faults, in ever smaller pieces.
    fn drop_faults(&mut self) -> bool {
        let mut any = false;
        let mut piece = self.best.faults.len();
        while piece > 0 && !self.stopped {
            let mut from = 0;
            while from < self.best.faults.len() && !self.stopped {
                let mut candidate = self.best.clone();
                let to = (from + piece).min(candidate.faults.len());
                candidate.faults.drain(from..to);
                match self.takes(candidate, true) {
                    true => any = true,
                    false => from = to,
                }
            }
            piece /= 2;
        }
        any
    }

    /// Leaves one board, or those that faults need.
    fn drop_boards(&mut self) -> bool {
        let boards = self.best.options.boards;
        if boards == 1 {
            return false;
        }
        for board in 0..boards {
            let mut candidate = self.best.clone();
            candidate.faults.retain(|fault| fault.board == board || !fault.kind.has_board());
            candidate.faults.iter_mut().for_each(|fault| fault.board = 0);
            candidate.options.boards = 1;
            if self.takes(candidate, true) {
                return true;
            }
        }
        let mut candidate = self.best.clone();
        let needed = candidate.faults.iter().map(|fault| fault.board + 1).max().unwrap_or(1);
        candidate.options.boards = needed;
        needed < boards && self.takes(candidate, true)
    }
}

/// A millisecond.
const MOMENT: Duration = Duration::from_millis(1);

/// Returns the instant at which programs stop to write.
fn end_of(scene: &Scene) -> Instant {
    Instant::ZERO + scene.length
}
