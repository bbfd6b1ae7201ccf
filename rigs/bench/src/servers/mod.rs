//! The servers that are compared.

pub mod gateways;
mod library;
pub mod log;
mod mosquitto;
pub mod pblink;
mod raw;
mod reader;
pub mod stores;

use std::io::{self, BufRead};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use pblink_soak::nats::lasting_port;

use crate::process::{Process, SERVER, open_many_files};
use crate::wire::Wire;
use stores::{Stores, Stream};

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
    /// One gateway with a store of its own: three NATS servers.
    Shared,
    /// Three gateways of a store: one leads, two pass on to it.
    Gateways,
    /// JetStream by hand, without boards.
    Jetstream,
    /// The command itself, if it was built: its log in memory, and all lines printed.
    Serve,
    /// The same with its log on disk.
    ServeDisk,
    /// Another broker, if it is installed: QoS 1.
    Mosquitto,
    /// The same with QoS 2.
    MosquittoOnce,
}

impl Contender {
    pub const ALL: [Self; 13] = [
        Self::Raw,
        Self::Reader,
        Self::Library,
        Self::Batches,
        Self::Memory,
        Self::Disk,
        Self::Shared,
        Self::Gateways,
        Self::Jetstream,
        Self::Serve,
        Self::ServeDisk,
        Self::Mosquitto,
        Self::MosquittoOnce,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Reader => "reader",
            Self::Library => "library",
            Self::Batches => "batches",
            Self::Memory => "memory",
            Self::Disk => "disk",
            Self::Shared => "shared",
            Self::Gateways => "gateways",
            Self::Jetstream => "jetstream",
            Self::Serve => "pblink serve",
            Self::ServeDisk => "pblink serve, disk",
            Self::Mosquitto => "mosquitto",
            Self::MosquittoOnce => "mosquitto-qos2",
        }
    }

    /// Returns true if it is this program in another role, which says when it listens.
    const fn is_role(self) -> bool {
        use Contender::{Batches, Disk, Library, Memory, Raw, Reader};
        matches!(self, Raw | Reader | Library | Batches | Memory | Disk)
    }

    pub const fn wire(self) -> Wire {
        match self {
            Self::Mosquitto => Wire::Mqtt,
            Self::MosquittoOnce => Wire::MqttOnce,
            _ => Wire::Link,
        }
    }
}

/// Time-out of servers that are asked for one: the usual one.
pub const TIMEOUT: Duration = Duration::from_secs(2);

/// A server at work.
#[derive(Debug)]
pub struct Server {
    /// Its processes; none if only NATS works. The first one leads.
    pub processes: Vec<Process>,
    /// Addresses for clients: they are spread over them.
    pub addresses: Vec<SocketAddr>,
    /// Its stream, if it has one.
    pub stream: Option<Stream>,
    pub contender: Contender,
}

impl Server {
    /// Starts it. Returns `None` if it is not there.
    pub fn start(contender: Contender, work: Work, stores: &Stores) -> io::Result<Option<Self>> {
        let other = match contender {
            Contender::Mosquitto | Contender::MosquittoOnce => mosquitto::start(work)?,
            Contender::Serve => pblink::start(false)?,
            Contender::ServeDisk => pblink::start(true)?,
            Contender::Shared => return Self::share(stores, 0, TIMEOUT),
            Contender::Gateways => return Self::share(stores, 2, TIMEOUT),
            Contender::Jetstream => {
                let made = match work {
                    Work::Write(_) => stores.stream_alone(),
                    Work::Accept | Work::Print => stores.stream(),
                };
                let Some(stream) = made else { return Ok(None) };
                stream.make()?;
                let (processes, addresses) = (Vec::new(), stream.addresses.clone());
                return Ok(Some(Self { processes, addresses, stream: Some(stream), contender }));
            }
            _ => {
                let (address, folder) = (free_address(), tempfile::tempdir()?);
                let place = folder.path().display().to_string();
                let name = contender.name().to_owned();
                let args = [name, work.name(), address.to_string(), place];
                let mut process = Process::role(SERVER, &args)?.with_folder(folder);
                process.hear()?;
                Some((process, address))
            }
        };
        Ok(other.map(|(process, address)| {
            let (processes, addresses) = (vec![process], vec![address]);
            Self { processes, addresses, stream: None, contender }
        }))
    }

    /// Starts a gateway that leads, and so many that stand by, with a store of their own. Returns `None` if NATS is not there.
    pub fn share(stores: &Stores, stand_by: usize, timeout: Duration) -> io::Result<Option<Self>> {
        let Some(stream) = stores.stream() else { return Ok(None) };
        let started = gateways::start(&stream, stand_by, timeout)?;
        let (processes, addresses) = started.into_iter().unzip();
        let contender = if stand_by == 0 { Contender::Shared } else { Contender::Gateways };
        Ok(Some(Self { processes, addresses, stream: Some(stream), contender }))
    }

    /// Kills its process, and starts it again at once, on the same address and with the same folder.
    pub fn restart(&mut self) -> io::Result<()> {
        let process = &mut self.processes[0];
        process.restart()?;
        if self.contender.is_role() {
            process.hear()?;
        }
        Ok(())
    }

    /// Returns the processor time of all its processes.
    pub fn cpu(&self) -> Duration {
        self.processes.iter().map(Process::cpu).sum()
    }

    /// Stops it. An error says that what was measured is not what was meant.
    pub fn finish(self) -> io::Result<()> {
        use Contender::{Batches, Disk, Gateways, Library, Memory, Shared};
        if !matches!(self.contender, Library | Batches | Memory | Disk | Shared | Gateways) {
            return Ok(());
        }
        // The one that leads goes last: none of the others is to take its place.
        for process in self.processes.into_iter().rev() {
            match process.finish()?.as_str() {
                "0" => {}
                repeated => {
                    return Err(io::Error::other(format!(
                        "the server took {repeated} lines for duplicates, and no client sends a line twice"
                    )));
                }
            }
        }
        Ok(())
    }
}

/// Runs a server until stdin ends: `NAME WORK ADDRESS FOLDER`. It says when it listens.
pub fn main(args: &[String]) -> io::Result<()> {
    let wrong = || io::Error::other("this role is for the benchmark itself");
    let [name, work, address, folder] = args else { return Err(wrong()) };
    let work = Work::parse(work).ok_or_else(wrong)?;
    let address = address.parse().map_err(io::Error::other)?;
    open_many_files();
    // As in `pblink serve`.
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let end = tokio::task::spawn_blocking(|| {
            io::stdin().lock().lines().map_while(Result::ok).for_each(drop);
        });
        match name.as_str() {
            "raw" => raw::run(address, work, end).await,
            "reader" => reader::run(address, end).await,
            "library" => library::run(address, library::Lines::of(work), end).await,
            "batches" => library::run(address, library::Lines::Batches, end).await,
            "memory" => log::run(address, None, end).await,
            "disk" => log::run(address, Some(Path::new(folder)), end).await,
            _ => Err(wrong()),
        }
    })
}

/// Returns a free port of this machine, which stays free while a server is started again: of those that the system gives to no
/// client, or one of the many that try to connect meanwhile would have it, and be connected with itself.
pub fn free_address() -> SocketAddr {
    ([127, 0, 0, 1], lasting_port()).into()
}

/// Longest time until a program listens.
const PATIENCE: Duration = Duration::from_secs(10);

/// Waits until a program listens.
pub fn wait(address: SocketAddr) -> io::Result<()> {
    let began = Instant::now();
    while let Err(error) = TcpStream::connect(address) {
        if began.elapsed() > PATIENCE {
            return Err(error);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}
