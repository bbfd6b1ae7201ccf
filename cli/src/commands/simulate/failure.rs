//! Scenes that fail, in words.

use std::time::Duration;

use pblink_simulator::scene::Failure;

/// The time after which the work so far is shown, again and again.
pub(super) const TELLS: Duration = Duration::from_secs(2);

/// Says what has failed: seed, times, and the first wrong line.
pub(super) fn words(failure: &Failure) -> String {
    let at = |us: u64| format!("{}.{:06} s", us / 1_000_000, us % 1_000_000);
    let faults: Vec<String> = failure.faults_at_us.iter().map(|us| at(*us)).collect();
    let faults = match faults.is_empty() {
        true => String::new(),
        false => format!(", faults at {}", faults.join(", ")),
    };
    let line =
        failure.line.as_deref().unwrap_or("no line is wrong, but it does not come to its end");
    format!("seed {}{faults}: {}\nat {}: {line}", failure.seed, failure.what, at(failure.at_us))
}

#[cfg(test)]
mod tests {
    use pblink_simulator::scene::Demand;

    use super::*;

    #[test]
    fn a_failure_says_seed_times_and_the_first_wrong_line() {
        let failure = Failure {
            seed: 5,
            faults_at_us: vec![6_000_000, 6_000_021],
            at_us: 7_100_000,
            line: Some("line 9 arrived again".to_owned()),
            demand: Demand::ToServerDuplicated,
            what: "board 1: 1 lines to the server duplicated, 0 allowed".to_owned(),
        };
        assert_eq!(
            words(&failure),
            "seed 5, faults at 6.000000 s, 6.000021 s: board 1: 1 lines to the server duplicated, 0 allowed\n\
             at 7.100000 s: line 9 arrived again"
        );
    }
}
