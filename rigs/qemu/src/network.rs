//! The network between the emulated coprocessor and the server: an access point, and one TCP connection.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::time::Duration;

use pblink_emulated_board::frame;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until};

/// The time that the chip takes to join a network that is there.
const JOIN: Duration = Duration::from_millis(200);

/// The most that is passed on at once: the content of one frame, less the connection's number.
const CHUNK: usize = frame::MAX - 1;

type Connecting = Pin<Box<dyn Future<Output = io::Result<TcpStream>> + Send>>;

enum Socket {
    None,
    Connecting(Connecting),
    Open(TcpStream),
}

/// An event in the network.
pub(crate) enum Happened {
    /// The chip has joined.
    Joined,
    Connected,
    Failed,
    Closed,
    /// All bytes that the chip sent are on their way.
    Sent,
    Received(Vec<u8>),
}

/// The chip's radio, and its connection.
pub(crate) struct Network {
    /// There is an access point.
    there: bool,
    wants: bool,
    joining: Option<Instant>,
    joined: bool,
    socket: Socket,
    /// The number that the board gave the connection.
    pub(crate) number: u8,
    unsent: Vec<u8>,
    /// The board has not taken the last bytes yet.
    pub(crate) giving: bool,
}

impl Network {
    pub(crate) fn new() -> Self {
        Self {
            there: true,
            wants: false,
            joining: None,
            joined: false,
            socket: Socket::None,
            number: 0,
            unsent: Vec::new(),
            giving: false,
        }
    }

    /// Switches the access point on or off. Returns whether the chip's radio has lost it by that.
    pub(crate) fn switch(&mut self, on: bool) -> bool {
        self.there = on;
        if on {
            self.join_if_wanted();
            return false;
        }
        self.joining = None;
        std::mem::take(&mut self.joined)
    }

    /// Begins to join, as the chip wants.
    pub(crate) fn join(&mut self) {
        self.wants = true;
        self.join_if_wanted();
    }

    /// Leaves the network, as the chip wants.
    pub(crate) fn leave(&mut self) {
        (self.wants, self.joining, self.joined) = (false, None, false);
    }

    fn join_if_wanted(&mut self) {
        if self.wants && self.there && !self.joined && self.joining.is_none() {
            self.joining = Some(Instant::now() + JOIN);
        }
    }

    /// Notes that the chip was reset or has lost its power: the server does not learn of it.
    pub(crate) fn lose(&mut self) {
        self.haunt();
        let there = self.there;
        *self = Self { there, ..Self::new() };
    }

    pub(crate) fn connect(&mut self, number: u8, server: String, port: u16) {
        self.close();
        self.number = number;
        self.socket = Socket::Connecting(Box::pin(TcpStream::connect((server, port))));
    }

    /// Closes the chip's connection. Without a network, the server does not learn of it.
    pub(crate) fn close(&mut self) {
        if !self.joined {
            self.haunt();
        }
        self.socket = Socket::None;
        self.unsent.clear();
        self.giving = false;
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.unsent.extend_from_slice(bytes);
    }

    /// Keeps the connection, silent, until the server closes it.
    fn haunt(&mut self) {
        let Socket::Open(stream) = std::mem::replace(&mut self.socket, Socket::None) else {
            return;
        };
        tokio::spawn(async move {
            let mut void = [0; 512];
            while stream.readable().await.is_ok() {
                match stream.try_read(&mut void) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Ok(0) | Err(_) => return,
                    Ok(_) => {}
                }
            }
        });
    }

    fn ended(&mut self, happened: Happened) -> Happened {
        self.socket = Socket::None;
        self.unsent.clear();
        self.giving = false;
        happened
    }

    /// Waits for the next thing to happen. Dropping the future loses nothing.
    pub(crate) async fn next(&mut self) -> Happened {
        loop {
            let joining = self.joining;
            let joined = async move {
                match joining {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            let (sends, takes) = (!self.unsent.is_empty(), !self.giving);
            let on_air = self.joined;
            let ready = async {
                match &mut self.socket {
                    // Without a network nothing is heard of the other end, also not that it is gone.
                    Socket::Connecting(connecting) if on_air => Some(connecting.await),
                    Socket::Open(stream) if on_air && (sends || takes) => {
                        tokio::select! {
                            _ = stream.readable(), if takes => None,
                            _ = stream.writable(), if sends => None,
                        }
                    }
                    _ => std::future::pending().await,
                }
            };
            let connected = tokio::select! {
                () = joined => {
                    self.joining = None;
                    self.joined = true;
                    return Happened::Joined;
                }
                connected = ready => connected,
            };
            match connected {
                Some(Ok(stream)) => {
                    // Lines are small, and their acknowledgements are waited for.
                    let _ = stream.set_nodelay(true);
                    self.socket = Socket::Open(stream);
                    return Happened::Connected;
                }
                Some(Err(_)) => return self.ended(Happened::Failed),
                None => {}
            }
            let Socket::Open(stream) = &self.socket else { continue };
            if sends {
                match stream.try_write(&self.unsent) {
                    Ok(n) => {
                        self.unsent.drain(..n);
                        if self.unsent.is_empty() {
                            return Happened::Sent;
                        }
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(_) => return self.ended(Happened::Closed),
                }
            }
            if takes {
                let mut bytes = vec![0; CHUNK];
                match stream.try_read(&mut bytes) {
                    Ok(0) => return self.ended(Happened::Closed),
                    Ok(n) => {
                        bytes.truncate(n);
                        self.giving = true;
                        return Happened::Received(bytes);
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(_) => return self.ended(Happened::Closed),
                }
            }
        }
    }
}
