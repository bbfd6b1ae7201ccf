//! The clients, all in one process on one thread: as cheap as can be, so that they are not what is measured.

mod accept;
mod answer;
mod idle;
mod send;
mod steady;

use std::io::{self, BufRead};
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

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
}

impl Kind {
    const ALL: [Self; 5] = [Self::Send, Self::Steady, Self::Answer, Self::Accept, Self::Idle];

    fn name(self) -> &'static str {
        match self {
            Self::Send => "send",
            Self::Steady => "steady",
            Self::Answer => "answer",
            Self::Accept => "accept",
            Self::Idle => "idle",
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
}

/// A moment of a running load.
#[derive(Debug, Clone, Copy, Default)]
pub struct Mark {
    /// Lines or connections so far.
    pub count: u64,
    /// Half of those since the last mark took no longer, in µs.
    pub p50_us: f64,
    pub p99_us: f64,
}

/// A process of clients.
#[derive(Debug)]
pub struct Load(pub Process);

impl Load {
    /// Starts clients, and waits until all are connected and have been answered.
    pub fn start(shape: Shape, server: SocketAddr) -> io::Result<Self> {
        let Shape { kind, wire, clients, in_flight } = shape;
        let numbers = [clients.to_string(), in_flight.to_string(), server.to_string()];
        let args = [&[kind.name().to_owned(), wire.name().to_owned()], &numbers[..]].concat();
        let mut process = Process::role(LOAD, &args)?;
        process.hear()?;
        Ok(Self(process))
    }

    /// Returns what was done so far, and begins to time anew.
    pub fn mark(&mut self) -> io::Result<Mark> {
        self.0.tell("mark")?;
        let line = self.0.hear()?;
        let mut numbers = line.split(' ').filter_map(|number| number.parse::<f64>().ok());
        let mut next = || numbers.next().unwrap_or_default();
        Ok(Mark { count: next() as u64, p50_us: next(), p99_us: next() })
    }
}

/// Runs the clients until stdin ends: `KIND WIRE CLIENTS IN_FLIGHT ADDRESS`.
pub fn main(args: &[String]) -> io::Result<()> {
    let wrong = || io::Error::other("this role is for the benchmark itself");
    let [kind, wire, clients, in_flight, address] = args else { return Err(wrong()) };
    let kind = Kind::ALL.into_iter().find(|k| k.name() == kind).ok_or_else(wrong)?;
    let wire = Wire::parse(wire).ok_or_else(wrong)?;
    let number = |text: &str| text.parse::<usize>().map_err(|_| wrong());
    let (clients, in_flight) = (number(clients)?, number(in_flight)?);
    let address: SocketAddr = address.parse().map_err(|_| wrong())?;
    open_many_files();
    let totals = Arc::new(Totals::default());
    if kind == Kind::Idle {
        return idle::run(address, wire, clients, &totals);
    }
    let watched = Arc::clone(&totals);
    std::thread::spawn(move || {
        answer_marks(&watched);
        std::process::exit(0);
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match kind {
            Kind::Send => send::run(address, wire, clients, in_flight, totals).await,
            Kind::Steady => steady::run(address, wire, clients, totals).await,
            Kind::Answer => answer::run(address, clients, totals).await,
            Kind::Accept | Kind::Idle => accept::run(address, wire, clients, totals).await,
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
    let times = std::mem::take(&mut *totals.times.lock().unwrap_or_else(PoisonError::into_inner));
    let count = totals.count.load(Ordering::Relaxed);
    let us = |part| times.percentile(part).as_secs_f64() * 1e6;
    println!("{count} {:.1} {:.1}", us(0.5), us(0.99));
}

/// Says that all clients are connected.
fn ready() {
    println!("ready");
}
