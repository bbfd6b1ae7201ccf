//! A client that keeps its connection alive and has one line in flight at most: for workloads in which connections end.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{Interval, MissedTickBehavior, interval_at};

use super::SHARES;
use crate::servers::TIMEOUT;
use crate::wire::Wire;

/// Connection of a client that the server has answered.
pub(super) struct Client {
    n: usize,
    wire: Wire,
    stream: TcpStream,
    /// The beginning of a line or packet.
    heard: Vec<u8>,
    beats: Interval,
    /// When it began to write last.
    pub spoke: Instant,
}

impl Client {
    /// Connects client `n`, and waits until the server has said something.
    pub async fn connect(
        to: SocketAddr,
        wire: Wire,
        n: usize,
        keepalive: Duration,
    ) -> io::Result<Self> {
        let stream = TcpStream::connect(to).await?;
        stream.set_nodelay(true)?;
        let now = tokio::time::Instant::now();
        // Clients are not switched on together.
        let mut beats = interval_at(now + keepalive * (n as u32 % SHARES) / SHARES, keepalive);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (heard, spoke) = (Vec::new(), Instant::now());
        let mut client = Self { n, wire, stream, heard, beats, spoke };
        client.say(&wire.hello_alive(n, TIMEOUT)).await?;
        hear(wire, &mut client.stream, &mut client.heard).await?;
        Ok(client)
    }

    /// Sends the line with this number, and keeps alive until it is acknowledged.
    pub async fn send(&mut self, number: u8) -> io::Result<()> {
        self.say(&self.wire.line(number, &text(self.n, number))).await?;
        loop {
            tokio::select! {
                acks = hear(self.wire, &mut self.stream, &mut self.heard) => if acks? > 0 {
                    return Ok(());
                },
                _ = self.beats.tick() => self.say(self.wire.keepalive()).await?,
            }
        }
    }

    /// Keeps alive until `end` is ready. An error: the connection has ended before.
    pub async fn keep_alive(&mut self, end: impl Future<Output = ()>) -> io::Result<()> {
        let mut end = std::pin::pin!(end);
        loop {
            tokio::select! {
                () = &mut end => return Ok(()),
                heard = hear(self.wire, &mut self.stream, &mut self.heard) => drop(heard?),
                _ = self.beats.tick() => self.say(self.wire.keepalive()).await?,
            }
        }
    }

    /// Says nothing any more, and waits until the server has closed the connection.
    pub async fn hear_end(&mut self) {
        while hear(self.wire, &mut self.stream, &mut self.heard).await.is_ok() {}
    }

    async fn say(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.spoke = Instant::now();
        self.stream.write_all(bytes).await
    }
}

/// Words of each client to whoever waits for all of them: it is connected, and it is back, with what it has measured.
pub(super) struct Says<T> {
    connected: UnboundedSender<io::Result<()>>,
    back: UnboundedSender<io::Result<T>>,
}

/// The receiving ends of [`Says`].
pub(super) struct Heard<T> {
    pub connected: UnboundedReceiver<io::Result<()>>,
    pub back: UnboundedReceiver<io::Result<T>>,
}

impl<T> Says<T> {
    pub fn new() -> (Self, Heard<T>) {
        let ((connected, of_connected), (back, of_back)) =
            (unbounded_channel(), unbounded_channel());
        (Self { connected, back }, Heard { connected: of_connected, back: of_back })
    }

    // A receiver is gone once all are back, and the server ends: what is said then is of no interest.

    pub fn connected(&self) {
        let _ = self.connected.send(Ok(()));
    }

    pub fn back(&self, measured: T) {
        let _ = self.back.send(Ok(measured));
    }

    pub fn failed(&self, error: io::Error) {
        let _ = self.connected.send(Err(io::Error::other(error.to_string())));
        let _ = self.back.send(Err(error));
    }
}

impl<T> Clone for Says<T> {
    fn clone(&self) -> Self {
        Self { connected: self.connected.clone(), back: self.back.clone() }
    }
}

/// Returns the text of a line, which no other line of a run has.
pub fn text(n: usize, number: u8) -> String {
    format!(r#"["line", {n}, {number}]"#)
}

/// Reads what is there. Returns the number of acknowledgements in it.
async fn hear(wire: Wire, stream: &mut TcpStream, heard: &mut Vec<u8>) -> io::Result<usize> {
    match stream.read_buf(heard).await? {
        0 => Err(io::Error::other("the server has closed a connection")),
        _ => Ok(wire.take_acks(heard)),
    }
}
