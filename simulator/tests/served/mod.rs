//! The real server in simulated time: `pblink-server` over a network in memory, with whole boards, with guests that nobody has asked
//! for, and with an application that commits or does not.
//!
//! `PBLINK_SEEDS=FROM..TO` runs these seeds instead of the usual ones (`just served FROM..TO`); a failure names its seed. A seed gives
//! the same run each time, to the microsecond and to the byte.

mod app;
mod board;
mod faults;
mod guest;
mod net;
mod owner;
mod pipe;
mod process;
mod run;
mod stage;
mod stream;
mod world;

use std::ops::Range;
use std::time::Instant;

use pblink_protocol::time::Duration;

use run::{Kind, run};
use stage::Flaw;

/// Seeds of the usual run.
const USUAL: u64 = 64;

/// Returns the seeds that are asked for, or the usual ones.
fn seeds() -> Range<u64> {
    let Ok(text) = std::env::var("PBLINK_SEEDS") else { return 0..USUAL };
    let (from, to) = text.split_once("..").expect("PBLINK_SEEDS=FROM..TO");
    from.parse().expect("a number")..to.parse().expect("a number")
}

/// Runs the seeds of one kind. The test harness runs several at a time.
fn nothing_is_lost(keys: bool, commits: bool) {
    let began = Instant::now();
    let (mut runs, mut simulated, mut late) = (0, Duration::ZERO, Duration::ZERO);
    let (mut lines, mut starts, mut events) = (0, 0, (0, 0));
    for seed in seeds() {
        let kind = Kind::of(seed);
        if (kind.keys, kind.commits) != (keys, commits) {
            continue;
        }
        let outcome = run(seed, kind);
        if let Some(wrong) = outcome.wrong() {
            panic!("PBLINK_SEEDS={seed}..{}: {wrong}", seed + 1);
        }
        runs += 1;
        simulated = simulated + outcome.took;
        late = late.max(outcome.late.unwrap_or_default());
        lines += outcome.totals.arrived;
        starts += outcome.starts;
        events = (events.0 + outcome.events.0, events.1 + outcome.events.1);
    }
    let hours = simulated.as_micros() as f64 / 3.6e9;
    println!(
        "{runs} seeds, {hours:.2} h in {:.1} s ({:.2} h/s), {lines} lines, {starts} starts of the server, {} events read and {} \
         missed; all had arrived {late} after the last fault at the latest",
        began.elapsed().as_secs_f64(),
        hours / began.elapsed().as_secs_f64(),
        events.0,
        events.1,
    );
    // The seeds have their faults.
    if runs >= 8 {
        assert!(lines > 50 * runs && u64::from(starts) > runs && events.1 > 0);
    }
}

#[test]
fn nothing_is_lost_by_an_application_that_commits_nothing() {
    nothing_is_lost(false, false);
}

#[test]
fn nothing_is_lost_by_an_application_that_commits() {
    nothing_is_lost(false, true);
}

#[test]
fn nothing_is_lost_between_boards_with_keys_and_an_application_that_commits_nothing() {
    nothing_is_lost(true, false);
}

#[test]
fn nothing_is_lost_between_boards_with_keys_and_an_application_that_commits() {
    nothing_is_lost(true, true);
}

#[test]
fn a_seed_gives_the_same_run_twice() {
    for seed in 0..8 {
        let kind = Kind::of(seed);
        let (first, second) = (run(seed, kind), run(seed, kind));
        assert_eq!(first, second, "seed {seed}");
    }
}

/// Each planted fault is found by one of the usual seeds.
#[test]
fn planted_faults_are_found() {
    for (flaw, commits) in [
        (Flaw::AcknowledgesFirst, true),
        (Flaw::ForgetsWindows, true),
        (Flaw::KeepsDone, true),
        (Flaw::DropsSessions, false),
    ] {
        let wrong =
            |seed: &u64| run(*seed, Kind { keys: false, commits, flaw: Some(flaw) }).wrong();
        let seeds =
            (0..USUAL).filter(|&seed| !Kind::of(seed).keys && Kind::of(seed).commits == commits);
        let found = seeds.enumerate().find_map(|(n, seed)| Some((n + 1, seed, wrong(&seed)?)));
        let (n, seed, wrong) = found.unwrap_or_else(|| panic!("{flaw:?} was not found"));
        println!("{flaw:?}: by run {n}, seed {seed}: {wrong}");
    }
}
