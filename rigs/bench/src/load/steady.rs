//! Clients that send lines at a fixed pace, as boards do, whatever the server does.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, interval_at};

use super::send::{connect, until_one_ends};
use crate::pump::Totals;
use crate::wire::{Acks, Ring, Wire};

/// The time between two lines of a client.
const PACE: Duration = Duration::from_millis(5);

/// Lines that a client keeps in flight at most: those that are due later wait, and are timed from then.
const IN_FLIGHT: usize = 64;

/// Lines that wait at most, per client; a server that is so far behind does not keep up, which shows in the lines a
/// second.
const BEHIND: usize = 10_000;

pub(super) async fn run(
    addresses: &[SocketAddr],
    wire: Wire,
    clients: usize,
    totals: Arc<Totals>,
) -> io::Result<()> {
    let ring = Arc::new(Ring::new(wire, IN_FLIGHT));
    let streams = connect(addresses, wire, clients).await?;
    let begin = Instant::now() + PACE;
    let clients = (0u32..).zip(streams).map(|(n, stream)| {
        let first = begin + PACE * n / clients as u32;
        send(stream, wire, Arc::clone(&ring), first, Arc::clone(&totals))
    });
    until_one_ends(clients.collect()).await
}

async fn send(
    mut stream: TcpStream,
    wire: Wire,
    ring: Arc<Ring>,
    first: Instant,
    totals: Arc<Totals>,
) -> io::Result<()> {
    let mut acks = Acks::new(wire);
    let mut buffer = [0; 4096];
    // When each line was due: those in flight first.
    let mut due = VecDeque::new();
    let (mut at, mut in_flight) = (0, 0);
    let mut pace = interval_at(first, PACE);
    loop {
        tokio::select! {
            // From now on, and not from when it was due: the system's timers are up to a millisecond late, which no server
            // can help.
            _ = pace.tick(), if due.len() < BEHIND => due.push_back(Instant::now()),
            n = stream.read(&mut buffer) => {
                let acked = match n? {
                    0 => return Ok(()),
                    n => acks.count(&buffer[..n]),
                };
                totals.add(acked);
                in_flight -= acked;
                for when in due.drain(..acked) {
                    totals.took(when.into_std(), 1);
                }
            }
        }
        let next = due.len().min(IN_FLIGHT) - in_flight;
        if next > 0 {
            in_flight += next;
            stream.write_all(ring.take(&mut at, next)).await?;
        }
    }
}
