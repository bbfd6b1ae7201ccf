//! The verdict on each mutant.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::build::{Built, Tree};
use crate::list::Mutant;
use crate::programs::{End, Program, Test};

/// The longest time of a test without a mutant.
const LIMIT: Duration = Duration::from_secs(600);

/// The end of a mutant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// A test fails with it.
    Caught,
    /// A test does not end with it.
    Late,
    /// It does not compile.
    DoesNotCompile,
    /// No test fails with it.
    Missed,
}

/// A mutant that was judged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Its name.
    pub name: String,
    /// Its end.
    pub verdict: Verdict,
    /// The test that has noticed it; empty if none has.
    pub by: String,
}

/// A test, with the time that it takes and the mutants that it reaches.
#[derive(Debug)]
struct Reach {
    test: Test,
    time: Duration,
    mutants: BTreeSet<u32>,
}

/// Returns the time after which a mutant has made a test endless that takes this long without one.
fn limit(time: Duration) -> Duration {
    time * 10 + Duration::from_secs(5)
}

/// Verdicts, in a file that a later run goes on with.
#[derive(Debug)]
pub struct Verdicts {
    known: BTreeMap<String, Outcome>,
    file: Mutex<File>,
    began: Instant,
    todo: usize,
    done: AtomicUsize,
}

impl Verdicts {
    /// Opens the file. `keeps` says which of its outcomes count still.
    ///
    /// # Errors
    /// If it cannot be read or written.
    pub fn open(path: &Path, keeps: impl Fn(&Outcome) -> bool) -> io::Result<Self> {
        let text = match fs::read_to_string(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            text => text?,
        };
        // A run that was killed may have left half a line.
        let read = text.lines().filter_map(|line| serde_json::from_str::<Outcome>(line).ok());
        let known: BTreeMap<_, _> =
            read.filter(keeps).map(|outcome| (outcome.name.clone(), outcome)).collect();
        let mut file = File::create(path)?;
        for outcome in known.values() {
            writeln!(file, "{}", serde_json::to_string(outcome)?)?;
        }
        let file = Mutex::new(OpenOptions::new().append(true).open(path)?);
        Ok(Self { known, file, began: Instant::now(), todo: 0, done: AtomicUsize::new(0) })
    }

    /// Returns true if this mutant is judged.
    pub fn has(&self, mutant: &Mutant) -> bool {
        self.known.contains_key(&mutant.name)
    }

    fn note(&self, mutant: &Mutant, verdict: Verdict, by: &str) -> io::Result<Outcome> {
        let outcome = Outcome { name: mutant.name.clone(), verdict, by: by.to_owned() };
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        writeln!(file, "{}", serde_json::to_string(&outcome)?)?;
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        if done.is_multiple_of(100) || verdict == Verdict::Missed {
            let (todo, time) = (self.todo, self.began.elapsed());
            eprintln!("{done} of {todo} after {time:.0?}, {verdict:?}: {}", outcome.name);
        }
        Ok(outcome)
    }

    /// Takes in outcomes.
    fn add(&mut self, outcomes: Vec<Outcome>) {
        self.known.extend(outcomes.into_iter().map(|outcome| (outcome.name.clone(), outcome)));
    }

    /// Judges all mutants: those behind a switch by the tests that reach them, and the others by all tests.
    /// `folder` is there meanwhile.
    ///
    /// # Errors
    /// If a test fails without a mutant, or a program cannot be built or started.
    pub fn judge_all(
        &mut self,
        tree: &Tree,
        built: &Built,
        mutants: &[Mutant],
        folder: &Path,
    ) -> io::Result<()> {
        let tests = reach(&built.programs, folder)?;
        let unreached = self.judge(mutants, &built.mutants, &tests)?;
        let mut alone = Vec::new();
        for (mutant, number) in mutants.iter().zip(0..) {
            let woven = built.mutants.contains(&number);
            if !woven || (unreached.contains(&number) && built.constant.contains(&number)) {
                alone.push(mutant);
            } else if unreached.contains(&number) && !self.has(mutant) {
                let outcome = self.note(mutant, Verdict::Missed, "")?;
                self.add(vec![outcome]);
            }
        }
        eprintln!("{} mutants are compiled by themselves", alone.len());
        let times = tests.into_iter().map(|reach| (reach.test.name, reach.time)).collect();
        self.judge_alone(tree, &alone, &times)
    }

    /// Judges mutants behind switches, each by the tests that reach it. Returns those that none reaches.
    fn judge(
        &mut self,
        mutants: &[Mutant],
        inside: &BTreeSet<u32>,
        tests: &[Reach],
    ) -> io::Result<BTreeSet<u32>> {
        let reached: BTreeSet<u32> =
            tests.iter().flat_map(|reach| reach.mutants.iter().copied()).collect();
        let todo: Vec<u32> = (inside.intersection(&reached).copied())
            .filter(|&number| !self.has(&mutants[number as usize]))
            .collect();
        self.todo = todo.len();
        self.done = AtomicUsize::new(0);
        let outcomes = each(&todo, |&number| {
            let mutant = &mutants[number as usize];
            for reach in tests.iter().filter(|reach| reach.mutants.contains(&number)) {
                let verdict = match reach.test.run(Some(number), limit(reach.time))? {
                    End::Good => continue,
                    End::Failed => Verdict::Caught,
                    End::Late => Verdict::Late,
                };
                return self.note(mutant, verdict, &reach.test.name);
            }
            self.note(mutant, Verdict::Missed, "")
        })?;
        self.add(outcomes);
        Ok(inside - &reached)
    }

    /// Judges mutants that are compiled by themselves. `times`: those of tests without a mutant, by their names.
    fn judge_alone(
        &mut self,
        tree: &Tree,
        mutants: &[&Mutant],
        times: &BTreeMap<String, Duration>,
    ) -> io::Result<()> {
        let todo: Vec<&Mutant> =
            mutants.iter().copied().filter(|mutant| !self.has(mutant)).collect();
        self.todo = todo.len();
        self.done = AtomicUsize::new(0);
        let mut outcomes = Vec::new();
        for mutant in todo {
            let outcome = match tree.alone(mutant)? {
                None => self.note(mutant, Verdict::DoesNotCompile, "")?,
                Some(programs) => {
                    let tests = programs.iter().map(Program::tests);
                    let tests = tests.collect::<io::Result<Vec<_>>>()?.concat();
                    let noticed = Mutex::new(None);
                    let over = AtomicBool::new(false);
                    each(&tests, |test| {
                        // One is enough.
                        if over.load(Ordering::Relaxed) {
                            return Ok(());
                        }
                        let verdict = match test
                            .run(None, times.get(&test.name).map_or(LIMIT, |time| limit(*time)))?
                        {
                            End::Good => return Ok(()),
                            End::Failed => Verdict::Caught,
                            End::Late => Verdict::Late,
                        };
                        over.store(true, Ordering::Relaxed);
                        *noticed.lock().unwrap_or_else(PoisonError::into_inner) =
                            Some((verdict, test.name.clone()));
                        Ok(())
                    })?;
                    let noticed = noticed.into_inner().unwrap_or_else(PoisonError::into_inner);
                    let (verdict, by) = noticed.unwrap_or((Verdict::Missed, String::new()));
                    self.note(mutant, verdict, &by)?
                }
            };
            outcomes.push(outcome);
        }
        self.add(outcomes);
        Ok(())
    }

    /// Returns the outcomes of these mutants.
    pub fn of(&self, mutants: &[Mutant]) -> Vec<&Outcome> {
        mutants.iter().filter_map(|mutant| self.known.get(&mutant.name)).collect()
    }
}

/// Runs all tests once without a mutant. The shortest come first.
fn reach(programs: &[Program], folder: &Path) -> io::Result<Vec<Reach>> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    fs::create_dir_all(folder)?;
    let tests = programs.iter().map(Program::tests).collect::<io::Result<Vec<_>>>()?.concat();
    eprintln!("{} tests run without a mutant, to see what each reaches", tests.len());
    let numbered: Vec<(usize, &Test)> = tests.iter().enumerate().collect();
    let mut reaches = each(&numbered, |(n, test)| {
        let began = Instant::now();
        let reached = test.reach(&folder.join(n.to_string()), LIMIT)?;
        let time = began.elapsed();
        let mutants = reached
            .ok_or_else(|| io::Error::other(format!("{} fails without any mutant", test.name)))?;
        Ok(Reach { test: Test::clone(test), time, mutants: mutants.into_iter().collect() })
    })?;
    reaches.sort_by_key(|reach| reach.time);
    Ok(reaches)
}

/// Does work for each item, as much of it at a time as there are processors.
fn each<T: Sync, R: Send>(
    items: &[T],
    work: impl Fn(&T) -> io::Result<R> + Sync,
) -> io::Result<Vec<R>> {
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::new());
    let workers = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let result = work(item);
                    if result.is_err() {
                        next.store(items.len(), Ordering::Relaxed);
                    }
                    results.lock().unwrap_or_else(PoisonError::into_inner).push(result);
                }
            });
        }
    });
    results.into_inner().unwrap_or_else(PoisonError::into_inner).into_iter().collect()
}
