//! Ports of a gateway that stands by.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::copy_bidirectional_with_sizes;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};

use super::{Introduction, Rights, To, channel, next};
use crate::control::{self, Access};
use crate::log::store::Way;

/// Time that a connection waits for a gateway that leads.
const PATIENCE: Duration = Duration::from_secs(5);

/// Time for reaching its entrance.
const REACH: Duration = Duration::from_secs(3);

/// Pause before it is tried again within that.
const AGAIN: Duration = Duration::from_millis(100);

/// Bytes of a board's connection that are on their way in one direction: lines are small.
const BUFFER: usize = 4 * 1024;

/// A port whose connections are passed on to the gateway that leads, as long as this is there.
#[derive(Debug)]
pub struct Door {
    task: JoinHandle<()>,
}

/// The same for all connections of a door.
#[derive(Debug)]
struct Opened {
    /// Name of this gateway.
    gateway: String,
    to: To,
    way: watch::Receiver<Option<Way>>,
}

impl Door {
    /// Passes connections of boards on, `limit` at a time. `gateway`: the name of this one.
    pub fn for_boards(
        socket: TcpListener,
        (gateway, way): (&str, watch::Receiver<Option<Way>>),
        limit: usize,
    ) -> Self {
        let opened = Opened { gateway: gateway.to_owned(), to: To::Boards, way };
        Self::open(socket, opened, limit)
    }

    /// Passes questions to the control API on, for those who have access to this gateway's.
    ///
    /// # Errors
    /// If the socket does not know its address.
    pub fn for_control(
        socket: TcpListener,
        (gateway, way): (&str, watch::Receiver<Option<Way>>),
        access: &Access,
    ) -> io::Result<Self> {
        let loopback = socket.local_addr()?.ip().to_canonical().is_loopback();
        let to = To::Control(Rights::of(access, loopback));
        let opened = Opened { gateway: gateway.to_owned(), to, way };
        Ok(Self::open(socket, opened, control::CONNECTIONS))
    }

    fn open(socket: TcpListener, opened: Opened, limit: usize) -> Self {
        let task = tokio::spawn(accept(socket, Arc::new(opened), Arc::new(Semaphore::new(limit))));
        Self { task }
    }

    /// Ends all connections, and takes no more. Behind it the port is free.
    pub async fn close(mut self) {
        self.task.abort();
        // That it was ended is no error.
        let _ = (&mut self.task).await;
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(socket: TcpListener, opened: Arc<Opened>, places: Arc<Semaphore>) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, peer) = next(&socket).await;
        while connections.try_join_next().is_some() {}
        // One too many is closed: its board tries again, elsewhere if it can.
        if let Ok(place) = Arc::clone(&places).try_acquire_owned() {
            let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
            connections.spawn(pass(stream, peer, Arc::clone(&opened), place));
        }
    }
}

async fn pass(
    stream: TcpStream,
    peer: SocketAddr,
    opened: Arc<Opened>,
    _place: OwnedSemaphorePermit,
) {
    if let Err(error) = pass_on(stream, peer, &opened).await {
        tracing::debug!("a connection of {peer} was not passed on: {error}");
    }
}

async fn pass_on(mut stream: TcpStream, peer: SocketAddr, opened: &Opened) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut way = opened.way.clone();
    let reached = timeout(PATIENCE, reach(&mut way, opened, peer)).await;
    let Ok(channel) = reached else {
        if matches!(opened.to, To::Control(_)) {
            control::no_leader(stream).await?;
        }
        return Ok(());
    };
    match opened.to {
        To::Boards => {
            let mut onward = channel.into_plain();
            let both = copy_bidirectional_with_sizes(&mut stream, &mut onward, BUFFER, BUFFER);
            while_it_leads(way, both).await.map(drop)
        }
        To::Control(_) => while_it_leads(way, channel.pass(stream)).await,
    }
}

/// Connects to the gateway that leads, as soon as there is one.
async fn reach(
    way: &mut watch::Receiver<Option<Way>>,
    opened: &Opened,
    peer: SocketAddr,
) -> channel::Channel {
    let introduction =
        Introduction { gateway: opened.gateway.clone(), peer, to: opened.to.clone() };
    loop {
        let known = way.borrow_and_update().clone();
        let connecting = async {
            let known = known.ok_or(io::ErrorKind::NotFound)?;
            let key = known.key().ok_or(io::ErrorKind::InvalidData)?;
            let onward = timeout(REACH, TcpStream::connect(known.address)).await??;
            onward.set_nodelay(true)?;
            channel::offer(onward, &key, &introduction).await
        };
        match connecting.await {
            Ok(channel) => return channel,
            Err(error) => tracing::debug!("the gateway that leads is not reached: {error}"),
        }
        // A new way is tried at once, and one that was told too early a little later.
        tokio::select! {
            _ = way.changed() => {}
            () = sleep(AGAIN) => {}
        }
    }
}

/// Ends `work` when another gateway leads: one that stands still closes no connection.
async fn while_it_leads<T>(
    mut way: watch::Receiver<Option<Way>>,
    work: impl Future<Output = io::Result<T>>,
) -> io::Result<T> {
    tokio::select! {
        done = work => done,
        _ = way.changed() => Err(io::Error::other("another gateway leads")),
    }
}
