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

/// A cluster of NATS that begins when something first needs it, and is there until the run ends.
#[derive(Debug, Default)]
pub struct Stores {
    /// `None`: the program is not there.
    cluster: OnceCell<Option<Cluster>>,
    made: Cell<u32>,
}

/// A stream of its own for one measurement. It is deleted when this is dropped, so that the disk does not fill.
#[derive(Debug)]
pub struct Stream {
    pub urls: String,
    pub name: String,
}

impl Stores {
    /// Returns a stream of a new name, which nobody has made yet. `None`: NATS is not there.
    pub fn stream(&self) -> Option<Stream> {
        let wanted = Wanted { servers: COPIES, ..Wanted::default() };
        let cluster = self.cluster.get_or_init(|| Cluster::start(wanted)).as_ref()?;
        self.made.set(self.made.get() + 1);
        Some(Stream { urls: cluster.urls(), name: format!("BENCH{}", self.made.get()) })
    }

    /// Returns the addresses of all servers; none if they do not run.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.running().map(Cluster::addresses).unwrap_or_default()
    }

    /// Returns the processor time of all servers.
    pub fn cpu(&self) -> Duration {
        let processes = self.running().map(Cluster::pids).unwrap_or_default();
        processes.into_iter().map(cpu_of).sum()
    }

    fn running(&self) -> Option<&Cluster> {
        self.cluster.get()?.as_ref()
    }
}

impl Stream {
    /// Makes it, for batches of messages by hand. A gateway makes its own.
    pub fn make(&self) -> io::Result<()> {
        self.ask(async |nats| nats.create(&self.name, COPIES, true).await)
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
