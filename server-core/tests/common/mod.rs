//! A client by hand: the bytes of the wire, one at a time if need be.

#![allow(dead_code, reason = "each test file uses its part")]

#[path = "../../../endurance/src/client/mod.rs"]
pub mod secure;

use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pblink_server::{
    Builder, Connection, Delivery, Event, EventKind, Events, Notice, Refusal, Server, WriteError,
};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

/// Nothing in these tests takes this long unless it hangs.
const LIMIT: Duration = Duration::from_secs(30);

/// A time-out that no test reaches: for tests that are not about silence.
pub const PATIENT: Duration = Duration::from_secs(1200);

/// A time-out for tests that wait for it.
pub const SHORT: Duration = Duration::from_millis(300);

/// Fails instead of hanging.
pub async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(LIMIT, future).await.expect("this should have happened long ago")
}

/// Starts a server on a free port of the loopback interface.
pub async fn server(timeout: Duration) -> Server {
    start(Server::builder().timeout(timeout)).await
}

pub async fn start(builder: Builder) -> Server {
    let server = builder.listen(([127, 0, 0, 1], 0).into()).bind().await;
    server.expect("a free port")
}

/// Waits for an event that `wanted` likes.
pub async fn until(events: &mut Events, wanted: impl Fn(&EventKind) -> bool) -> Event {
    loop {
        match soon(events.recv()).await.expect("the server lives") {
            Notice::Event(event) if wanted(&event.kind) => return event,
            Notice::Event(_) => {}
            Notice::Lost(lost) => panic!("{lost} events are lost"),
        }
    }
}

/// Waits until connections were refused for this reason so often. Most have no event of their own.
pub async fn refused_times(server: &Server, reason: Refusal, times: u64) {
    soon(async {
        while server.refused(reason) < times {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(server.refused(reason), times);
}

/// Polls a future once.
pub async fn is_ready<F: Future>(future: std::pin::Pin<&mut F>) -> bool {
    let mut future = Some(future);
    std::future::poll_fn(|cx| {
        let polled = future.take().map(|f| f.poll(cx).is_ready());
        std::task::Poll::Ready(polled == Some(true))
    })
    .await
}

pub struct Peer {
    pub read: BufReader<OwnedReadHalf>,
    pub write: OwnedWriteHalf,
    /// Sends a keepalive this often while it waits for a line.
    keepalive: Duration,
}

impl Peer {
    /// Opens a connection on which nothing was sent yet.
    pub async fn silent(address: SocketAddr) -> Self {
        let stream = soon(TcpStream::connect(address)).await.expect("connects");
        Self::from_stream(stream)
    }

    pub fn from_stream(stream: TcpStream) -> Self {
        stream.set_nodelay(true).expect("a TCP socket");
        let (read, write) = stream.into_split();
        Self { read: BufReader::new(read), write, keepalive: PATIENT }
    }

    /// Stays alive while it waits for a line, at a server with the time-out [`SHORT`].
    pub fn alive(mut self) -> Self {
        self.keepalive = SHORT / 6;
        self
    }

    /// Opens a connection that has sent its hello.
    pub async fn hello(server: &Server, id: &str) -> Self {
        let mut peer = Self::silent(server.local_addr()).await;
        peer.send(format!("{id}\n")).await;
        peer
    }

    /// Sends bytes as they are.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let sent = soon(self.write.write_all(bytes.as_ref())).await;
        sent.expect("the server reads");
    }

    /// Returns the next line that is not a keepalive. `None`: the connection is closed.
    pub async fn line(&mut self) -> Option<String> {
        loop {
            let mut line = String::new();
            let read = {
                let mut reading = std::pin::pin!(soon(self.read.read_line(&mut line)));
                let mut pace = tokio::time::interval(self.keepalive);
                pace.tick().await;
                loop {
                    tokio::select! {
                        read = &mut reading => break read,
                        // A closed connection shows when it is read.
                        _ = pace.tick() => drop(self.write.try_write(b"\n")),
                    }
                }
            };
            match read {
                Ok(0) | Err(_) => return None,
                Ok(_) if line == "\n" => {}
                Ok(_) => {
                    assert_eq!(line.pop(), Some('\n'), "half a line");
                    return Some(line);
                }
            }
        }
    }

    /// Expects exactly these lines.
    pub async fn expect(&mut self, lines: &[&str]) {
        for line in lines {
            assert_eq!(self.line().await.as_deref(), Some(*line));
        }
    }

    /// Sends a message and expects its acknowledgement.
    pub async fn say(&mut self, message: &str) {
        self.send(format!("{message}\n")).await;
        self.expect(&[&message[..2]]).await;
    }

    /// Sends a message, which `connection` reads, and expects its acknowledgement.
    pub async fn tell(&mut self, connection: &Connection, message: &str) {
        self.send(format!("{message}\n")).await;
        assert_eq!(read(connection).await, message[2..]);
        self.expect(&[&message[..2]]).await;
    }

    /// Expects a message and acknowledges it.
    pub async fn answer(&mut self, message: &str) {
        self.expect(&[message]).await;
        self.send(format!("{}\n", &message[..2])).await;
    }

    /// Does the same for a message that was put together.
    pub async fn answer_owned(&mut self, message: String) {
        self.answer(&message).await;
    }

    /// Waits until the server closes, and returns what came before.
    pub async fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        // A reset is an end, too.
        let _ = soon(self.read.read_to_end(&mut rest)).await;
        rest
    }
}

pub async fn read(connection: &Connection) -> String {
    soon(connection.read_line()).await.expect("the server lives")
}

/// Waits until a link has this many lines that are not accepted yet.
pub async fn arrived(connection: &Connection, lines: u64) {
    soon(async {
        while connection.status().unread < lines {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// An application that accepts all lines as they come, and keeps them for the test.
pub struct App {
    lines: Arc<Mutex<BTreeMap<String, VecDeque<String>>>>,
}

impl App {
    /// Serves all clients of the server that no other task has taken on.
    pub fn start(server: &Server) -> Self {
        let (server, lines) = (server.clone(), Arc::<Mutex<BTreeMap<_, _>>>::default());
        let app = Self { lines: Arc::clone(&lines) };
        tokio::spawn(async move {
            while let Ok(connection) = server.next_client().await {
                tokio::spawn(keep(connection, Arc::clone(&lines)));
            }
        });
        app
    }

    /// Returns the number of lines of a client that the test has not looked at.
    pub fn unread(&self, id: &str) -> usize {
        self.lines.lock().expect("no panic").get(id).map_or(0, VecDeque::len)
    }

    /// Returns the next line of a client.
    pub async fn read(&self, id: &str) -> String {
        soon(async {
            loop {
                let line =
                    self.lines.lock().expect("no panic").get_mut(id).and_then(|q| q.pop_front());
                match line {
                    Some(line) => break line,
                    None => tokio::task::yield_now().await,
                }
            }
        })
        .await
    }
}

async fn keep(connection: Connection, lines: Arc<Mutex<BTreeMap<String, VecDeque<String>>>>) {
    while let Ok(line) = connection.read_line().await {
        let mut lines = lines.lock().expect("no panic");
        lines.entry(connection.id().to_owned()).or_default().push_back(line);
    }
}

/// Starts to write, and returns when the session has the line.
pub async fn begin_write(
    connection: &Connection,
    line: &'static str,
) -> tokio::task::JoinHandle<Result<(), WriteError>> {
    let before = connection.status().unacked;
    let writer = connection.clone();
    let task = tokio::spawn(async move { writer.write(line, Delivery::ORDERED).await });
    soon(async {
        while connection.status().unacked == before {
            tokio::task::yield_now().await;
        }
    })
    .await;
    task
}

pub fn is_outage(event: &EventKind) -> bool {
    matches!(event, EventKind::OutageBegan { .. })
}

pub fn is_refusal(event: &EventKind) -> bool {
    matches!(event, EventKind::Refused { .. })
}
