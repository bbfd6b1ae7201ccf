//! A sender of lines that keeps a fixed number of them in flight, as cheap as it can be.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;

use crate::histogram::Histogram;
use crate::wire::{Acks, Ring, Wire};

/// Work of all connections of a process.
#[derive(Debug, Default)]
pub struct Totals {
    /// Lines acknowledged, or connections made.
    pub count: AtomicU64,
    /// Connections that have ended and should not.
    pub gone: AtomicU64,
    /// The time that each took.
    pub times: Mutex<Histogram>,
    /// The moment of the last [mark](crate::load::Load::mark).
    pub marked: watch::Sender<Option<Instant>>,
}

impl Totals {
    pub fn add(&self, count: usize) {
        self.count.fetch_add(count as u64, Ordering::Relaxed);
    }

    pub fn took(&self, since: Instant, count: usize) {
        let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        times.add(since.elapsed(), count as u64);
    }
}

/// Sends lines, `in_flight` at a time, until the connection ends.
pub async fn pump(
    mut stream: TcpStream,
    wire: Wire,
    ring: Arc<Ring>,
    in_flight: usize,
    totals: Arc<Totals>,
) -> io::Result<()> {
    let mut acks = Acks::new(wire);
    let mut buffer = vec![0; 16 * 1024];
    let (mut at, mut due) = (0, in_flight);
    // What was written at a time, and how much of it is not acknowledged.
    let mut written = VecDeque::new();
    loop {
        if due > 0 {
            written.push_back((Instant::now(), due));
            stream.write_all(ring.take(&mut at, due)).await?;
        }
        let n = stream.read(&mut buffer).await?;
        if n == 0 {
            return Ok(());
        }
        due = acks.count(&buffer[..n]);
        if !acks.owed.is_empty() {
            stream.write_all(&acks.owed).await?;
            acks.owed.clear();
        }
        totals.add(due);
        let mut left = due;
        while left > 0
            && let Some((since, lines)) = written.front_mut()
        {
            let some = left.min(*lines);
            totals.took(*since, some);
            left -= some;
            *lines -= some;
            if *lines == 0 {
                written.pop_front();
            }
        }
    }
}
