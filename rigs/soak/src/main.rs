//! Runs a real server under load and faults for as long as wanted, and accounts for every line.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use pblink_soak::process::Used;
use pblink_soak::soak::{self, Options};

const USAGE: &str = "\
usage: pblink-soak [--minutes M] [--boards N] [--secure N] [--simulators N] [--seed S] [--max-mb MB] [--max-descriptors N]

  --minutes M           boards write and faults happen for this long (default 10)
  --boards N            boards that write as fast as their echoes come (default 12)
  --secure N            boards with keys beside them (default 4)
  --simulators N        `pblink simulate` processes beside them (default 2)
  --seed S              the faults and lines of an earlier run
  --max-mb MB           memory that the server may use (default 96)
  --max-descriptors N   descriptors that it may have (default 200 and 4 a board)

Exit codes: 0 every line is there once and in order, 1 it is not, or the server grew, 2 wrong flags.";

fn parse(args: &[String]) -> Result<Options, String> {
    let mut options = Options {
        time: Duration::from_secs(600),
        boards: 12,
        keyed: 4,
        simulators: 2,
        seed: fastrand::u64(..),
        most: Used { memory: 96 << 20, descriptors: 0 },
        forgets: false,
    };
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let number = args.next().ok_or_else(|| format!("{arg} needs a value"))?;
        let number: u64 = number.parse().map_err(|_| format!("{arg} {number}: not a number"))?;
        match arg.as_str() {
            "--minutes" => options.time = Duration::from_secs(60 * number),
            "--boards" => options.boards = number,
            "--secure" => options.keyed = number,
            "--simulators" => options.simulators = number as usize,
            "--seed" => options.seed = number,
            "--max-mb" => options.most.memory = number << 20,
            "--max-descriptors" => options.most.descriptors = number as usize,
            other => return Err(format!("{other} is not a flag")),
        }
    }
    if options.most.descriptors == 0 {
        options.most.descriptors =
            200 + 4 * ((options.boards + options.keyed) as usize + options.simulators);
    }
    Ok(options)
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let options = match parse(&args) {
        Ok(options) => options,
        Err(why) => {
            eprintln!("{why}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let folder = match tempfile::tempdir() {
        Ok(folder) => folder,
        Err(error) => {
            eprintln!("no folder for the log: {error}");
            return ExitCode::FAILURE;
        }
    };
    let Options { boards, keyed, time, seed, .. } = options;
    println!("{boards} boards and {keyed} with keys for {time:?}, --seed {seed}");
    let began = Instant::now();
    let outcome = soak::run(&options, folder.path());
    println!(
        "{} lines, {} kills, {} halts, {} cuts in {} s; at most {} MB and {} descriptors",
        outcome.lines,
        outcome.kills,
        outcome.halts,
        outcome.cuts,
        began.elapsed().as_secs(),
        outcome.used.memory >> 20,
        outcome.used.descriptors
    );
    println!("{:?}", outcome.ledger);
    outcome.problems.iter().for_each(|problem| println!("{problem}"));
    if outcome.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
