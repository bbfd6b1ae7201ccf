//! Clients that acknowledge whatever comes.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::{address_of, ready};
use crate::lines::{Lines, acknowledge};
use crate::pump::Totals;
use crate::wire::Wire;

pub(super) async fn run(
    addresses: &[SocketAddr],
    clients: usize,
    totals: Arc<Totals>,
) -> io::Result<()> {
    let mut tasks = Vec::new();
    for n in 0..clients {
        let mut stream = TcpStream::connect(address_of(addresses, n)).await?;
        stream.set_nodelay(true)?;
        stream.write_all(&Wire::Link.hello(n)).await?;
        tasks.push(tokio::spawn(answer(stream, Arc::clone(&totals))));
    }
    ready();
    for task in tasks {
        task.await.map_err(io::Error::other)??;
    }
    Err(io::Error::other("the server closed all connections"))
}

async fn answer(mut stream: TcpStream, totals: Arc<Totals>) -> io::Result<()> {
    let mut lines = Lines::new();
    let mut acks = Vec::new();
    while lines.read(&mut stream, |line| acknowledge(line, &mut acks)).await? {
        if !acks.is_empty() {
            stream.write_all(&acks).await?;
            totals.add(acks.len() / 3);
            acks.clear();
        }
    }
    Ok(())
}
