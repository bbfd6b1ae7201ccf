//! Well-behaved clients: ten lines a second each, and the time until each is acknowledged.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, interval_at, sleep};

use crate::histogram::Histogram;
use crate::wire::{Acks, Ring, TEXT, Wire};

/// Number of the well-behaved.
pub const CLIENTS: usize = 50;

/// The time between two lines of a client.
const PACE: Duration = Duration::from_millis(100);

/// Lines in flight at most: those that are due later wait, and are timed from when they were due.
const IN_FLIGHT: usize = 64;

/// The pause before a client that was dropped connects again.
const AGAIN: Duration = Duration::from_millis(100);

/// Counts of all clients.
#[derive(Debug, Default)]
pub struct Account {
    /// Time from when a line was due until it was acknowledged.
    times: Mutex<Histogram>,
    pub acked: AtomicU64,
    /// Connections that were lost.
    pub drops: AtomicU64,
    /// Clients that were answered.
    pub connected: AtomicU64,
    /// The figures count from now on.
    pub counts: AtomicBool,
}

impl Account {
    /// Returns the time in which this part of all lines was acknowledged.
    pub fn percentile(&self, part: f64) -> Duration {
        self.times.lock().unwrap_or_else(PoisonError::into_inner).percentile(part)
    }

    fn took(&self, time: Duration) {
        if self.counts.load(Ordering::Relaxed) {
            self.acked.fetch_add(1, Ordering::Relaxed);
            self.times.lock().unwrap_or_else(PoisonError::into_inner).add(time, 1);
        }
    }
}

/// Returns the id of a client.
pub fn id(n: usize) -> String {
    format!("client {n}")
}

/// Lets all work until they are aborted.
pub fn start(server: SocketAddr, account: &Arc<Account>) -> tokio::task::JoinSet<()> {
    let ring = Arc::new(Ring::new(Wire::Link, IN_FLIGHT));
    let mut all = tokio::task::JoinSet::new();
    for n in 0..CLIENTS {
        let (ring, account) = (Arc::clone(&ring), Arc::clone(account));
        all.spawn(async move {
            loop {
                // However it ended: it connects again.
                let _ = talk(n, server, &ring, &account).await;
                if account.counts.load(Ordering::Relaxed) {
                    account.drops.fetch_add(1, Ordering::Relaxed);
                }
                sleep(AGAIN).await;
            }
        });
    }
    all
}

async fn talk(n: usize, server: SocketAddr, ring: &Ring, account: &Account) -> io::Result<()> {
    let mut stream = TcpStream::connect(server).await?;
    stream.set_nodelay(true)?;
    stream.write_all(&Wire::Link.hello(n)).await?;
    // The first line of a run has number 0.
    stream.write_all(format!("00{TEXT}\n").as_bytes()).await?;
    let mut due = VecDeque::from([Instant::now()]);
    let (mut at, mut in_flight, mut is_new) = (0, 1, true);
    let (mut acks, mut buffer) = (Acks::new(Wire::Link), [0; 4096]);
    let first = Instant::now() + PACE * n as u32 / CLIENTS as u32;
    let mut pace = interval_at(first, PACE);
    loop {
        let mut is_due = false;
        tokio::select! {
            when = pace.tick() => {
                due.push_back(when);
                is_due = true;
            }
            n = stream.read(&mut buffer) => {
                let acked = match n? {
                    0 => return Ok(()),
                    n => acks.count(&buffer[..n]),
                };
                if acked > 0 && std::mem::take(&mut is_new) {
                    account.connected.fetch_add(1, Ordering::Relaxed);
                }
                in_flight -= acked.min(in_flight);
                let acked = acked.min(due.len());
                due.drain(..acked).for_each(|when| account.took(when.elapsed()));
            }
        }
        let next = due.len().min(IN_FLIGHT).saturating_sub(in_flight);
        if next > 0 {
            in_flight += next;
            stream.write_all(ring.take(&mut at, next)).await?;
        } else if is_due {
            // A board that may send no line yet is alive.
            stream.write_all(Wire::Link.keepalive()).await?;
        }
    }
}
