//! Measures the log on disk beside a bare loop over SQLite with the same settings, and beside the disk itself, in one
//! run: `cargo run --release -p pblink-serve --example log_speed [FOLDER [ROUNDS]]`.
//!
//! Nothing is asserted. All of them are measured in turns, on the disk of FOLDER (default: where temporary files are).

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use pblink_serve::log::{Commit, Engine, Kind, Line, SessionRow, Sqlite};
use rusqlite::Connection;

type Failure = Box<dyn std::error::Error>;

/// Each measurement lasts as long.
const TIME: Duration = Duration::from_secs(1);

/// Lines of a commit.
const BATCHES: [u64; 3] = [1, 100, 4096];

const CLIENTS: u64 = 100;

/// Something that makes a batch of lines durable.
trait Contender {
    fn commit(&mut self, first: u64, lines: u64) -> Result<(), Failure>;
}

struct Engined {
    log: Sqlite,
    clients: Vec<Arc<str>>,
    text: Arc<str>,
    /// With the sessions that belong to the lines, as a server has it.
    sessions: bool,
}

impl Contender for Engined {
    fn commit(&mut self, first: u64, lines: u64) -> Result<(), Failure> {
        let client = |n: u64| Arc::clone(&self.clients[(n % CLIENTS) as usize]);
        let mut commit = Commit::default();
        commit.lines.extend((first..first + lines).map(|offset| Line {
            offset,
            client: client(offset),
            epoch: 1,
            seq: offset,
            at_ms: 1_800_000_000_000 + offset,
            kind: Kind::Line,
            written_ms: None,
            text: Arc::clone(&self.text),
        }));
        if self.sessions {
            commit.sessions.extend((first..first + lines.min(CLIENTS)).map(|n| {
                let state = Some(vec![n as u8; 300]);
                (
                    client(n),
                    SessionRow { state, epoch: 1, seq: n, last_line: n, ..SessionRow::default() },
                )
            }));
        }
        Ok(self.log.commit(&commit)?)
    }
}

/// The least that SQLite can be asked for.
struct Bare {
    db: Connection,
    clients: Vec<Arc<str>>,
    text: Arc<str>,
}

impl Bare {
    fn open(path: &Path, clients: Vec<Arc<str>>, text: Arc<str>) -> Result<Self, Failure> {
        let db = Connection::open(path)?;
        db.query_row("PRAGMA journal_mode=WAL", [], |_| Ok(()))?;
        db.execute_batch(
            "PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=1000; PRAGMA cache_size=-8192;
             CREATE TABLE lines (offset INTEGER PRIMARY KEY, client TEXT, epoch INTEGER, seq INTEGER,
             at_ms INTEGER, kind INTEGER, text TEXT)",
        )?;
        Ok(Self { db, clients, text })
    }
}

impl Contender for Bare {
    fn commit(&mut self, first: u64, lines: u64) -> Result<(), Failure> {
        let tx = self.db.transaction()?;
        let mut insert =
            tx.prepare_cached("INSERT INTO lines VALUES (?1, ?2, 1, ?3, ?4, 0, ?5)")?;
        for offset in first..first + lines {
            let client = &self.clients[(offset % CLIENTS) as usize];
            insert.execute((offset, client, offset, 1_800_000_000_000 + offset, &self.text))?;
        }
        drop(insert);
        Ok(tx.commit()?)
    }
}

/// The disk itself: as many bytes as the lines have, at least a page, over those that were there.
struct Disk(File);

impl Contender for Disk {
    fn commit(&mut self, first: u64, lines: u64) -> Result<(), Failure> {
        let bytes = vec![first as u8; (lines * 100).next_multiple_of(4096) as usize];
        self.0.write_all_at(&bytes, first % 4 * 4096)?;
        Ok(self.0.sync_data()?)
    }
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

fn main() -> Result<(), Failure> {
    let mut args = std::env::args().skip(1);
    let above = args.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let rounds: usize = args.next().map_or(Ok(5), |rounds| rounds.parse())?;
    let folder = tempfile::tempdir_in(above)?;
    let clients: Vec<Arc<str>> = (0..CLIENTS).map(|n| format!("client-{n:03}").into()).collect();
    let text: Arc<str> = "t=21.5 rh=45.0 p=1013.2 battery=3.71 seq=000017 ok".into();
    let engine = |name: &str, sessions| -> Result<_, Failure> {
        let log = Sqlite::open(&folder.path().join(name))?;
        let (clients, text) = (clients.clone(), Arc::clone(&text));
        Ok(Box::new(Engined { log, clients, text, sessions }))
    };
    let bare = Bare::open(&folder.path().join("bare.db"), clients.clone(), Arc::clone(&text))?;
    let disk = folder.path().join("disk");
    let disk = OpenOptions::new().write(true).create_new(true).open(disk)?;
    disk.write_all_at(&vec![0; 1 << 20], 0)?;
    let mut contenders: Vec<(&str, Box<dyn Contender>, u64)> = vec![
        ("bare loop", Box::new(bare), 1),
        ("engine", engine("lines", false)?, 1),
        ("engine, sessions too", engine("all", true)?, 1),
        ("fdatasync alone", Box::new(Disk(disk)), 1),
    ];
    for lines in BATCHES {
        let mut found = vec![Vec::new(); contenders.len()];
        for round in 0..=rounds {
            for (at, (_, contender, next)) in contenders.iter_mut().enumerate() {
                let commits = measure(contender.as_mut(), next, lines)?;
                // The first one lets files grow.
                if round > 0 {
                    found[at].push(commits);
                }
            }
        }
        println!("{lines} lines a commit, median of {rounds} rounds");
        let of = |at: usize| -> Vec<f64> {
            found[at].iter().zip(&found[0]).map(|(value, bare)| value / bare).collect()
        };
        for (at, (name, ..)) in contenders.iter().enumerate() {
            let commits = median(found[at].clone());
            println!(
                "  {name:<24}{commits:>10.0} commits/s{:>12.0} lines/s{:>8.3} ms{:>8.2} × bare loop",
                commits * lines as f64,
                1000.0 / commits,
                median(of(at)),
            );
        }
    }
    Ok(())
}
