//! The entrance of a gateway that leads: connections that others pass on to it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use pblink_server::Server;
use tokio::io::duplex;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};

use super::channel::{Channel, accept};
use super::{Introduction, KEY, To, next};
use crate::control::{Visitors, random_hex};
use crate::log::store::{Fellows, Way};

/// Connections at a time whose handshake is under way: whoever has no key has one of these for five seconds.
const GREETED: usize = 256;

/// Bytes on their way between a channel and the control API.
const BUFFER: usize = 64 * 1024;

/// A port for other gateways. It takes connections once the way to it is told, and they wait until it is open.
#[derive(Debug)]
pub struct Entrance {
    socket: TcpListener,
    way: Way,
}

/// An entrance at work. Dropping it ends all connections that came by it.
#[derive(Debug)]
pub struct OpenEntrance {
    task: JoinHandle<()>,
}

impl Drop for OpenEntrance {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Entrance {
    /// Returns the entrance at this socket, with a new key. `address`: where other gateways reach it.
    ///
    /// # Errors
    /// If the system gives no random bytes.
    pub fn new(socket: TcpListener, address: SocketAddr) -> io::Result<Self> {
        Ok(Self { socket, way: Way { address, key: random_hex(KEY)? } })
    }

    /// Returns the way to it.
    pub fn way(&self) -> &Way {
        &self.way
    }

    /// Lets in what comes: boards to `server`, questions to the control API of `visitors`. The gateways that boards come by are noted
    /// in `fellows`.
    pub fn open(
        self,
        server: Server,
        visitors: Option<Visitors>,
        fellows: Fellows,
    ) -> OpenEntrance {
        let Self { socket, way } = self;
        let inside = Arc::new(Inside { server, visitors, fellows, way });
        OpenEntrance { task: tokio::spawn(serve(socket, inside)) }
    }
}

#[derive(Debug)]
struct Inside {
    server: Server,
    visitors: Option<Visitors>,
    fellows: Fellows,
    way: Way,
}

async fn serve(socket: TcpListener, inside: Arc<Inside>) {
    let greeted = Arc::new(Semaphore::new(GREETED));
    let mut connections = JoinSet::new();
    loop {
        let (stream, from) = next(&socket).await;
        while connections.try_join_next().is_some() {}
        let Ok(place) = Arc::clone(&greeted).try_acquire_owned() else { continue };
        let inside = Arc::clone(&inside);
        connections.spawn(async move {
            let welcomed = greet(stream, &inside).await;
            drop(place);
            let done = match welcomed {
                Ok((channel, introduction)) => inside.let_in(channel, introduction).await,
                Err(error) => Err(error),
            };
            if let Err(error) = done {
                tracing::debug!("a connection that {from} has passed on: {error}");
            }
        });
    }
}

async fn greet(stream: TcpStream, inside: &Inside) -> io::Result<(Channel, Introduction)> {
    stream.set_nodelay(true)?;
    let key = inside.way.key().ok_or(io::ErrorKind::InvalidData)?;
    accept(stream, &key).await
}

impl Inside {
    async fn let_in(&self, channel: Channel, introduction: Introduction) -> io::Result<()> {
        let Introduction { gateway, peer, to } = introduction;
        match (to, &self.visitors) {
            (To::Boards, _) => {
                self.fellows.note_way(peer, &gateway);
                self.server.adopt(channel.into_plain(), peer)
            }
            (To::Control(rights), Some(visitors)) => {
                let (near, far) = duplex(BUFFER);
                let (access, loopback) = rights.access();
                let answered = visitors.answer(near, peer, (&gateway, access, loopback));
                let (_, passed) = tokio::join!(answered, channel.pass(far));
                passed
            }
            (To::Control(_), None) => Err(io::Error::other("this gateway's control API is off")),
        }
    }
}
