//! Runs the models in their long form: more faults, more steps of time, lines in two packets.
//!
//! `pblink-model [MILLIONS [NAME]]`: the most states of each model, in millions; 2 if nothing else is said. With a name only
//! the models that have it in theirs.

use std::process::ExitCode;

use pblink_model::report::{Report, check};
use pblink_model::secure::Secure;
use pblink_model::{classic, secure};
use pblink_protocol::time::Instant;

fn main() -> ExitCode {
    let millions = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(2);
    let limit = millions * 1_000_000;
    let wanted = std::env::args().nth(2).unwrap_or_default();
    let is_wanted = |name: &str| name.contains(&wanted);
    let mut good = true;
    // What was not seen for its number of states is not missed.
    let mut show = |report: Report, exceptions: &[&str]| {
        println!("{report}");
        let known = report.broken.keys().all(|name| exceptions.contains(name));
        good &= known && (!report.whole || report.has_only(exceptions));
    };
    for family in secure::Family::ALL {
        let rotations = u8::from(family == secure::Family::ROTATION);
        let small = Secure { rotations, ..Secure::small(family) };
        for (name, model) in [
            ("two faults", Secure { faults: 2, waits: 2, ..small.clone() }),
            ("two lines each way", Secure { waits: 2, lines: (2, 2), ..small.clone() }),
            ("lines of two packets", Secure { long: true, ..small.clone() }),
            ("at any time", Secure { busy: true, ..small.clone() }),
        ] {
            let name = format!("secure, {}, {name}", family.name);
            // An older store that nobody notices takes two faults.
            let exceptions = if model.faults > 1 { family.exceptions } else { &[] };
            if is_wanted(&name) {
                show(check(&name, model, limit), exceptions);
            }
        }
    }
    let twice = Secure { rotations: 2, faults: 2, ..Secure::small(secure::Family::ROTATION) };
    let name = "secure, rotation, twice with two faults";
    if is_wanted(name) {
        show(check(name, twice, limit), &[]);
    }
    for family in classic::Family::ALL {
        let (equal, exceptions) = (family.equal, family.exceptions);
        let (lines, until) = if equal { ((2, 0), 9000) } else { ((1, 1), 3000) };
        let (name, until) =
            (format!("classic, {}, two faults", family.name), Instant::from_millis(until));
        let model = classic::Classic { family, faults: 2, lines, until, slow: !equal };
        if is_wanted(&name) {
            show(check(&name, model, limit), exceptions);
        }
    }
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
