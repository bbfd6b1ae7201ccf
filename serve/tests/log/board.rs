//! A board by hand.

#![allow(dead_code, reason = "other test programs use a part of it")]

use std::net::SocketAddr;
use std::time::Duration;

use pblink_serve::log::{Engine, Keep, Log, Opened};
use pblink_server::{Keys, Server};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

/// Nothing here takes this long unless it hangs.
pub async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(60), future).await.expect("it hangs")
}

/// Time-out of links on which nothing is ever late.
pub const PATIENT: Duration = Duration::from_secs(1200);

/// A server with a log.
pub struct Station {
    pub log: Log,
    pub server: Server,
}

impl Station {
    /// Starts both as `serve` does.
    pub async fn start(engine: impl Engine) -> Self {
        Self::with(engine, Keep::default(), PATIENT).await
    }

    pub async fn with(engine: impl Engine, keep: Keep, timeout: Duration) -> Self {
        let station = Self::bind(engine, keep, timeout).await;
        station.log.attach(station.server.clone()).await;
        station
    }

    /// Starts the server on what the log has, and goes no further: the log does not know it yet.
    pub async fn bind(engine: impl Engine, keep: Keep, timeout: Duration) -> Self {
        let Opened { log, sessions, .. } = Log::open(engine, keep).unwrap();
        let builder = Server::builder().commits(true).restore_states(sessions).timeout(timeout);
        let server = builder.listen(([127, 0, 0, 1], 0).into()).bind().await.unwrap();
        Self { log, server }
    }

    /// Starts both for boards with keys.
    pub async fn keyed(engine: impl Engine, keys: &Keys) -> Self {
        let Opened { log, sessions, .. } = Log::open(engine, Keep::default()).unwrap();
        let builder = Server::builder().commits(true).restore_states(sessions).keys(keys.clone());
        let builder = builder.timeout(Duration::from_secs(2));
        let server = builder.listen(([127, 0, 0, 1], 0).into()).bind().await.unwrap();
        log.attach(server.clone()).await;
        Self { log, server }
    }

    /// Ends both in order.
    pub async fn stop(self) {
        soon(self.server.shutdown()).await;
        soon(self.log.stop()).await;
    }
}

pub struct Board {
    read: BufReader<OwnedReadHalf>,
    write: OwnedWriteHalf,
}

impl Board {
    /// Connects, and shows that it listens.
    pub async fn connect(station: &Station, id: &str) -> Self {
        Self::connect_to(station.server.local_addr(), id).await
    }

    /// The same, at this address.
    pub async fn connect_to(server: SocketAddr, id: &str) -> Self {
        let stream = soon(TcpStream::connect(server)).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (read, write) = stream.into_split();
        let mut board = Self { read: BufReader::new(read), write };
        board.say(&format!("{id}\n")).await;
        board
    }

    /// Returns its own address.
    pub fn address(&self) -> SocketAddr {
        self.write.local_addr().unwrap()
    }

    /// Sends a line as it is.
    pub async fn say(&mut self, line: &str) {
        soon(self.write.write_all(format!("{line}\n").as_bytes())).await.unwrap();
    }

    /// Returns the next line that is not a keepalive; `None` at the end of the connection.
    pub async fn hear(&mut self) -> Option<String> {
        loop {
            let mut line = String::new();
            if soon(self.read.read_line(&mut line)).await.unwrap_or(0) == 0 {
                return None;
            }
            if line != "\n" {
                return Some(line.trim_end().to_owned());
            }
        }
    }

    pub async fn expect(&mut self, lines: &[&str]) {
        for line in lines {
            assert_eq!(self.hear().await.as_deref(), Some(*line));
        }
    }
}
