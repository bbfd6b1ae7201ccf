//! Clients that send lines.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

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
    let tasks: Vec<_> = streams
        .into_iter()
        .map(|stream| {
            tokio::spawn(pump(stream, wire, Arc::clone(&ring), in_flight, Arc::clone(&totals)))
        })
        .collect();
    for task in tasks {
        task.await.map_err(io::Error::other)??;
    }
    Err(io::Error::other("the server closed all connections"))
}

/// Connects clients, and reports when all have been answered.
pub(super) async fn connect(
    addresses: &[SocketAddr],
    wire: Wire,
    clients: usize,
) -> io::Result<Vec<TcpStream>> {
    let mut streams = Vec::new();
    for n in 0..clients {
        let mut stream = TcpStream::connect(address_of(addresses, n)).await?;
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
            Wire::Mqtt => drop(stream.read_u32().await?),
        }
        streams.push(stream);
    }
    ready();
    Ok(streams)
}
