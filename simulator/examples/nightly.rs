//! Thousands of simulated hours of boards, classic and secure, with faults by chance:
//!
//! ```sh
//! cargo run --release -p pblink-simulator --example nightly -- HOURS FROM FILE
//! ```
//!
//! HOURS of programs that write, half of them for each link, in runs of one hour with seeds from FROM on. FILE has a record of each
//! run: the same command goes on where it was ended. The sums come last, as JSON; the exit code is 1 if a run has failed.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use pblink_simulator::campaign::{Campaign, Plan, Summary};

/// Time between two reports.
const TELLS: Duration = Duration::from_secs(10);

fn plan(mut arguments: impl Iterator<Item = String>) -> Option<(Plan, String)> {
    let hours: u32 = arguments.next()?.parse().ok().filter(|hours| *hours > 0)?;
    let from = arguments.next()?.parse().ok()?;
    let plan = Plan { from, seeds: hours.div_ceil(2), length_ms: 3_600_000 };
    arguments.next().map(|file| (plan, file))
}

fn run(plan: Plan, file: &Path) -> std::io::Result<Summary> {
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut campaign = Campaign::open(file, plan)?;
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let hours = |it: &Summary| it.classic.hours + it.secure.hours;
    let (began, before) = (Instant::now(), hours(&campaign.summary()));
    let mut told = began;
    let tell = |it: &Summary| {
        let speed = (hours(it) - before) / began.elapsed().as_secs_f64();
        let (runs, failed) = (it.classic.runs + it.secure.runs, it.failed.len());
        let (all, hours) = (plan.runs(), hours(it));
        eprintln!("{runs} of {all} runs, {hours:.0} h, {speed:.2} h/s, {failed} failed");
    };
    let summary = campaign.run(threads, None, &AtomicBool::new(false), |summary| {
        if told.elapsed() >= TELLS {
            told = Instant::now();
            tell(summary);
        }
    })?;
    tell(&summary);
    Ok(summary)
}

fn main() -> ExitCode {
    let Some((plan, file)) = plan(std::env::args().skip(1)) else {
        eprintln!("nightly: needs HOURS FROM FILE, such as: 10000 0 target/nightly.jsonl");
        return ExitCode::from(2);
    };
    let summary = match run(plan, Path::new(&file)) {
        Ok(summary) => summary,
        Err(error) => {
            eprintln!("nightly: {file}: {error}");
            return ExitCode::FAILURE;
        }
    };
    let json = serde_json::to_string_pretty(&summary).unwrap_or_default();
    // Who reads no more has what it wanted.
    let _ = writeln!(std::io::stdout(), "{json}");
    if summary.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
