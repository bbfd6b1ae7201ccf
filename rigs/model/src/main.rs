//! Runs the models in their long form: more faults, more steps of time, lines in two packets.
//!
//! `pblink-model [MILLIONS]`: the most states of each model, in millions; 2 if nothing else is said.

use std::process::ExitCode;

use pblink_model::report;
use pblink_model::secure::{Family, Secure};

fn main() -> ExitCode {
    let millions = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(2);
    let limit = millions * 1_000_000;
    let mut good = true;
    for family in Family::ALL {
        for model in [
            Secure { faults: 2, waits: 2, ..Secure::small(family) },
            Secure { faults: 1, waits: 2, lines: (2, 2), ..Secure::small(family) },
            Secure { faults: 1, waits: 1, long: true, ..Secure::small(family) },
            Secure { faults: 1, waits: 1, busy: true, ..Secure::small(family) },
        ] {
            let name = format!(
                "{}, {} faults, {:?} lines{}{}",
                family.name,
                model.faults,
                model.lines,
                if model.long { ", long" } else { "" },
                if model.busy { ", busy" } else { "" },
            );
            let report = report::check(&name, model, limit);
            println!("{report}");
            good &= report.has_only(family.exceptions);
        }
    }
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
