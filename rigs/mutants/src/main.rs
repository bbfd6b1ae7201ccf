//! Judges the mutants of `protocol/`: `pblink-mutants [--file PART] [--missed]`.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;
use std::{env, fs, io};

use pblink_mutants::build::Tree;
use pblink_mutants::explained::Explained;
use pblink_mutants::judge::{Verdict, Verdicts};
use pblink_mutants::list::{Mutant, list};

const USAGE: &str = "\
usage: pblink-mutants [--file PART] [--missed]

Judges each mutant of protocol/ by the tests that reach it, and prints those that none notices and rigs/mutants/explained.txt
does not name. A run that was ended goes on. Needs cargo-mutants, which lists them: cargo install --locked cargo-mutants
  --file PART   only those of files with this in their names
  --missed      anew those only that no test has noticed before";

/// The package whose mutants they are, and whose tests judge them: a fault is to be shown at the lowest layer that shows it.
const PACKAGE: &str = "pblink-protocol";
/// Its folder.
const FOLDER: &str = "protocol";

fn main() -> ExitCode {
    let mut args = env::args().skip(1);
    let (mut part, mut missed) = (String::new(), false);
    while let Some(arg) = args.next() {
        match (arg.as_str(), args.len()) {
            ("--file", 1..) => part = args.next().unwrap_or_default(),
            ("--missed", _) => missed = true,
            ("--help", _) => {
                println!("{USAGE}");
                return ExitCode::SUCCESS;
            }
            _ => {
                eprintln!("{USAGE}");
                return ExitCode::from(2);
            }
        }
    }
    match run(&part, missed) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Returns true if each mutant is noticed or explained.
fn run(part: &str, missed: bool) -> io::Result<bool> {
    let rig = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = rig.join("../..");
    let explained = Explained::parse(&fs::read_to_string(rig.join("explained.txt"))?);
    let explained = explained.map_err(io::Error::other)?;
    let folder = match env::var_os("CARGO_TARGET_DIR") {
        Some(target) => Path::new(&target).join("mutants"),
        None => root.join("target/mutants"),
    };
    let mut mutants = list(&root, PACKAGE)?;
    mutants.retain(|mutant| mutant.file.contains(part));
    let tree = Tree::copy(&root, &folder, FOLDER, &mutants, PACKAGE)?;
    // Of other code and other tests, they say nothing.
    let before = fs::read_to_string(folder.join("tree-of-outcomes")).unwrap_or_default();
    let same = before == tree.digest();
    fs::write(folder.join("tree-of-outcomes"), tree.digest())?;
    let mut verdicts = Verdicts::open(&folder.join("outcomes.jsonl"), |outcome| {
        if missed { outcome.verdict != Verdict::Missed } else { same }
    })?;
    eprintln!("{} mutants; all tests are built with those that go behind a switch", mutants.len());
    let built = tree.weave(&mutants)?;
    verdicts.judge_all(&tree, &built, &mutants, &folder.join("reached"))?;
    Ok(report(&mutants, &verdicts, &explained))
}

/// Prints what has become of them. Returns true if each is noticed or explained.
fn report(mutants: &[Mutant], verdicts: &Verdicts, explained: &Explained) -> bool {
    let mut counts: BTreeMap<Verdict, usize> = BTreeMap::new();
    for outcome in verdicts.of(mutants) {
        *counts.entry(outcome.verdict).or_default() += 1;
    }
    let missed: Vec<&Mutant> = mutants
        .iter()
        .filter(|mutant| verdicts.of(std::slice::from_ref(mutant))[0].verdict == Verdict::Missed)
        .collect();
    let names: Vec<String> = missed.iter().map(|mutant| mutant.lasting_name()).collect();
    let (known, open): (Vec<&Mutant>, Vec<&Mutant>) =
        missed.iter().partition(|mutant| explained.reason(&mutant.lasting_name()).is_some());
    let count = |verdict| counts.get(&verdict).copied().unwrap_or(0);
    println!("{} mutants", mutants.len());
    println!("{} noticed by a test that fails", count(Verdict::Caught));
    println!("{} noticed by a test that does not end", count(Verdict::Late));
    println!("{} do not compile", count(Verdict::DoesNotCompile));
    println!("{} noticed by no test, and explained", known.len());
    println!("{} noticed by no test", open.len());
    for (reason, number) in explained.reasons() {
        println!("  {number} explained: {reason}");
    }
    for mutant in &open {
        println!("  {}", mutant.name);
    }
    for name in explained.others(&names) {
        eprintln!("explained, and noticed or not there: {name}");
    }
    open.is_empty()
}
