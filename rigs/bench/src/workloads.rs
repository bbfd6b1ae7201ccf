//! The workloads, and how one is measured.

use std::io;
use std::time::{Duration, Instant};

use crate::figures::Figure;
use crate::load::{Kind, Load, Mark, Shape};
use crate::process::Process;
use crate::servers::{Contender, Server};

/// Lines in flight where they are pipelined: as many as a link takes.
const PIPELINE: usize = 64;

/// Connections that are made at a time.
const AT_ONCE: usize = 16;

/// A kind of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Workload {
    /// 100 clients send, 64 lines in flight each.
    Flood,
    /// One client sends, one line in flight.
    Single,
    /// Lines to 100 clients, 64 in flight each.
    Down,
    /// Clients connect, and leave.
    Accept,
    /// 10,000 clients keep alive.
    Idle,
}

impl Workload {
    pub const ALL: [Self; 5] = [Self::Flood, Self::Single, Self::Down, Self::Accept, Self::Idle];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Flood => "flood",
            Self::Single => "single",
            Self::Down => "down",
            Self::Accept => "accept",
            Self::Idle => "idle",
        }
    }

    /// Returns the servers that do it. The first is the one that the others are compared with.
    pub const fn contenders(self) -> &'static [Contender] {
        use Contender::{Disk, Library, Memory, Mosquitto, Raw};
        match self {
            Self::Flood | Self::Single => &[Raw, Library, Memory, Disk, Mosquitto],
            Self::Accept => &[Raw, Library, Mosquitto],
            Self::Down | Self::Idle => &[Raw, Library],
        }
    }

    fn shape(self, contender: Contender, clients: Option<usize>) -> Shape {
        let hundred = clients.unwrap_or(100);
        let (kind, clients, in_flight) = match self {
            Self::Flood => (Kind::Send, hundred, PIPELINE),
            Self::Single => (Kind::Send, 1, 1),
            Self::Down => (Kind::Answer, hundred, PIPELINE),
            Self::Accept => (Kind::Accept, AT_ONCE, 1),
            Self::Idle => (Kind::Idle, clients.unwrap_or(10_000), 1),
        };
        Shape { kind, wire: contender.wire(), clients, in_flight }
    }

    /// Measures it once. Returns `None` if that server is not installed.
    pub fn measure(
        self,
        contender: Contender,
        clients: Option<usize>,
        time: Duration,
    ) -> io::Result<Option<Vec<Figure>>> {
        let shape = self.shape(contender, clients);
        let writes = if self == Self::Down { PIPELINE } else { 0 };
        let Some(server) = Server::start(contender, writes)? else { return Ok(None) };
        let figures = match self {
            Self::Idle => idle(&server, shape, time)?,
            _ => {
                let mut load = Load::start(shape, server.address)?;
                // To find a rhythm.
                std::thread::sleep(time / 4);
                let work = work(&server.process, &mut load, time)?;
                match self {
                    Self::Accept => vec![
                        ("cpu_us_per_connection", work.cpu * 1e6 / work.count),
                        ("connections_per_s", work.count / work.elapsed),
                    ],
                    _ => traffic(self, &work),
                }
            }
        };
        server.finish()?;
        Ok(Some(figures))
    }
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

fn work(server: &Process, load: &mut Load, time: Duration) -> io::Result<Work> {
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
        ("server_cpu_share", work.cpu / work.elapsed),
        ("load_cpu_share", work.load_cpu / work.elapsed),
    ];
    if workload != Workload::Down {
        figures.push(("p50_us", work.end.p50_us));
        figures.push(("p99_us", work.end.p99_us));
    }
    figures
}

/// Files that a server without clients has open, and a few more.
const FEW_FILES: usize = 40;

/// Longest time until all connections of clients that have left are closed.
const PATIENCE: Duration = Duration::from_secs(30);

fn idle(server: &Server, shape: Shape, time: Duration) -> io::Result<Vec<Figure>> {
    let process = &server.process;
    let each = |bytes: u64| bytes as f64 / shape.clients as f64;
    let empty = process.memory();
    let mut load = Load::start(shape, server.address)?;
    // Lets the connecting be over.
    std::thread::sleep(time);
    let work = work(process, &mut load, time)?;
    let full = process.memory();
    load.0.tell("leave")?;
    load.0.hear()?;
    let began = Instant::now();
    while process.files() > FEW_FILES && began.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(50));
    }
    std::thread::sleep(time);
    let after = process.memory();
    Ok(vec![
        ("server_cpu_share", work.cpu / work.elapsed),
        ("bytes_each", each(full.saturating_sub(empty))),
        ("bytes_each_afterwards", each(after.saturating_sub(empty))),
    ])
}
