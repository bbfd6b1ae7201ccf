//! Clients that connect, wait for the first byte of the server, and leave.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;

use super::{address_of, ready};
use crate::pump::Totals;
use crate::wire::Wire;

/// Ids in use: as many as a server knows at a time, so that none is still connected when it comes again.
const IDS: usize = 4096;

/// Connects `at_once` clients at a time, for ever.
pub(super) async fn run(
    addresses: &[SocketAddr],
    wire: Wire,
    at_once: usize,
    totals: Arc<Totals>,
) -> io::Result<()> {
    let next = Arc::new(AtomicUsize::new(0));
    for n in 0..at_once {
        let (next, totals) = (Arc::clone(&next), Arc::clone(&totals));
        let address = address_of(addresses, n);
        tokio::spawn(async move {
            // Closed connections keep their ports for a minute; each address has its own.
            let from = SocketAddr::from(([127, 0, 1, n as u8 + 1], 0));
            loop {
                let id = next.fetch_add(1, Ordering::Relaxed) % IDS;
                let began = Instant::now();
                match connect(from, address, &wire.hello(id)).await {
                    Ok(()) => {
                        totals.add(1);
                        totals.took(began, 1);
                    }
                    Err(error) => {
                        eprintln!("a connection failed: {error}");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                }
            }
        });
    }
    ready();
    std::future::pending().await
}

async fn connect(from: SocketAddr, to: SocketAddr, hello: &[u8]) -> io::Result<()> {
    let socket = TcpSocket::new_v4()?;
    // Where there is only one address, it has to do.
    let _ = socket.bind(from);
    let mut stream = socket.connect(to).await?;
    stream.set_nodelay(true)?;
    stream.write_all(hello).await?;
    stream.read_u8().await.map(drop)
}
