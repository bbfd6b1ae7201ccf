//! Two endpoints over a bad network, for many seeds.

mod common;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use common::ms;
use common::net::Net;

const SEEDS: u64 = 1200;

#[test]
fn lines_keep_their_promises_over_any_network() {
    let mut totals = [0u64; 4];
    for seed in 0..SEEDS {
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            let mut net = Net::new(seed, 25);
            net.run(ms(20_000));
            net.check();
            net.stats()
        }));
        match outcome {
            Ok(stats) => {
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
    assert!(totals.iter().all(|&t| t > 3 * SEEDS), "{totals:?}");
}
