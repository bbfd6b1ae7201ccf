//! Ways to make lines durable, measured in turns.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pblink_serve::log::{Commit, Kind, Line, SessionRow};

pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Each measurement lasts as long.
const TIME: Duration = Duration::from_secs(1);

/// Lines of a commit.
const BATCHES: [u64; 3] = [1, 100, 4096];

pub const CLIENTS: u64 = 100;

pub const TEXT: &str = "t=21.5 rh=45.0 p=1013.2 battery=3.71 seq=000017 ok";

/// Something that makes a batch of lines durable.
pub trait Contender {
    fn commit(&mut self, first: u64, lines: u64) -> Result<(), Failure>;
}

/// Makes commits as a server has them.
pub struct Commits {
    clients: Vec<Arc<str>>,
    text: Arc<str>,
}

impl Commits {
    pub fn new() -> Self {
        let clients = (0..CLIENTS).map(|n| format!("client-{n:03}").into()).collect();
        Self { clients, text: TEXT.into() }
    }

    pub fn client(&self, n: u64) -> Arc<str> {
        Arc::clone(&self.clients[(n % CLIENTS) as usize])
    }

    /// Returns a commit of lines, with the sessions that belong to them if they are wanted.
    pub fn of(&self, first: u64, lines: u64, sessions: bool) -> Commit {
        let mut commit = Commit::default();
        commit.lines.extend((first..first + lines).map(|offset| Line {
            offset,
            client: self.client(offset),
            epoch: 1,
            seq: offset,
            at_ms: 1_800_000_000_000 + offset,
            kind: Kind::Line,
            written_ms: None,
            text: Arc::clone(&self.text),
        }));
        if sessions {
            commit.sessions.extend((first..first + lines.min(CLIENTS)).map(|n| {
                let state = Some(vec![n as u8; 300]);
                let row =
                    SessionRow { state, epoch: 1, seq: n, last_line: n, ..SessionRow::default() };
                (self.client(n), row)
            }));
        }
        commit
    }
}

/// Measures all of them in turns, and prints each beside the first.
pub fn compare(
    mut contenders: Vec<(&str, Box<dyn Contender>)>,
    rounds: usize,
) -> Result<(), Failure> {
    let mut next = vec![1; contenders.len()];
    for lines in BATCHES {
        let mut found = vec![Vec::new(); contenders.len()];
        for round in 0..=rounds {
            for (at, (_, contender)) in contenders.iter_mut().enumerate() {
                let commits = measure(contender.as_mut(), &mut next[at], lines)?;
                // The first one lets files grow.
                if round > 0 {
                    found[at].push(commits);
                }
            }
        }
        println!("{lines} lines a commit, median of {rounds} rounds");
        for (at, (name, _)) in contenders.iter().enumerate() {
            let commits = median(found[at].clone());
            let ratios = found[at].iter().zip(&found[0]).map(|(value, first)| value / first);
            println!(
                "  {name:<24}{commits:>10.0} commits/s{:>12.0} lines/s{:>9.3} ms{:>8.2} × {}",
                commits * lines as f64,
                1000.0 / commits,
                median(ratios.collect()),
                contenders[0].0,
            );
        }
    }
    Ok(())
}

/// Returns commits in a second.
fn measure(contender: &mut dyn Contender, next: &mut u64, lines: u64) -> Result<f64, Failure> {
    let (began, mut commits) = (Instant::now(), 0);
    while began.elapsed() < TIME {
        contender.commit(*next, lines)?;
        *next += lines;
        commits += 1;
    }
    Ok(f64::from(commits) / began.elapsed().as_secs_f64())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}
