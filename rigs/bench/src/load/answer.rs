//! Clients that acknowledge whatever comes.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::ready;
use crate::pump::Totals;
use crate::wire::Wire;

pub(super) async fn run(
    address: SocketAddr,
    clients: usize,
    totals: Arc<Totals>,
) -> io::Result<()> {
    let mut tasks = Vec::new();
    for n in 0..clients {
        let mut stream = TcpStream::connect(address).await?;
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
    let mut buffer = vec![0; 16 * 1024];
    let mut len = 0;
    let mut acks = Vec::new();
    loop {
        let n = stream.read(&mut buffer[len..]).await?;
        if n == 0 {
            return Ok(());
        }
        len += n;
        let mut from = 0;
        while let Some(end) = buffer[from..len].iter().position(|&b| b == b'\n') {
            if end > 2 {
                acks.extend([buffer[from], buffer[from + 1], b'\n']);
            }
            from += end + 1;
        }
        buffer.copy_within(from..len, 0);
        len -= from;
        if !acks.is_empty() {
            stream.write_all(&acks).await?;
            totals.add(acks.len() / 3);
            acks.clear();
        }
    }
}
