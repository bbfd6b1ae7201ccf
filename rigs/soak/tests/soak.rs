//! The short form, and that it finds what it looks for. `just soak` is the long one.

use std::time::Duration;

use pblink_soak::ledger::Ledger;
use pblink_soak::process::{Used, program};
use pblink_soak::soak::{Options, Outcome, Soak};

fn options() -> Options {
    let seed = std::env::var("PBLINK_SEED").map(|text| text.parse().expect("a number"));
    Options {
        time: Duration::from_secs(8),
        boards: 7,
        keyed: 3,
        simulators: 1,
        pause: Duration::ZERO,
        seed: seed.unwrap_or_else(|_| fastrand::u64(..)),
        most: Used { memory: 96 << 20, descriptors: 250 },
        forgets: false,
    }
}

fn run(options: &Options) -> Outcome {
    println!("PBLINK_SEED={}", options.seed);
    let folder = tempfile::tempdir().unwrap();
    let outcome = Soak::new(program(), folder.path(), options.clone()).run(|_| ());
    let outcome = outcome.expect("the server starts");
    println!("{outcome:?}");
    outcome
}

#[test]
fn kills_halts_and_cuts_lose_and_double_nothing() {
    let outcome = run(&options());
    assert!(outcome.is_clean(), "{outcome:?}");
    assert!(outcome.lines > 0 && outcome.kills + outcome.halts + outcome.full_disks > 0);
}

#[test]
fn a_disk_that_forgets_is_found_out() {
    let outcome = run(&Options { forgets: true, simulators: 0, ..options() });
    assert!(outcome.kills >= 3, "it has forgotten something");
    assert_ne!(outcome.ledger, Ledger::default(), "the fault was not found");
}

#[test]
fn a_server_that_uses_more_than_it_may_is_found_out() {
    let most = Used { memory: 1 << 20, descriptors: 3 };
    let outcome = run(&Options { time: Duration::from_secs(1), most, simulators: 0, ..options() });
    assert_eq!(outcome.ledger, Ledger::default());
    assert_eq!(outcome.problems.len(), 2, "{:?}", outcome.problems);
}
