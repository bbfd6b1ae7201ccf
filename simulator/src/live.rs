//! One pair in real time, on a real TCP socket.
//!
//! The wires stay virtual: their edges are microseconds apart, which no operating system's timer can
//! follow, so the pair catches up with the clock each time that it is looked at. What the server sees
//! is real: connections that open, close, break, or fall silent when the radio or the ESP8266 does.

use std::future::Future;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Instant as StdInstant;

use pblink_protocol::layer::Layer;
use pblink_protocol::time::Instant;
use tokio::net::{TcpStream, lookup_host};
use tokio::sync::mpsc;
use tokio::time::{Duration, sleep_until, timeout};

use crate::fault::Fault;
use crate::pair::{NetCommand, Pair, PairEvent};

/// A command for a running pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Something goes wrong.
    Inject(Fault),
    /// The program writes no more lines.
    StopProgram,
    /// Tell where you are: [`Event::Here`].
    Look,
}

/// An event of a running pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Something happened.
    Pair(PairEvent),
    /// Another layer is down now, or none.
    Down(Option<Layer>),
    /// A try to connect has failed; the ESP8266 tries again.
    Failed(Failure),
    /// The answer to [`Command::Look`]: the pair itself is what there is to see.
    Here,
}

/// Why a try to connect has failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// No name server knows the host.
    UnknownName,
    /// Nobody listens at the port.
    ClosedPort,
    /// There is no way to the address.
    NoRoute,
    /// Nothing answers.
    NoAnswer,
    /// The server has closed the connection before it said a word. A server refuses an id so.
    Dismissed,
    /// Something else, in the system's words.
    Other(String),
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            ErrorKind::ConnectionRefused => Self::ClosedPort,
            ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => Self::NoRoute,
            ErrorKind::TimedOut => Self::NoAnswer,
            _ => Self::Other(error.to_string()),
        }
    }
}

/// The clock of a pair: real time since it was made, as the pair counts it.
#[derive(Debug, Clone, Copy)]
pub struct Clock(StdInstant);

impl Clock {
    /// Makes a clock that shows zero now.
    #[must_use]
    pub fn start() -> Self {
        Self(StdInstant::now())
    }

    /// Returns the time on it.
    pub fn now(&self) -> Instant {
        Instant::from_micros(self.0.elapsed().as_micros() as u64)
    }

    fn at(&self, instant: Instant) -> tokio::time::Instant {
        (self.0 + Duration::from_micros(instant.as_micros())).into()
    }
}

/// The time for which a connection that an ESP8266 has forgotten is kept, so that the server finds it
/// silent rather than closed.
const GHOST: Duration = Duration::from_secs(60);

type Connecting = Pin<Box<dyn Future<Output = Result<TcpStream, Failure>> + Send>>;

enum Socket {
    None,
    Connecting(Connecting),
    Open {
        stream: TcpStream,
        /// The server has said something.
        greeted: bool,
    },
}

/// The reason for which a pair woke up.
enum Wake {
    Time,
    Command(Option<Command>),
    Connected(Result<TcpStream, Failure>),
    Failed(Failure),
    Readable,
    Writable,
}

/// Runs `pair` against the server at `address` (`host:port`) until `report` returns false or the sender
/// of `commands` is dropped, and gives the pair back. `clock` must be the one that the pair was made
/// with.
pub async fn run(
    mut pair: Pair,
    clock: Clock,
    address: String,
    mut commands: mpsc::Receiver<Command>,
    mut report: impl FnMut(&Pair, Event) -> bool,
) -> Pair {
    let mut socket = Socket::None;
    let mut down = None;
    loop {
        pair.advance(clock.now());
        while let Some(command) = pair.next_net_command() {
            let gives_up = matches!(command, NetCommand::Close { .. });
            let silent = matches!(socket, Socket::Connecting(_)) && pair.is_on_air();
            if gives_up && silent && !report(&pair, Event::Failed(Failure::NoAnswer)) {
                return pair;
            }
            socket = command_socket(command, socket, &address);
        }
        let mut go_on = true;
        while let Some(event) = pair.next_event() {
            go_on &= report(&pair, Event::Pair(event));
        }
        if pair.down() != down {
            down = pair.down();
            go_on &= report(&pair, Event::Down(down));
        }
        if !go_on {
            return pair;
        }
        let command = match wait(&mut pair, clock, &mut socket, &mut commands).await {
            Wake::Command(command) => command,
            Wake::Failed(failure) if !report(&pair, Event::Failed(failure.clone())) => return pair,
            _ => continue,
        };
        match command {
            Some(Command::Inject(fault)) => pair.inject(fault, clock.now()),
            Some(Command::StopProgram) => pair.stop_program(),
            Some(Command::Look) => {
                if !report(&pair, Event::Here) {
                    return pair;
                }
            }
            None => return pair,
        }
    }
}

fn command_socket(command: NetCommand, socket: Socket, address: &str) -> Socket {
    match (command, socket) {
        (NetCommand::Connect, _) => Socket::Connecting(Box::pin(connect(address.to_owned()))),
        (NetCommand::Close { heard: false }, Socket::Open { stream, .. }) => {
            tokio::spawn(timeout(GHOST, haunt(stream)));
            Socket::None
        }
        (NetCommand::Close { .. }, _) => Socket::None,
    }
}

async fn connect(address: String) -> Result<TcpStream, Failure> {
    let addresses = look_up(&address).await.ok_or(Failure::UnknownName)?;
    let mut failure = Failure::UnknownName;
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => failure = error.into(),
        }
    }
    Err(failure)
}

/// Looks `host:port` up. A link-local address may have a zone, as in `[fe80::1%eth0]:8123`: with that the system knows it
/// only without the brackets.
async fn look_up(address: &str) -> Option<Vec<SocketAddr>> {
    let (host, port) = address.rsplit_once(':')?;
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let found = lookup_host((bare.unwrap_or(host), port.parse::<u16>().ok()?)).await.ok()?;
    Some(found.collect())
}

/// Keeps a connection until the server closes it.
async fn haunt(stream: TcpStream) {
    let mut void = [0; 512];
    while stream.readable().await.is_ok() {
        match stream.try_read(&mut void) {
            Err(e) if e.kind() == ErrorKind::WouldBlock => {}
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
    }
}

/// Sends what there is, waits for whatever comes first, and does what belongs to it, commands excepted.
async fn wait(
    pair: &mut Pair,
    clock: Clock,
    socket: &mut Socket,
    commands: &mut mpsc::Receiver<Command>,
) -> Wake {
    let on_air = pair.is_on_air();
    if let Socket::Open { stream, .. } = &*socket
        && on_air
        && !pair.outgoing().is_empty()
        && let Ok(n) = stream.try_write(pair.outgoing())
    {
        pair.outgoing().drain(..n);
    }
    let unsent = !pair.outgoing().is_empty();
    let next = pair.next_at().map(|at| clock.at(at));
    let wake = {
        let time = async {
            match next {
                Some(at) => sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        let network = async {
            match &mut *socket {
                // Without a network nothing is heard of the other end, also not that it is gone.
                Socket::Connecting(connecting) if on_air => Wake::Connected(connecting.await),
                Socket::Open { stream, .. } if on_air => tokio::select! {
                    _ = stream.readable() => Wake::Readable,
                    _ = stream.writable(), if unsent => Wake::Writable,
                },
                _ => std::future::pending().await,
            }
        };
        tokio::select! {
            command = commands.recv() => Wake::Command(command),
            wake = network => wake,
            () = time => Wake::Time,
        }
    };
    // What the clock has reached comes before what the network brings.
    let now = clock.now();
    pair.advance(now);
    match wake {
        Wake::Connected(Ok(stream)) => {
            // Lines are small, and their acknowledgements are waited for.
            let _ = stream.set_nodelay(true);
            *socket = Socket::Open { stream, greeted: false };
            pair.net_connected(now);
            Wake::Time
        }
        Wake::Connected(Err(failure)) => {
            tracing::debug!(id = pair.id(), ?failure, "cannot connect");
            *socket = Socket::None;
            pair.net_failed(now);
            Wake::Failed(failure)
        }
        Wake::Readable => {
            let mut bytes = [0; 4096];
            let Socket::Open { stream, greeted } = &mut *socket else { return Wake::Time };
            match stream.try_read(&mut bytes) {
                Ok(n) if n > 0 => {
                    *greeted = true;
                    pair.net_received(&bytes[..n], now);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                ended => {
                    if let Err(error) = ended {
                        tracing::debug!(id = pair.id(), %error, "connection lost");
                    }
                    let greeted = *greeted;
                    *socket = Socket::None;
                    pair.net_closed(now);
                    if !greeted {
                        return Wake::Failed(Failure::Dismissed);
                    }
                }
            }
            Wake::Time
        }
        wake => wake,
    }
}
