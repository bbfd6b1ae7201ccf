//! Campaigns: thousands of random scenes over all processors, with records that outlive the process.

use std::collections::{BTreeMap, VecDeque};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError, mpsc};

use pblink_protocol::time::Duration;
use serde::{Deserialize, Serialize};

use crate::flaw::Flaw;
use crate::ledger::Totals;
use crate::scene::{Chances, Link, Report, Scene};

/// The task of a campaign. Its file begins with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The first seed.
    pub from: u32,
    /// The number of seeds. Each is run once for each link.
    pub seeds: u32,
    /// The time for which programs write in each run, in ms.
    pub length_ms: u64,
}

/// The links of which each seed has a run.
const LINKS: [Link; 2] = [Link::Classic, Link::Secure];

impl Plan {
    /// Returns the number of runs.
    pub fn runs(&self) -> u64 {
        u64::from(self.seeds) * LINKS.len() as u64
    }
}

/// One run of a campaign. The order is that of a campaign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Run {
    seed: u32,
    link: Link,
}

/// The outcome of a run, as the file has it: a line each.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Record {
    #[serde(flatten)]
    run: Run,
    simulated_ms: u64,
    faults: u64,
    totals: Totals,
    failure: Option<String>,
}

/// The sums of some runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Sums {
    /// Runs that are done.
    pub runs: u64,
    /// Hours that passed in them.
    pub hours: f64,
    /// Faults that happened.
    pub faults: u64,
    /// Lines that were written.
    pub lines: u64,
    /// Lines that have not arrived: fewer than the exceptions of the link allow, unless a run has failed.
    pub missing: u64,
    /// Lines that arrived twice: likewise.
    pub duplicated: u64,
}

impl Sums {
    fn add(&mut self, record: &Record) {
        self.runs += 1;
        self.hours += record.simulated_ms as f64 / 3_600_000.0;
        self.faults += record.faults;
        self.lines += record.totals.written;
        self.missing += record.totals.missing;
        self.duplicated += record.totals.duplicated;
    }
}

/// A run that has failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failed {
    /// Its seed.
    pub seed: u32,
    /// Its link.
    pub link: Link,
    /// The demand that is not met.
    pub what: String,
    /// The command that makes a scene of it.
    pub command: String,
}

/// The state of a campaign.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// The task.
    #[serde(flatten)]
    pub plan: Plan,
    /// True if all runs are done.
    pub complete: bool,
    /// Runs without keys.
    pub classic: Sums,
    /// Runs with keys.
    pub secure: Sums,
    /// Runs that have failed, by seed.
    pub failed: Vec<Failed>,
}

/// A campaign, and its file.
#[derive(Debug)]
pub struct Campaign {
    plan: Plan,
    file: File,
    done: BTreeMap<Run, Record>,
}

impl Campaign {
    /// Opens the file of a campaign, or makes it. Runs that it has are not run again; one whose record was cut off is.
    ///
    /// # Errors
    /// If the file cannot be read or written, or is that of another plan.
    pub fn open(path: &Path, plan: Plan) -> io::Result<Self> {
        let options =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).to_owned();
        let mut file = options.open(path)?;
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        let whole = text.rfind('\n').map_or(0, |at| at + 1);
        let mut lines = text[..whole].lines();
        let invalid = |why: String| io::Error::new(io::ErrorKind::InvalidData, why);
        if let Some(head) = lines.next() {
            let found: Plan = serde_json::from_str(head)
                .map_err(|e| invalid(format!("line 1 is no plan of a campaign: {e}")))?;
            if found != plan {
                return Err(invalid(format!("it has another plan: {head}")));
            }
        }
        let mut done = BTreeMap::new();
        for (n, line) in lines.enumerate() {
            let record: Record = serde_json::from_str(line)
                .map_err(|e| invalid(format!("line {} is no record: {e}", n + 2)))?;
            done.insert(record.run, record);
        }
        file.set_len(whole as u64)?;
        file.seek(SeekFrom::End(0))?;
        let mut campaign = Self { plan, file, done };
        if whole == 0 {
            campaign.append(&plan)?;
        }
        Ok(campaign)
    }

    fn append(&mut self, line: &impl Serialize) -> io::Result<()> {
        self.file.write_all(format!("{}\n", serde_json::to_string(line)?).as_bytes())
    }

    /// Runs all that is not done yet on so many threads, and shows the state after each run; `stop` ends it after those that are
    /// under way.
    ///
    /// # Errors
    /// If a record cannot be written.
    pub fn run(
        &mut self,
        threads: usize,
        flaw: Option<Flaw>,
        stop: &AtomicBool,
        mut each: impl FnMut(&Summary),
    ) -> io::Result<Summary> {
        let plan = self.plan;
        let seeds = (0..plan.seeds).map(|n| plan.from.wrapping_add(n));
        let all = seeds.flat_map(|seed| LINKS.map(|link| Run { seed, link }));
        let left: VecDeque<Run> = all.filter(|run| !self.done.contains_key(run)).collect();
        let left = Mutex::new(left);
        let (sender, records) = mpsc::channel();
        std::thread::scope(|scope| {
            for _ in 0..threads.max(1) {
                let (sender, left) = (sender.clone(), &left);
                scope.spawn(move || {
                    let next = || left.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                    while !stop.load(Ordering::Relaxed)
                        && let Some(run) = next()
                        && sender.send(record(plan, run, flaw)).is_ok()
                    {}
                });
            }
            drop(sender);
            for record in records {
                if let Err(error) = self.append(&record) {
                    stop.store(true, Ordering::Relaxed);
                    return Err(error);
                }
                self.done.insert(record.run, record);
                each(&self.summary());
            }
            Ok(())
        })?;
        Ok(self.summary())
    }

    /// Returns the sums of all runs that are done.
    pub fn summary(&self) -> Summary {
        let (mut classic, mut secure) = (Sums::default(), Sums::default());
        for record in self.done.values() {
            match record.run.link {
                Link::Classic => classic.add(record),
                Link::Secure | Link::SecureReal => secure.add(record),
            }
        }
        let failed = self.done.values().filter_map(|record| {
            let (Run { seed, link }, what) = (record.run, record.failure.clone()?);
            Some(Failed { seed, link, what, command: self.command(seed, link) })
        });
        let complete = self.done.len() as u64 == self.plan.runs();
        Summary { plan: self.plan, complete, classic, secure, failed: failed.collect() }
    }

    fn command(&self, seed: u32, link: Link) -> String {
        let Plan { length_ms, .. } = self.plan;
        format!(
            "pblink simulate --seed {seed} --for {length_ms}ms --link {link} --minimise seed-{seed}.toml"
        )
    }
}

fn record(plan: Plan, run: Run, flaw: Option<Flaw>) -> Record {
    let Run { seed, link } = run;
    let length = Duration::from_millis(plan.length_ms);
    let scene = Scene::random(&format!("seed-{seed}"), &Chances { seed, length, link });
    let Report { simulated_ms, faults, totals, failure, .. } = scene.run_telling(flaw, |_| {});
    Record { run, simulated_ms, faults, totals, failure: failure.map(|failure| failure.what) }
}
