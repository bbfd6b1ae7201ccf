//! Measures the log on disk beside a bare loop over SQLite with the same settings, and beside the disk itself, in one
//! run: `cargo run --release -p pblink-serve --example log_speed [FOLDER [ROUNDS]]`.
//!
//! Nothing is asserted. All of them are measured in turns, on the disk of FOLDER (default: where temporary files are).

mod contest;

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use contest::{Commits, Contender, Failure, TEXT, compare};
use pblink_serve::log::{Engine, Sqlite};
use rusqlite::Connection;

struct Engined {
    log: Sqlite,
    commits: Commits,
    /// With the sessions that belong to the lines, as a server has it.
    sessions: bool,
}

impl Contender for Engined {
    fn commit(&mut self, first: u64, lines: u64) -> Result<(), Failure> {
        Ok(self.log.commit(&self.commits.of(first, lines, self.sessions))?)
    }
}

/// The least that SQLite can be asked for.
struct Bare {
    db: Connection,
    commits: Commits,
}

impl Bare {
    fn open(path: &Path) -> Result<Self, Failure> {
        let db = Connection::open(path)?;
        db.query_row("PRAGMA journal_mode=WAL", [], |_| Ok(()))?;
        db.execute_batch(
            "PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=1000; PRAGMA cache_size=-8192;
             CREATE TABLE lines (offset INTEGER PRIMARY KEY, client TEXT, epoch INTEGER, seq INTEGER,
             at_ms INTEGER, kind INTEGER, text TEXT)",
        )?;
        Ok(Self { db, commits: Commits::new() })
    }
}

impl Contender for Bare {
    fn commit(&mut self, first: u64, lines: u64) -> Result<(), Failure> {
        let tx = self.db.transaction()?;
        let mut insert =
            tx.prepare_cached("INSERT INTO lines VALUES (?1, ?2, 1, ?3, ?4, 0, ?5)")?;
        for offset in first..first + lines {
            let client = self.commits.client(offset);
            insert.execute((offset, client, offset, 1_800_000_000_000 + offset, TEXT))?;
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

fn main() -> Result<(), Failure> {
    let mut args = std::env::args().skip(1);
    let above = args.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let rounds: usize = args.next().map_or(Ok(5), |rounds| rounds.parse())?;
    let folder = tempfile::tempdir_in(above)?;
    let engine = |name: &str, sessions| -> Result<_, Failure> {
        let log = Sqlite::open(&folder.path().join(name))?;
        Ok(Box::new(Engined { log, commits: Commits::new(), sessions }))
    };
    let disk = folder.path().join("disk");
    let disk = OpenOptions::new().write(true).create_new(true).open(disk)?;
    disk.write_all_at(&vec![0; 1 << 20], 0)?;
    let contenders: Vec<(&str, Box<dyn Contender>)> = vec![
        ("bare loop", Box::new(Bare::open(&folder.path().join("bare.db"))?)),
        ("engine", engine("lines", false)?),
        ("engine, sessions too", engine("all", true)?),
        ("fdatasync alone", Box::new(Disk(disk))),
    ];
    compare(contenders, rounds)
}
