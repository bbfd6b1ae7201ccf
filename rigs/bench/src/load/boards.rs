//! Clients that do what boards do most of the time: keep alive, and send a line now and then.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::{SHARES, Shape, address_of, ready};
use crate::pump::Totals;
use crate::wire::{Acks, Ring, TEXT, Wire};

/// The time between two lines of a client.
const LINE: Duration = Duration::from_secs(10);

/// Clients that connect at a time.
const AT_ONCE: usize = 256;

/// Clients of one address: a server takes 16,384 of one, and the system has fewer ports than 32,768.
const PER_ADDRESS: usize = 8192;

/// Lines in flight at most; one that is due beyond these is left out.
const IN_FLIGHT: usize = 64;

pub(super) async fn run(
    addresses: &[SocketAddr],
    shape: Shape,
    totals: Arc<Totals>,
) -> io::Result<()> {
    let Shape { clients, first, keepalive, .. } = shape;
    let (ring, places) = (Arc::new(Ring::new(Wire::Link, 1)), Arc::new(Semaphore::new(AT_ONCE)));
    let (connected, mut all) = mpsc::unbounded_channel();
    for n in first..first + clients {
        let board = Board {
            n,
            keepalive,
            ring: Arc::clone(&ring),
            totals: Arc::clone(&totals),
            answered: Answered(connected.clone()),
        };
        let (to, places) = (address_of(addresses, n), Arc::clone(&places));
        tokio::spawn(async move {
            let totals = Arc::clone(&board.totals);
            let Ok(place) = places.acquire_owned().await else { return };
            if let Err(error) = board.run(to, place).await {
                eprintln!("client {n}: {error}");
            }
            totals.gone.fetch_add(1, Ordering::Relaxed);
        });
    }
    drop(connected);
    for _ in 0..clients {
        all.recv().await.ok_or_else(|| io::Error::other("not all clients could connect"))?;
    }
    ready();
    std::future::pending().await
}

struct Board {
    n: usize,
    keepalive: Duration,
    ring: Arc<Ring>,
    totals: Arc<Totals>,
    answered: Answered,
}

/// Says, when it is dropped, that a client was answered, or never will be: a machine that is too slow for so many has figures,
/// too.
struct Answered(mpsc::UnboundedSender<()>);

impl Drop for Answered {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

impl Board {
    /// Connects, and goes on until the server closes the connection.
    async fn run(self, to: SocketAddr, place: OwnedSemaphorePermit) -> io::Result<()> {
        let mut waits = Some((place, self.answered));
        let mut stream = connect(self.n, to).await?;
        stream.write_all(&Wire::Link.hello(self.n)).await?;
        // The first line of a run has number 0.
        stream.write_all(format!("00{TEXT}\n").as_bytes()).await?;
        let mut written = VecDeque::from([Instant::now()]);
        let (mut acks, mut buffer, mut at) = (Acks::new(Wire::Link), [0; 256], 0);
        let beats_a_line = (LINE.as_millis() / self.keepalive.as_millis()).max(1) as usize;
        let mut beat = self.n % beats_a_line;
        let first = Instant::now() + self.keepalive * (self.n as u32 % SHARES) / SHARES;
        let mut beats = interval_at(first, self.keepalive);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = beats.tick() => {
                    beat += 1;
                    // A line is a sign of life as well.
                    if beat.is_multiple_of(beats_a_line) && written.len() < IN_FLIGHT {
                        written.push_back(Instant::now());
                        stream.write_all(self.ring.take(&mut at, 1)).await?;
                    } else {
                        stream.write_all(Wire::Link.keepalive()).await?;
                    }
                }
                n = stream.read(&mut buffer) => {
                    let acked = match n? {
                        0 => return Err(io::Error::other("the server has closed its connection")),
                        n => acks.count(&buffer[..n]),
                    };
                    self.totals.add(acked);
                    for since in written.drain(..acked) {
                        self.totals.took(since.into_std(), 1);
                    }
                    if acked > 0 {
                        drop(waits.take());
                    }
                }
            }
        }
    }
}

async fn connect(n: usize, to: SocketAddr) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    let from = SocketAddr::from(([127, 0, 2, (n / PER_ADDRESS + 1) as u8], 0));
    // Where there is only one address, it has to do.
    let _ = socket.bind(from);
    let stream = socket.connect(to).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
