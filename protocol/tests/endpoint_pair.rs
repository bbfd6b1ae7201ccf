//! Two endpoints over a bad network, for many seeds.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use crate::common::ms;
use crate::common::net::Net;

const SEEDS: u64 = 1200;

#[test]
fn lines_keep_their_promises_over_any_network() {
    run(false);
}

/// A restart loses at most what was not acknowledged, and duplicates at most what the other end had not
/// acknowledged; everything else is as before.
#[test]
fn lines_keep_their_promises_when_programs_restart() {
    run(true);
}

fn run(restarts: bool) {
    let mut totals = [0u64; 4];
    let mut restarted = 0;
    // The last one once found a refused restart that was forgotten.
    for seed in (0..SEEDS).chain([34504]) {
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            let mut net = Net::new(seed, 25, restarts);
            net.run(ms(20_000));
            net.check();
            (net.stats(), net.restarted)
        }));
        match outcome {
            Ok((stats, n)) => {
                restarted += u64::from(n);
                for s in stats {
                    totals[0] += u64::from(s.retransmissions);
                    totals[1] += u64::from(s.duplicates);
                    totals[2] += u64::from(s.refused);
                    totals[3] += u64::from(s.connects);
                }
            }
            Err(panic) => {
                eprintln!("failing seed: {seed}");
                resume_unwind(panic);
            }
        }
    }
    // The network was as bad as intended.
    assert!(totals.iter().all(|&t| t > SEEDS), "{totals:?}");
    assert!((restarted > SEEDS) == restarts, "{restarted}");
}
