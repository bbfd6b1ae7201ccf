//! NATS for the servers that share a log.

use std::cell::{Cell, OnceCell};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use pblink_soak::jetstream::Jetstream;
use pblink_soak::nats::{Cluster, Wanted};

use crate::process::cpu_of;

/// Servers of NATS, and copies of each stream on them.
pub const COPIES: usize = 3;

/// Batches of lines that may be under way to a stream: more than 1,000 clients with 64 lines each would have.
const BATCHES: u32 = 1000;

/// Servers of NATS that begin when something first needs them, and are there until the run ends.
#[derive(Debug, Default)]
pub struct Stores {
    /// `None`: the program is not there.
    cluster: OnceCell<Option<Cluster>>,
    /// One server by itself, for streams in its memory.
    alone: OnceCell<Option<Cluster>>,
    made: Cell<u32>,
}

/// A stream of its own for one measurement. It is deleted when this is dropped, so that the disk does not fill.
#[derive(Debug)]
pub struct Stream {
    pub urls: String,
    pub name: String,
    pub addresses: Vec<SocketAddr>,
    /// Processes of its servers.
    processes: Vec<u32>,
}

impl Stores {
    /// Returns a stream of a new name, which nobody has made yet. `None`: NATS is not there.
    pub fn stream(&self) -> Option<Stream> {
        self.of(&self.cluster, COPIES)
    }

    /// Returns one on a server by itself. `None`: NATS is not there.
    pub fn stream_alone(&self) -> Option<Stream> {
        self.of(&self.alone, 1)
    }

    fn of(&self, cluster: &OnceCell<Option<Cluster>>, servers: usize) -> Option<Stream> {
        let wanted = Wanted { servers, batches: Some(BATCHES), ..Wanted::default() };
        let cluster = cluster.get_or_init(|| Cluster::start(wanted)).as_ref()?;
        self.made.set(self.made.get() + 1);
        let (urls, name) = (cluster.urls(), format!("BENCH{}", self.made.get()));
        Some(Stream { urls, name, addresses: cluster.addresses(), processes: cluster.pids() })
    }
}

impl Stream {
    /// Makes it, for messages by hand: with a copy on the disk of each server, or in the memory of one that is alone. A gateway makes its own.
    pub fn make(&self) -> io::Result<()> {
        match self.addresses.len() {
            1 => self.ask(async |nats| nats.create_in_memory(&self.name).await),
            copies => self.ask(async |nats| nats.create(&self.name, copies, true).await),
        }
    }

    /// Returns the processor time of its servers.
    pub fn cpu(&self) -> Duration {
        self.processes.iter().map(|process| cpu_of(*process)).sum()
    }

    fn ask(
        &self,
        what: impl AsyncFnOnce(Jetstream) -> Result<(), pblink_soak::jetstream::Failure>,
    ) -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let done = runtime.block_on(async { what(Jetstream::connect(&self.urls).await?).await });
        done.map_err(io::Error::other)
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if let Err(error) = self.ask(async |nats| nats.delete(&self.name).await) {
            eprintln!("a stream of the measurement stays until NATS ends: {error}");
        }
    }
}
