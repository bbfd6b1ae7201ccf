//! One row: a server, the well-behaved, the abuse, and what the server uses.

use std::io;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, prlimit};
use tokio::time::sleep;

use super::good::{self, Account, CLIENTS};
use super::rows::Row;
use super::table::Figures;
use crate::process::{ABUSE, Process};
use crate::servers::pblink::program;
use crate::servers::{free_address, wait};

/// Time between two looks at the server.
const LOOK: Duration = Duration::from_millis(100);

/// The length of a halt or of a full disk.
const SECOND: Duration = Duration::from_secs(1);

/// Time that the well-behaved have to connect.
const PATIENCE: Duration = Duration::from_secs(30);

/// Measures a row. Returns `None` if there is no `pblink` beside this program.
pub fn measure(row: Row, time: Duration) -> io::Result<Option<Figures>> {
    let Some((server, link, control)) = start(row)? else { return Ok(None) };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let account = Arc::<Account>::default();
    let clients = runtime.block_on(async { good::start(link, &account) });
    let connected = || account.connected.load(Ordering::Relaxed) >= CLIENTS as u64;
    let began = Instant::now();
    while !connected() {
        if began.elapsed() > PATIENCE {
            return Err(io::Error::other("the well-behaved clients cannot connect"));
        }
        runtime.block_on(async { sleep(LOOK).await });
    }
    let words = [row.name().to_owned(), link.to_string(), control.to_string()];
    let mut abuse = Process::role(ABUSE, &words)?;
    // It says so when it is at full strength.
    abuse.hear()?;
    let mut figures = Figures::of(row);
    account.counts.store(true, Ordering::Relaxed);
    let (began, cpu) = (Instant::now(), server.cpu());
    let mut faults = Faults { row, pid: pid(&server)?, began: None, over: false };
    while began.elapsed() < time {
        faults.act()?;
        runtime.block_on(async { sleep(LOOK).await });
        figures.megabytes = figures.megabytes.max(server.memory() as f64 / 1e6);
        figures.descriptors = figures.descriptors.max(server.files());
    }
    account.counts.store(false, Ordering::Relaxed);
    let took = began.elapsed().as_secs_f64();
    figures.cores = (server.cpu() - cpu).as_secs_f64() / took;
    figures.abuse_a_second = abuse.finish()?.parse().unwrap_or(0.0) / took;
    figures.p50_ms = account.percentile(0.5).as_secs_f64() * 1e3;
    figures.p99_ms = account.percentile(0.99).as_secs_f64() * 1e3;
    figures.lines_a_second = account.acked.load(Ordering::Relaxed) as f64 / took;
    figures.drops = account.drops.load(Ordering::Relaxed);
    drop(clients);
    Ok(Some(figures))
}

fn start(row: Row) -> io::Result<Option<(Process, SocketAddr, SocketAddr)>> {
    let Some(program) = program() else { return Ok(None) };
    let (link, control) = (free_address(), free_address());
    let folder = tempfile::tempdir()?;
    let mut command = match row.descriptors() {
        Some(most) => {
            let mut shell = Command::new("sh");
            shell.arg("-c").arg(format!("ulimit -n {most} && exec \"$0\" \"$@\"")).arg(program);
            shell
        }
        None => Command::new(program),
    };
    // Nobody's settings.
    command
        .current_dir(folder.path())
        .env("HOME", folder.path())
        .env("XDG_CONFIG_HOME", folder.path())
        .env("XDG_RUNTIME_DIR", folder.path())
        .args(["serve", "--app", "echo", "--listen", &link.to_string()])
        .args(["--control", &control.to_string(), "--state"])
        .arg(folder.path().join("state"))
        .stderr(Stdio::null());
    if row.is_closed() {
        for n in 0..CLIENTS {
            command.args(["--client", &good::id(n)]);
        }
    } else {
        command.arg("--any-client");
    }
    let mut process = Process::start(command)?.with_folder(folder);
    // Somebody has to read what it prints.
    process.count_bytes(b'\n', None);
    wait(link)?;
    wait(control)?;
    Ok(Some((process, link, control)))
}

fn pid(server: &Process) -> io::Result<Pid> {
    Pid::from_raw(server.id().cast_signed()).ok_or_else(|| io::ErrorKind::NotFound.into())
}

/// Faults of the machine, which no client makes.
struct Faults {
    row: Row,
    pid: Pid,
    began: Option<Instant>,
    over: bool,
}

impl Faults {
    /// Begins the row's fault, and ends it after a second.
    fn act(&mut self) -> io::Result<()> {
        match self.began {
            _ if self.over => Ok(()),
            None => {
                self.began = Some(Instant::now());
                self.set(true)
            }
            Some(began) if began.elapsed() >= SECOND => {
                self.over = true;
                self.set(false)
            }
            Some(_) => Ok(()),
        }
    }

    fn set(&self, wrong: bool) -> io::Result<()> {
        match self.row {
            Row::Stall => {
                Ok(kill_process(self.pid, if wrong { Signal::STOP } else { Signal::CONT })?)
            }
            Row::Disk => {
                // The server has our limit.
                let ours = getrlimit(Resource::Fsize);
                let limit = if wrong { Rlimit { current: Some(0), ..ours } } else { ours };
                prlimit(Some(self.pid), Resource::Fsize, limit)?;
                Ok(())
            }
            _ => Ok(()),
        }
    }
}
