//! The servers that are compared.

mod library;
mod log;
mod mosquitto;
mod raw;

use std::io::{self, BufRead};
use std::net::SocketAddr;

use crate::process::{Process, SERVER, open_many_files};
use crate::wire::Wire;

/// A server. What is to be compared next gets a name here, and a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contender {
    /// The simplest thing on bare tokio sockets.
    Raw,
    /// `pblink-server`, with an application that reads and accepts.
    Library,
    /// `pblink serve` with its log in memory and no consumer.
    Memory,
    /// `pblink serve` with its log on disk, where temporary files are, and no consumer.
    Disk,
    /// Another broker, if it is installed.
    Mosquitto,
}

impl Contender {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Library => "library",
            Self::Memory => "memory",
            Self::Disk => "disk",
            Self::Mosquitto => "mosquitto",
        }
    }

    pub const fn wire(self) -> Wire {
        match self {
            Self::Raw | Self::Library | Self::Memory | Self::Disk => Wire::Link,
            Self::Mosquitto => Wire::Mqtt,
        }
    }
}

/// A server process.
#[derive(Debug)]
pub struct Server {
    pub process: Process,
    pub address: SocketAddr,
    contender: Contender,
}

impl Server {
    /// Starts it. `writes`: so many lines to each client are to be in flight; 0: it reads.
    ///
    /// Returns `None` if it is not installed.
    pub fn start(contender: Contender, writes: usize) -> io::Result<Option<Self>> {
        if contender == Contender::Mosquitto {
            return Ok(mosquitto::start()?.map(|(process, address)| Self {
                process,
                address,
                contender,
            }));
        }
        let mut process =
            Process::role(SERVER, &[contender.name().to_owned(), writes.to_string()])?;
        let address = process.hear()?;
        let address = address.parse().map_err(io::Error::other)?;
        Ok(Some(Self { process, address, contender }))
    }

    /// Stops it. An error says that what was measured is not what was meant.
    pub fn finish(self) -> io::Result<()> {
        if matches!(self.contender, Contender::Raw | Contender::Mosquitto) {
            return Ok(());
        }
        match self.process.finish()?.as_str() {
            "0" => Ok(()),
            repeated => Err(io::Error::other(format!(
                "the server took {repeated} lines for duplicates, and no client sends a line twice"
            ))),
        }
    }
}

/// Runs a server until stdin ends: `NAME WRITES`.
pub fn main(args: &[String]) -> io::Result<()> {
    let wrong = || io::Error::other("this role is for the benchmark itself");
    let [name, writes] = args else { return Err(wrong()) };
    let writes = writes.parse().map_err(|_| wrong())?;
    open_many_files();
    // As in `pblink serve`.
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let end = tokio::task::spawn_blocking(|| {
            io::stdin().lock().lines().map_while(Result::ok).for_each(drop);
        });
        match name.as_str() {
            "raw" => raw::run(writes, end).await,
            "library" => library::run(writes, end).await,
            "memory" => log::run(None, end).await,
            "disk" => log::run(Some(tempfile::tempdir()?), end).await,
            _ => Err(wrong()),
        }
    })
}
