//! A way to the broker that loses lines, and that may acknowledge what it loses. So does a server whose place in the log moves
//! when it sends a line, and one that acknowledges a message before it is in the log: to whoever looks from outside, the
//! fault is the same, and no switch for it has to be in the server.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::OwnedWriteHalf;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex as Turn, watch};
use tokio::task::JoinHandle;

use crate::board::soon;

/// A fault that is planted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Planted {
    /// A line of a board counts as published when it is sent.
    Up,
    /// A message to a board is acknowledged when it comes.
    Down,
}

/// See the module's text.
pub struct Relay {
    address: SocketAddr,
    state: Arc<State>,
    listener: JoinHandle<()>,
}

struct State {
    planted: Option<Planted>,
    /// Connections that lose, by the number of cuts before them and 1; 0: none do. A connection that has begun to lose does so until
    /// it ends, however late its end of it hears of the cut: what follows must not overtake what it has lost.
    losing: AtomicU64,
    /// Lines of boards and messages to them that were lost.
    lost: watch::Sender<(usize, usize)>,
    /// Number of cuts.
    cuts: watch::Sender<u64>,
}

impl Relay {
    /// Begins between a server and this broker. It loses nothing yet.
    pub async fn start(broker: SocketAddr, planted: Option<Planted>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = State {
            planted,
            losing: AtomicU64::new(0),
            lost: watch::Sender::default(),
            cuts: watch::Sender::default(),
        };
        let state = Arc::new(state);
        let theirs = Arc::clone(&state);
        let listener = tokio::spawn(async move {
            while let Ok((server, _)) = listener.accept().await {
                let state = Arc::clone(&theirs);
                tokio::spawn(async move {
                    let mut cuts = state.cuts.subscribe();
                    let before = *cuts.borrow_and_update();
                    // However it ends, both ends see it.
                    tokio::select! {
                        _ = pass(&state, before, server, broker) => {}
                        _ = cuts.changed() => {}
                    }
                });
            }
        });
        Self { address, state, listener }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Loses all lines and messages from now on, until the next cut.
    pub fn lose(&self) {
        self.state.losing.store(*self.state.cuts.borrow() + 1, Ordering::SeqCst);
    }

    /// Waits until that many lines of boards and messages to them are lost.
    pub async fn until_lost(&self, up: usize, down: usize) {
        let mut lost = self.state.lost.subscribe();
        soon(lost.wait_for(|lost| lost.0 >= up && lost.1 >= down)).await.unwrap();
    }

    /// Cuts all connections. Those that follow lose nothing.
    pub fn cut(&self) {
        self.state.cuts.send_modify(|cuts| *cuts += 1);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.listener.abort();
        self.cut();
    }
}

/// A packet of MQTT 3.1.1, as it is.
struct Packet(Vec<u8>);

impl Packet {
    async fn read(from: &mut (impl AsyncReadExt + Unpin)) -> io::Result<Self> {
        let mut bytes = vec![from.read_u8().await?];
        let (mut length, mut shift) = (0, 0);
        loop {
            let byte = from.read_u8().await?;
            bytes.push(byte);
            length |= usize::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                break;
            }
        }
        let head = bytes.len();
        bytes.resize(head + length, 0);
        from.read_exact(&mut bytes[head..]).await?;
        Ok(Self(bytes))
    }

    /// Returns the number of a message with QoS 1 in a topic that ends so.
    fn number_in(&self, end: &str) -> Option<[u8; 2]> {
        if self.0[0] & 0xf6 != 0x32 {
            return None;
        }
        let head = 1 + self.0[1..].iter().position(|byte| byte & 0x80 == 0)? + 1;
        let (length, rest) = self.0[head..].split_first_chunk::<2>()?;
        let (topic, rest) = rest.split_at(u16::from_be_bytes(*length).into());
        topic.ends_with(end.as_bytes()).then(|| rest.first_chunk().copied())?
    }

    /// Returns the number of the message that it acknowledges.
    fn acknowledged(&self) -> Option<[u8; 2]> {
        (self.0[0] == 0x40).then(|| [self.0[2], self.0[3]])
    }
}

async fn write(to: &Turn<OwnedWriteHalf>, bytes: &[u8]) -> io::Result<()> {
    to.lock().await.write_all(bytes).await
}

async fn acknowledge(to: &Turn<OwnedWriteHalf>, [high, low]: [u8; 2]) -> io::Result<()> {
    write(to, &[0x40, 2, high, low]).await
}

/// Passes on one connection until one of its ends has closed it. `before`: the cuts before it.
async fn pass(state: &State, before: u64, server: TcpStream, broker: SocketAddr) -> io::Result<()> {
    let broker = TcpStream::connect(broker).await?;
    server.set_nodelay(true)?;
    broker.set_nodelay(true)?;
    let (mut from_server, to_server) = server.into_split();
    let (mut from_broker, to_broker) = broker.into_split();
    let (to_server, to_broker) = (Turn::new(to_server), Turn::new(to_broker));
    let loses = || state.losing.load(Ordering::SeqCst) == before + 1;
    // Lines that were acknowledged here, and go to the broker: its own acknowledgement is none any more.
    let early = Mutex::new(Vec::new());
    let up = async {
        loop {
            let packet = Packet::read(&mut from_server).await?;
            if let Some(number) = packet.number_in("/up") {
                let lost = loses();
                if state.planted == Some(Planted::Up) {
                    if !lost {
                        early.lock().unwrap().push(number);
                    }
                    acknowledge(&to_server, number).await?;
                }
                if lost {
                    state.lost.send_modify(|lost| lost.0 += 1);
                    continue;
                }
            } else if state.planted == Some(Planted::Down) && packet.acknowledged().is_some() {
                continue;
            }
            write(&to_broker, &packet.0).await?;
        }
    };
    let down = async {
        loop {
            let packet = Packet::read(&mut from_broker).await?;
            if let Some(number) = packet.number_in("/down") {
                if state.planted == Some(Planted::Down) {
                    acknowledge(&to_broker, number).await?;
                }
                if loses() {
                    state.lost.send_modify(|lost| lost.1 += 1);
                    continue;
                }
            } else if let Some(number) = packet.acknowledged() {
                let mut early = early.lock().unwrap();
                if let Some(at) = early.iter().position(|known| *known == number) {
                    early.swap_remove(at);
                    continue;
                }
            }
            write(&to_server, &packet.0).await?;
        }
    };
    tokio::select! {
        ended = up => ended,
        ended = down => ended,
    }
}
