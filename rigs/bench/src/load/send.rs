//! Clients that send lines.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::{address_of, ready};
use crate::pump::{Totals, pump};
use crate::wire::{Ring, TEXT, Wire};

pub(super) async fn run(
    addresses: &[SocketAddr],
    wire: Wire,
    clients: usize,
    in_flight: usize,
    totals: Arc<Totals>,
) -> io::Result<()> {
    let ring = Arc::new(Ring::new(wire, in_flight));
    let streams = connect(addresses, wire, clients).await?;
    let clients = streams
        .into_iter()
        .map(|stream| pump(stream, wire, Arc::clone(&ring), in_flight, Arc::clone(&totals)));
    until_one_ends(clients.collect()).await
}

/// Runs clients until the server has closed one's connection: fewer of them would pass for a slow server.
pub(super) async fn until_one_ends(mut clients: JoinSet<io::Result<()>>) -> io::Result<()> {
    if let Some(ended) = clients.join_next().await {
        ended.map_err(io::Error::other)??;
    }
    Err(io::Error::other("the server has closed a connection"))
}

/// Connects clients, and reports when all have been answered.
pub(super) async fn connect(
    addresses: &[SocketAddr],
    wire: Wire,
    clients: usize,
) -> io::Result<Vec<TcpStream>> {
    // Not one behind the other: where a server takes its time for the last ones, it would miss the first ones' signs of life.
    let all: JoinSet<_> =
        (0..clients).map(|n| connect_one(address_of(addresses, n), wire, n)).collect();
    let streams = all.join_all().await.into_iter().collect::<io::Result<Vec<_>>>()?;
    ready();
    Ok(streams)
}

async fn connect_one(to: SocketAddr, wire: Wire, n: usize) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(to).await?;
    stream.set_nodelay(true)?;
    stream.write_all(&wire.hello(n)).await?;
    match wire {
        // The first line of a run has number 0, and is alone.
        Wire::Link => {
            stream.write_all(format!("00{TEXT}\n").as_bytes()).await?;
            let mut seen = Vec::new();
            while !seen.ends_with(b"00\n") {
                seen.push(stream.read_u8().await?);
            }
        }
        Wire::Mqtt | Wire::MqttOnce => drop(stream.read_u32().await?),
    }
    Ok(stream)
}
