//! Words of a soak: its start, its progress, its outcome.

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use pblink_endurance::ledger::Ledger;
use pblink_endurance::process::Used;
use pblink_endurance::soak::{Outcome, Progress};

use crate::output::events::clean;
use crate::output::units::{count, span};

/// Names of lines or boards that are printed of each kind of mistake. JSON has all.
const NAMED: usize = 5;

/// Returns what is said at the start.
pub(super) fn begin(boards: u32, time: Duration, seed: u32, folder: &Path) -> String {
    let (plural, time) = (if boards == 1 { "" } else { "s" }, span(time.as_millis() as u64));
    format!("{boards} board{plural} for {time}, log in {}, seed {seed}", folder.display())
}

/// Returns what is said every few seconds.
pub(super) fn progress(progress: &Progress, time: Duration) -> String {
    let span = |time: Duration| span(time.as_millis() as u64);
    format!(
        "{} of {}: both ways {} lines have passed; {}; at most {}",
        span(progress.time),
        span(time),
        count(progress.passed),
        faults(progress.outcome),
        used(progress.outcome.most)
    )
}

/// Returns the outcome, line by line.
pub(super) fn outcome(outcome: &Outcome) -> String {
    let mut text = format!(
        "{} lines in {}; {}\n",
        outcome.lines,
        span(1000 * outcome.seconds),
        faults(outcome)
    );
    // A `String` takes everything.
    for why in &outcome.passed_over {
        let _ = writeln!(text, "passed over {why}");
    }
    let (first, last) = (used(outcome.first_quarter), used(outcome.last_quarter));
    let flat = if outcome.is_flat() { "flat" } else { "NOT FLAT" };
    let _ = writeln!(
        text,
        "the server used at most {}; {first} in the first quarter, {last} in the last: {flat}",
        used(outcome.most)
    );
    for problem in &outcome.problems {
        let _ = writeln!(text, "{problem}");
    }
    let Ledger { lost, doubled, disordered } = &outcome.ledger;
    for (what, names) in [("lost", lost), ("doubled", doubled), ("out of order", disordered)] {
        for name in names.iter().take(NAMED) {
            let _ = writeln!(text, "{what}: {}", clean(name));
        }
    }
    let _ = writeln!(
        text,
        "ledger: lost {}, doubled {}, boards out of order {}, seed {}: {}",
        lost.len(),
        doubled.len(),
        disordered.len(),
        outcome.seed,
        if outcome.is_clean() { "clean" } else { "NOT CLEAN" }
    );
    text
}

fn faults(outcome: &Outcome) -> String {
    let Outcome { kills, halts, cuts, full_disks, clock_steps, .. } = outcome;
    let parts = [
        (u64::from(*kills), "kill"),
        (u64::from(*halts), "halt"),
        (*cuts as u64, "cut"),
        (u64::from(*full_disks), "full disk"),
        (u64::from(*clock_steps), "clock step"),
    ];
    parts.map(|(n, what)| format!("{n} {what}{}", if n == 1 { "" } else { "s" })).join(", ")
}

fn used(used: Used) -> String {
    format!("{} MB and {} descriptors", used.memory >> 20, used.descriptors)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_says_what_is_wrong_and_names_few_of_many() {
        let ledger = Ledger {
            lost: (0..9).map(|n| format!("log board 1: line {n}")).collect(),
            ..Ledger::default()
        };
        let most = Used { memory: 40 << 20, descriptors: 70 };
        let outcome = Outcome {
            seed: 7,
            seconds: 61,
            lines: 9000,
            kills: 1,
            cuts: 12,
            passed_over: vec!["clock steps: none here".to_owned()],
            most,
            first_quarter: Used { memory: 10 << 20, ..most },
            last_quarter: most,
            ledger,
            problems: vec!["the server has ended".to_owned()],
            ..Outcome::default()
        };
        let text = super::outcome(&outcome);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(
            lines[0],
            "9000 lines in 1 min 1 s; 1 kill, 0 halts, 12 cuts, 0 full disks, 0 clock steps"
        );
        assert_eq!(lines[1], "passed over clock steps: none here");
        assert!(lines[2].ends_with(": NOT FLAT"), "{text}");
        assert_eq!(lines[3], "the server has ended");
        assert_eq!(lines.iter().filter(|line| line.starts_with("lost: ")).count(), NAMED);
        let last = lines.last().expect("a line");
        assert_eq!(*last, "ledger: lost 9, doubled 0, boards out of order 0, seed 7: NOT CLEAN");
        assert!(super::outcome(&Outcome::default()).ends_with("seed 0: clean\n"));
    }
}
