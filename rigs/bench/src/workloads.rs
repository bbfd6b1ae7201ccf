//! The workloads, and how one is measured.

use std::io;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::disk::sync_times;
use crate::figures::Figure;
use crate::load::{KEEPALIVE, Kind, Load, Mark, Shape};
use crate::outages::{outage, restart};
use crate::servers::stores::{Stores, Stream};
use crate::servers::{Contender, Server, Work as Job};

/// Lines in flight where they are pipelined: as many as a link takes.
const PIPELINE: usize = 64;

/// Connections that are made at a time.
const AT_ONCE: usize = 16;

/// Lines a second of a program that reads what a server prints, and does a little with each.
const PACE: u32 = 200_000;

/// A kind of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Workload {
    /// 100 clients send, 64 lines in flight each.
    Flood,
    /// One client sends, one line in flight.
    Single,
    /// 100 clients send 20,000 lines a second together.
    Steady,
    /// As `Flood`, and the server prints all lines.
    Print,
    /// As `Print`, to a program that takes [`PACE`] lines a second.
    Paced,
    /// Lines to 100 clients, 64 in flight each.
    Down,
    /// Clients connect, and leave.
    Accept,
    /// 10,000 clients keep alive.
    Idle,
    /// 1,000 clients keep alive, and the server is killed and started again.
    Restart,
    /// 100 clients fall silent, and come back.
    Outage,
}

impl Workload {
    pub const ALL: [Self; 10] = [
        Self::Flood,
        Self::Single,
        Self::Steady,
        Self::Print,
        Self::Paced,
        Self::Down,
        Self::Accept,
        Self::Idle,
        Self::Restart,
        Self::Outage,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Flood => "flood",
            Self::Single => "single",
            Self::Steady => "steady",
            Self::Print => "print",
            Self::Paced => "paced",
            Self::Down => "down",
            Self::Accept => "accept",
            Self::Idle => "idle",
            Self::Restart => "restart",
            Self::Outage => "outage",
        }
    }

    /// Returns what is done, in words. `clients`: another number of them than the usual one.
    pub fn what(self, clients: Option<usize>) -> String {
        let of = |usual: usize| match clients.unwrap_or(usual) {
            1 => "1 client".to_owned(),
            n => format!("{n} clients"),
        };
        match self {
            Self::Flood => format!("{}, 64 lines in flight each", of(100)),
            Self::Single => "one client sends, one line in flight".to_owned(),
            Self::Steady => format!("{}, 20,000 lines a second together", of(100)),
            Self::Print => "as flood, and the server prints all lines".to_owned(),
            Self::Paced => "as print, to a program that takes 200,000 lines a second".to_owned(),
            Self::Down => format!("lines to {}, 64 in flight each", of(100)),
            Self::Accept => "clients connect, and leave".to_owned(),
            Self::Idle => format!("{} keep alive", of(10_000)),
            Self::Restart => {
                format!("{} keep alive, the server is killed and started again", of(1000))
            }
            Self::Outage => format!("{} fall silent without closing, and come back", of(100)),
        }
    }

    /// Returns the servers that do it. The first is the one that the others are compared with, unless they have
    /// [another](Self::base).
    pub const fn contenders(self) -> &'static [Contender] {
        use Contender::{
            Batches, Disk, Gateways, Jetstream, Library, Memory, Mosquitto, MosquittoOnce, Raw,
            Reader, Serve, ServeDisk, Shared,
        };
        match self {
            Self::Print | Self::Paced => &[Raw, Serve, ServeDisk],
            Self::Flood => &[
                Raw,
                Reader,
                Library,
                Batches,
                Memory,
                Disk,
                Jetstream,
                Shared,
                Gateways,
                Mosquitto,
                MosquittoOnce,
            ],
            Self::Single => {
                &[Raw, Library, Memory, Disk, Jetstream, Shared, Gateways, Mosquitto, MosquittoOnce]
            }
            Self::Steady => &[Raw, Library, Memory, Disk, Shared, Gateways, Mosquitto],
            Self::Accept => &[Raw, Library, Mosquitto],
            Self::Idle => &[Raw, Library, Memory, Mosquitto],
            Self::Restart => &[Raw, Library, Memory, Disk, Serve, ServeDisk, Mosquitto],
            // A raw server never notices.
            Self::Outage => &[Library, Memory, Disk, Mosquitto],
            Self::Down => &[Raw, Library, Jetstream, Mosquitto],
        }
    }

    /// Returns the server that this one is compared with.
    pub const fn base(self, contender: Contender) -> Contender {
        match (self, contender) {
            (Self::Flood, Contender::Shared | Contender::Gateways) => Contender::Jetstream,
            _ => self.contenders()[0],
        }
    }

    fn shape(self, contender: Contender, clients: Option<usize>) -> Shape {
        let hundred = clients.unwrap_or(100);
        let (kind, clients, in_flight) = match self {
            Self::Flood | Self::Print | Self::Paced => (Kind::Send, hundred, PIPELINE),
            Self::Steady => (Kind::Steady, hundred, PIPELINE),
            Self::Single => (Kind::Send, 1, 1),
            Self::Down => (Kind::Answer, hundred, PIPELINE),
            Self::Accept => (Kind::Accept, AT_ONCE, 1),
            Self::Idle => (Kind::Idle, clients.unwrap_or(10_000), 1),
            Self::Restart => (Kind::Restart, clients.unwrap_or(1000), 1),
            Self::Outage => (Kind::Outage, hundred, 1),
        };
        let kind = match (self, contender) {
            (Self::Single, Contender::Jetstream) => Kind::Publish,
            (Self::Down, Contender::Jetstream) => Kind::Consume,
            (Self::Down, Contender::Mosquitto) => Kind::Subscribe,
            (_, Contender::Jetstream) => Kind::Batches,
            _ => kind,
        };
        let (wire, keepalive) = (contender.wire(), KEEPALIVE);
        Shape { kind, wire, clients, in_flight, first: 0, keepalive }
    }

    /// Measures it once. Returns `None` if that server is not installed.
    pub fn measure(
        self,
        contender: Contender,
        clients: Option<usize>,
        time: Duration,
        stores: &Stores,
    ) -> io::Result<Option<Vec<Figure>>> {
        let shape = self.shape(contender, clients);
        let job = match self {
            Self::Down => Job::Write(PIPELINE),
            Self::Print | Self::Paced => Job::Print,
            _ => Job::Accept,
        };
        let sync = match (self, contender) {
            (Self::Single | Self::Steady, Contender::Disk) => Some(sync_times(time / 4)?),
            _ => None,
        };
        let Some(mut server) = Server::start(contender, job, stores)? else { return Ok(None) };
        let figures = match self {
            Self::Restart => return restart(server, shape, time).map(Some),
            Self::Outage => return outage(server, shape, time).map(Some),
            Self::Idle => idle(&server, shape, time)?,
            Self::Print => print(&mut server, shape, time, None)?,
            Self::Paced => print(&mut server, shape, time, Some(PACE))?,
            _ => {
                let stream = server.stream.as_ref().map(|stream| &*stream.name);
                let mut load = Load::start(shape, &server.addresses, stream)?;
                // To find a rhythm.
                std::thread::sleep(time / 4);
                let of_nats = || server.stream.as_ref().map(Stream::cpu).unwrap_or_default();
                let nats = of_nats();
                let mut work = work(&server, &mut load, time)?;
                let nats = of_nats().saturating_sub(nats).as_secs_f64();
                if server.processes.is_empty() {
                    // NATS alone is the server.
                    work.cpu = nats;
                }
                let mut figures = match self {
                    Self::Accept => vec![
                        ("cpu_us_per_connection", work.cpu * 1e6 / work.count),
                        ("connections_per_s", work.count / work.elapsed),
                    ],
                    _ => traffic(self, &work),
                };
                if server.processes.is_empty() {
                    figures.retain(|figure| figure.0 != "server_cpu_share");
                }
                if server.stream.is_some() {
                    figures.push(("nats_cpu_share", nats / work.elapsed));
                }
                if let Some((p50, p99)) = sync {
                    figures.push(("fdatasync_p50_us", p50));
                    figures.push(("fdatasync_p99_us", p99));
                    figures.push(("p50_by_fdatasync", work.end.us(0.5) / p50));
                }
                figures
            }
        };
        server.finish()?;
        Ok(Some(figures))
    }
}

/// Measures clients that send, in any shape. Returns lines a second, and the server's processor time for each in µs; `None` if that
/// server is not installed.
pub fn flood(
    contender: Contender,
    shape: Shape,
    time: Duration,
    stores: &Stores,
) -> io::Result<Option<(f64, f64)>> {
    let Some(server) = Server::start(contender, Job::Accept, stores)? else { return Ok(None) };
    let mut load = Load::start(shape, &server.addresses, None)?;
    // To find a rhythm.
    std::thread::sleep(time / 4);
    let work = work(&server, &mut load, time)?;
    drop(load);
    server.finish()?;
    Ok(Some((work.count / work.elapsed, work.cpu * 1e6 / work.count)))
}

/// Work done within some time.
struct Work {
    count: f64,
    elapsed: f64,
    /// Processor time of the server, in seconds.
    cpu: f64,
    /// That of the clients.
    load_cpu: f64,
    end: Mark,
}

fn work(server: &Server, load: &mut Load, time: Duration) -> io::Result<Work> {
    let (cpu, load_cpu) = (server.cpu(), load.0.cpu());
    let (before, began) = (load.mark()?, Instant::now());
    std::thread::sleep(time);
    let (end, elapsed) = (load.mark()?, began.elapsed());
    Ok(Work {
        count: (end.count - before.count) as f64,
        elapsed: elapsed.as_secs_f64(),
        cpu: server.cpu().saturating_sub(cpu).as_secs_f64(),
        load_cpu: load.0.cpu().saturating_sub(load_cpu).as_secs_f64(),
        end,
    })
}

fn traffic(workload: Workload, work: &Work) -> Vec<Figure> {
    let mut figures = vec![
        ("lines_per_s", work.count / work.elapsed),
        ("lines_per_cpu_s", work.count / work.cpu),
        ("lines_per_load_cpu_s", work.count / work.load_cpu),
        ("server_cpu_share", work.cpu / work.elapsed),
        ("load_cpu_share", work.load_cpu / work.elapsed),
    ];
    // Less than a tick of the processes' clock.
    figures.retain(|figure| figure.1.is_finite());
    if workload != Workload::Down {
        figures.push(("p50_us", work.end.us(0.5)));
        figures.push(("p99_us", work.end.us(0.99)));
    }
    figures
}

/// Lines that are printed, as far as their reader has them. `ahead`: lines that were printed and not acknowledged, at
/// the end; more than are in flight would be lines that were printed twice.
/// `pace`: lines a second that the reader takes.
fn print(
    server: &mut Server,
    shape: Shape,
    time: Duration,
    pace: Option<u32>,
) -> io::Result<Vec<Figure>> {
    // Which each line of the clients has once, and nothing else that is printed.
    let printed = server.processes[0].count_bytes(b'[', pace);
    let mut load = Load::start(shape, &server.addresses, None)?;
    // The first line of each client is not counted as one of those in flight.
    let first = shape.clients as u64;
    std::thread::sleep(time / 4);
    let before = printed.load(Ordering::Relaxed);
    let work = work(server, &mut load, time)?;
    let after = printed.load(Ordering::Relaxed);
    let acknowledged = load.mark()?.count;
    drop(load);
    // The rest, in the pipe.
    std::thread::sleep(time / 4);
    let ahead = printed.load(Ordering::Relaxed) as f64 - (acknowledged + first) as f64;
    let mut figures = traffic(Workload::Print, &work);
    figures.insert(0, ("printed_per_s", (after - before) as f64 / work.elapsed));
    figures.push(("ahead", ahead));
    Ok(figures)
}

/// The server looks each second whether there is memory to be given back.
const LOOK: Duration = Duration::from_secs(3);

/// Files that a server without clients has open, and a few more.
const FEW_FILES: usize = 40;

/// Longest time until all connections of clients that have left are closed.
const PATIENCE: Duration = Duration::from_secs(30);

fn idle(server: &Server, shape: Shape, time: Duration) -> io::Result<Vec<Figure>> {
    let process = &server.processes[0];
    let each = |bytes: u64| bytes as f64 / shape.clients as f64;
    let empty = process.memory();
    let mut load = Load::start(shape, &server.addresses, None)?;
    // Lets the connecting be over.
    std::thread::sleep(time);
    let work = work(server, &mut load, time)?;
    let full = process.memory();
    load.0.tell("leave")?;
    load.0.hear()?;
    let began = Instant::now();
    while process.files() > FEW_FILES && began.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(50));
    }
    std::thread::sleep(LOOK);
    let after = process.memory();
    Ok(vec![
        ("server_cpu_share", work.cpu / work.elapsed),
        ("bytes_each", each(full.saturating_sub(empty))),
        ("bytes_each_afterwards", each(after.saturating_sub(empty))),
    ])
}
