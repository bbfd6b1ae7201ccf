//! The servers that are compared.

mod library;
mod log;
mod mosquitto;
mod pblink;
mod raw;
mod reader;

use std::io::{self, BufRead};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use crate::process::{Process, SERVER, open_many_files};
use crate::wire::Wire;

/// Work of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// Accepts lines.
    Accept,
    /// Writes lines, so many to each client at a time.
    Write(usize),
    /// Accepts lines when they are printed.
    Print,
}

impl Work {
    const PRINT: &str = "print";

    fn name(self) -> String {
        match self {
            Self::Print => Self::PRINT.to_owned(),
            Self::Accept | Self::Write(_) => self.writes().to_string(),
        }
    }

    fn parse(name: &str) -> Option<Self> {
        match name {
            Self::PRINT => Some(Self::Print),
            "0" => Some(Self::Accept),
            writes => writes.parse().ok().map(Self::Write),
        }
    }

    const fn writes(self) -> usize {
        match self {
            Self::Write(writes) => writes,
            Self::Accept | Self::Print => 0,
        }
    }
}

/// A server. What is to be compared next gets a name here, and a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contender {
    /// The simplest thing on bare tokio sockets.
    Raw,
    /// What one writes by hand, with tokio's own reader of lines.
    Reader,
    /// `pblink-server`, with an application that reads and accepts.
    Library,
    /// The same with an application that takes all lines that wait at once.
    Batches,
    /// `pblink serve` with its log in memory and no consumer.
    Memory,
    /// `pblink serve` with its log on disk, where temporary files are, and no consumer.
    Disk,
    /// The command itself, if it was built: its log in memory, and all lines printed.
    Serve,
    /// The same with its log on disk.
    ServeDisk,
    /// Another broker, if it is installed.
    Mosquitto,
}

impl Contender {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Reader => "reader",
            Self::Library => "library",
            Self::Batches => "batches",
            Self::Memory => "memory",
            Self::Disk => "disk",
            Self::Serve => "pblink serve",
            Self::ServeDisk => "pblink serve, disk",
            Self::Mosquitto => "mosquitto",
        }
    }

    pub const fn wire(self) -> Wire {
        match self {
            Self::Mosquitto => Wire::Mqtt,
            _ => Wire::Link,
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
    /// Starts it. Returns `None` if it is not there.
    pub fn start(contender: Contender, work: Work) -> io::Result<Option<Self>> {
        let other = match contender {
            Contender::Mosquitto => mosquitto::start()?,
            Contender::Serve => pblink::start(false)?,
            Contender::ServeDisk => pblink::start(true)?,
            _ => {
                let mut process =
                    Process::role(SERVER, &[contender.name().to_owned(), work.name()])?;
                let address = process.hear()?.parse().map_err(io::Error::other)?;
                Some((process, address))
            }
        };
        Ok(other.map(|(process, address)| Self { process, address, contender }))
    }

    /// Stops it. An error says that what was measured is not what was meant.
    pub fn finish(self) -> io::Result<()> {
        use Contender::{Batches, Disk, Library, Memory};
        if !matches!(self.contender, Library | Batches | Memory | Disk) {
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

/// Runs a server until stdin ends: `NAME WORK`.
pub fn main(args: &[String]) -> io::Result<()> {
    let wrong = || io::Error::other("this role is for the benchmark itself");
    let [name, work] = args else { return Err(wrong()) };
    let work = Work::parse(work).ok_or_else(wrong)?;
    open_many_files();
    // As in `pblink serve`.
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let end = tokio::task::spawn_blocking(|| {
            io::stdin().lock().lines().map_while(Result::ok).for_each(drop);
        });
        match name.as_str() {
            "raw" => raw::run(work, end).await,
            "reader" => reader::run(end).await,
            "library" => library::run(library::Lines::of(work), end).await,
            "batches" => library::run(library::Lines::Batches, end).await,
            "memory" => log::run(None, end).await,
            "disk" => log::run(Some(tempfile::tempdir()?), end).await,
            _ => Err(wrong()),
        }
    })
}

/// Returns a free port of this machine.
fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind("127.0.0.1:0")?.local_addr()
}

/// Longest time until a program listens.
const PATIENCE: Duration = Duration::from_secs(10);

/// Waits until a program listens.
fn wait(address: SocketAddr) -> io::Result<()> {
    let began = Instant::now();
    while let Err(error) = TcpStream::connect(address) {
        if began.elapsed() > PATIENCE {
            return Err(error);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}
