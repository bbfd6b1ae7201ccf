//! The clients, all in one process on one thread, where no library is in the way: as cheap as can be, so that they are not what is
//! measured.

mod accept;
mod answer;
mod batches;
mod boards;
pub mod client;
mod consume;
mod idle;
mod outage;
mod publish;
mod restart;
mod send;
mod steady;
mod subscribe;

use std::convert::Infallible;
use std::io::{self, BufRead};
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use pblink_soak::jetstream::Failure;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::histogram::Histogram;
use crate::process::{LOAD, Process, open_many_files};
use crate::pump::Totals;
use crate::wire::Wire;

/// A kind of traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Lines to the server, so many in flight.
    Send,
    /// Lines to the server, at a fixed pace.
    Steady,
    /// Lines from the server, acknowledged.
    Answer,
    /// Connections, one after the other.
    Accept,
    /// Keepalives only.
    Idle,
    /// Keepalives, and a line now and then.
    Boards,
    /// Keepalives, and a line before the server is killed and one after.
    Restart,
    /// Keepalives, silence, and a line when the server has seen that.
    Outage,
    /// Lines in batches to JetStream itself.
    Batches,
    /// Lines to JetStream itself, one by one.
    Publish,
    /// Lines from JetStream itself, acknowledged, and who publishes them.
    Consume,
    /// Lines from an MQTT broker, acknowledged, and who publishes them.
    Subscribe,
}

impl Kind {
    const ALL: [Self; 12] = [
        Self::Send,
        Self::Steady,
        Self::Answer,
        Self::Accept,
        Self::Idle,
        Self::Boards,
        Self::Restart,
        Self::Outage,
        Self::Batches,
        Self::Publish,
        Self::Consume,
        Self::Subscribe,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Send => "send",
            Self::Steady => "steady",
            Self::Answer => "answer",
            Self::Accept => "accept",
            Self::Idle => "idle",
            Self::Boards => "boards",
            Self::Restart => "restart",
            Self::Outage => "outage",
            Self::Batches => "batches",
            Self::Publish => "publish",
            Self::Consume => "consume",
            Self::Subscribe => "subscribe",
        }
    }
}

/// The shape of a load.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    pub kind: Kind,
    pub wire: Wire,
    pub clients: usize,
    pub in_flight: usize,
    /// Number of the first client: other processes have those before.
    pub first: usize,
    /// The time between two keepalives: a quarter of the server's time-out.
    pub keepalive: Duration,
}

/// Shares of the time between two keepalives: clients are not switched on together.
const SHARES: u32 = 997;

/// Longest time until all clients have done what they are about to do.
const PATIENCE: Duration = Duration::from_secs(60);

/// Keepalives at a server's usual time-out.
pub const KEEPALIVE: Duration = Duration::from_millis(500);

/// A moment of a running load.
#[derive(Debug, Clone, Default)]
pub struct Mark {
    /// Lines or connections so far.
    pub count: u64,
    /// Connections that have ended and should not.
    pub gone: u64,
    /// The time that each took since the last mark.
    pub times: Histogram,
}

impl Mark {
    /// Returns the time that this part (0 to 1) of all stayed below, in µs.
    pub fn us(&self, part: f64) -> f64 {
        self.times.percentile(part).as_secs_f64() * 1e6
    }
}

/// A process of clients.
#[derive(Debug)]
pub struct Load(pub Process);

impl Load {
    /// Starts clients, and waits until all are connected and have been answered: the first one with the first of the
    /// addresses, and so on in turn. `stream`: the one of those that use JetStream.
    pub fn start(shape: Shape, addresses: &[SocketAddr], stream: Option<&str>) -> io::Result<Self> {
        let mut load = Self::begin(shape, addresses, stream)?;
        load.await_all()?;
        Ok(load)
    }

    /// Starts clients, and does not wait.
    pub fn begin(shape: Shape, addresses: &[SocketAddr], stream: Option<&str>) -> io::Result<Self> {
        let Shape { kind, wire, clients, in_flight, first, keepalive } = shape;
        let addresses: Vec<_> = addresses.iter().map(SocketAddr::to_string).collect();
        let args = [
            kind.name().to_owned(),
            wire.name().to_owned(),
            clients.to_string(),
            in_flight.to_string(),
            first.to_string(),
            keepalive.as_millis().to_string(),
            addresses.join(","),
            stream.unwrap_or_default().to_owned(),
        ];
        Ok(Self(Process::role(LOAD, &args)?))
    }

    /// Waits until all are connected.
    pub fn await_all(&mut self) -> io::Result<()> {
        self.0.hear().map(drop)
    }

    /// Returns what was done so far, and begins to time anew.
    pub fn mark(&mut self) -> io::Result<Mark> {
        self.0.tell("mark")?;
        let line = self.0.hear()?;
        let mut words = line.split(' ');
        let mut next = || words.next().and_then(|word| word.parse().ok()).unwrap_or_default();
        let (count, gone) = (next(), next());
        Ok(Mark { count, gone, times: Histogram::parse(words) })
    }

    /// Waits until each client has done what is timed, and returns their times in milliseconds, the shortest first.
    pub fn times(&mut self) -> io::Result<Vec<f64>> {
        let line = self.0.hear()?;
        let times = line.split(' ').map(|word| word.parse::<f64>().map_err(io::Error::other));
        let mut times = times.collect::<io::Result<Vec<_>>>()?;
        times.sort_unstable_by(f64::total_cmp);
        Ok(times)
    }
}

/// Says the time of each client, for [`Load::times`].
fn say_times(times: &[Duration]) {
    let words = times.iter().map(|time| format!("{:.3}", time.as_secs_f64() * 1e3));
    println!("{}", words.collect::<Vec<_>>().join(" "));
}

/// Waits until each client has said something. The first that has failed ends it.
async fn next_of_each<T>(
    clients: usize,
    said: &mut UnboundedReceiver<io::Result<T>>,
) -> io::Result<Vec<T>> {
    let all = async {
        let mut all = Vec::with_capacity(clients);
        while all.len() < clients {
            let next = said.recv().await;
            all.push(next.ok_or_else(|| io::Error::other("all clients have ended"))??);
        }
        Ok(all)
    };
    let late = |_| Err(io::Error::other("not all clients have what they wait for"));
    timeout(PATIENCE, all).await.unwrap_or_else(late)
}

/// Returns the address of the server to which client `n` connects.
fn address_of(addresses: &[SocketAddr], n: usize) -> SocketAddr {
    addresses[n % addresses.len()]
}

/// Returns addresses as a NATS client takes them.
fn urls(addresses: &[SocketAddr]) -> String {
    addresses.iter().map(|address| format!("nats://{address}")).collect::<Vec<_>>().join(",")
}

/// Waits for the first task that has failed: none of them ends otherwise.
async fn first_failure(mut tasks: JoinSet<Result<Infallible, Failure>>) -> io::Result<()> {
    match tasks.join_next().await {
        Some(Ok(Err(error))) => Err(io::Error::other(error)),
        Some(Err(error)) => Err(io::Error::other(error)),
        None => Ok(()),
    }
}

/// Runs the clients until stdin ends: `KIND WIRE CLIENTS IN_FLIGHT FIRST KEEPALIVE_MS ADDRESS[,ADDRESS…] STREAM`.
pub fn main(args: &[String]) -> io::Result<()> {
    let wrong = || io::Error::other("this role is for the benchmark itself");
    let [kind, wire, clients, in_flight, first, keepalive, addresses, stream] = args else {
        return Err(wrong());
    };
    let number = |text: &str| text.parse::<usize>().map_err(|_| wrong());
    let shape = Shape {
        kind: Kind::ALL.into_iter().find(|k| k.name() == kind).ok_or_else(wrong)?,
        wire: Wire::parse(wire).ok_or_else(wrong)?,
        clients: number(clients)?,
        in_flight: number(in_flight)?,
        first: number(first)?,
        keepalive: Duration::from_millis(number(keepalive)? as u64),
    };
    let Shape { kind, wire, clients, in_flight, .. } = shape;
    let addresses: Vec<SocketAddr> =
        addresses.split(',').map(str::parse).collect::<Result<_, _>>().map_err(|_| wrong())?;
    open_many_files();
    let totals = Arc::new(Totals::default());
    if kind == Kind::Idle {
        return idle::run(&addresses, shape, &totals);
    }
    let watched = Arc::clone(&totals);
    std::thread::spawn(move || {
        answer_marks(&watched);
        std::process::exit(0);
    });
    let mut builder = match kind {
        // The client library of NATS would have enough to do for one thread, and be what is measured.
        Kind::Consume => tokio::runtime::Builder::new_multi_thread(),
        _ => tokio::runtime::Builder::new_current_thread(),
    };
    let runtime = builder.enable_all().build()?;
    runtime.block_on(async {
        let to = &addresses[..];
        match kind {
            Kind::Send => send::run(to, wire, clients, in_flight, totals).await,
            Kind::Steady => steady::run(to, wire, clients, totals).await,
            Kind::Answer => answer::run(to, clients, totals).await,
            Kind::Boards => boards::run(to, shape, totals).await,
            Kind::Restart => restart::run(to, shape, totals).await,
            Kind::Outage => outage::run(to, shape, totals).await,
            Kind::Batches => batches::run(to, stream, shape, totals).await,
            Kind::Publish => publish::run(to, stream, shape, totals).await,
            Kind::Consume => consume::run(to, stream, shape, totals).await,
            Kind::Subscribe => subscribe::run(to, shape, totals).await,
            Kind::Accept | Kind::Idle => accept::run(to, wire, clients, totals).await,
        }
    })
}

/// Answers each line of stdin with what was done so far, until it ends.
fn answer_marks(totals: &Totals) {
    for _ in io::stdin().lock().lines().map_while(Result::ok) {
        mark(totals);
    }
}

fn mark(totals: &Totals) {
    totals.marked.send_replace(Some(Instant::now()));
    let times = std::mem::take(&mut *totals.times.lock().unwrap_or_else(PoisonError::into_inner));
    let count = totals.count.load(Ordering::Relaxed);
    let gone = totals.gone.load(Ordering::Relaxed);
    println!("{count} {gone} {}", times.words());
}

/// Says that all clients are connected.
fn ready() {
    println!("ready");
}
