//! Both ends of the secure link against a carrier, chips, processes and stores with faults: thousands of runs, each from a seed.
//!
//! `PBLINK_SEEDS=FROM..TO` runs these seeds of each kind instead of the usual ones; a failure names its seed.

#[path = "../../../endurance/src/client/ram.rs"]
mod ram;
#[path = "../common/rng.rs"]
mod rng;
mod store;
mod suite;
mod world;

use pblink_protocol::time::Duration;
use world::{Kind, Outcome, run};

impl rng::Rng {
    /// Returns true once in so many thousandths.
    pub(crate) fn per_mille(&mut self, n: u64) -> bool {
        self.below(1000) < n
    }

    pub(crate) fn one_of(&mut self, choices: &[u64]) -> u64 {
        choices[self.below(choices.len() as u64) as usize]
    }

    pub(crate) fn fork(&mut self) -> Self {
        Self(self.next())
    }
}

/// Length of a step.
pub(crate) const fn ticks(n: u64) -> Duration {
    Duration::from_millis(100 * n)
}

/// Rules that a run breaks: it has to find out.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Rules {
    /// Lines are acknowledged before they are committed.
    pub(crate) acknowledges_early: bool,
    /// The answer to a board does not wait for its commit.
    pub(crate) answers_early: bool,
    /// A new process knows nothing of what the one before may have sent.
    pub(crate) forgets_mark: bool,
    /// All epochs look known.
    pub(crate) knows_all_epochs: bool,
}

/// Runs these seeds, in which nothing may go wrong. Returns what has happened in all of them.
fn all(kind: Kind, seeds: std::ops::Range<u64>) -> Outcome {
    let mut sum = Outcome::default();
    for seed in asked().unwrap_or(seeds) {
        let outcome = run(seed, kind, Rules::default());
        assert_eq!(
            outcome.wrong,
            Vec::<String>::new(),
            "{kind:?}, PBLINK_SEEDS={seed}..{}",
            seed + 1
        );
        sum.add(&outcome);
    }
    println!("{kind:?}: {sum:?}");
    sum
}

fn asked() -> Option<std::ops::Range<u64>> {
    let text = std::env::var("PBLINK_SEEDS").ok()?;
    let (from, to) = text.split_once("..").expect("PBLINK_SEEDS=FROM..TO");
    Some(from.parse().expect("a number")..to.parse().expect("a number"))
}

const RUNS: u64 = 150;

#[test]
fn outages_crashes_and_kills_lose_double_and_reorder_nothing() {
    let sum = all(Kind::CRASHES, 0..RUNS);
    assert_eq!((sum.undetermined, sum.lost), (0, 0), "there are no exceptions");
    assert!(sum.up > 1000 && sum.down > 1000, "{sum:?}");
}

#[test]
fn a_board_that_loses_its_power_loses_its_own_lines_and_the_server_says_what_it_does_not_know() {
    let sum = all(Kind::POWER, 0..RUNS);
    assert!(sum.undetermined > 0 && sum.lost == 0, "{sum:?}");
}

#[test]
fn a_store_that_is_older_than_what_it_has_acknowledged_is_noticed_and_said() {
    let sum = all(Kind::RESTORE, 0..RUNS);
    assert!(sum.undetermined > 0 && sum.lost > 0, "{sum:?}");
    all(Kind { known: true, ..Kind::RESTORE }, 0..RUNS);
}

#[test]
fn rows_that_an_operator_drops_or_sends_again_do_no_harm() {
    all(Kind { operator: true, ..Kind::POWER }, 0..RUNS);
    all(Kind { operator: true, ..Kind::RESTORE }, 0..RUNS);
}

/// Lines that are held back and shown later are late; nothing else happens.
#[test]
fn whoever_records_holds_back_repeats_and_forges_lines_changes_nothing() {
    let sum = all(Kind::ATTACKER, 0..RUNS);
    assert_eq!((sum.undetermined, sum.lost), (0, 0), "there are no exceptions");
    all(Kind { attacker: true, ..Kind::POWER }, 0..RUNS);
}

#[test]
fn planted_faults_are_found() {
    let found = |kind, rules| {
        (0..10 * RUNS).find(|&seed| !run(seed, kind, rules).wrong.is_empty()).map(|seed| seed + 1)
    };
    for (kind, rules) in [
        (Kind::CRASHES, Rules { acknowledges_early: true, ..Rules::default() }),
        (Kind::CRASHES, Rules { answers_early: true, ..Rules::default() }),
        (Kind::POWER, Rules { forgets_mark: true, ..Rules::default() }),
        (Kind::RESTORE, Rules { knows_all_epochs: true, ..Rules::default() }),
    ] {
        let runs = found(kind, rules);
        assert!(runs.is_some(), "{rules:?}");
        println!("{rules:?} found after {} runs", runs.unwrap_or_default());
    }
}
