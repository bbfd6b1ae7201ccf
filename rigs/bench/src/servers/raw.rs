//! The server that others are compared with: reads what is there, and acknowledges all of it with one write.

use std::io;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::pump::{Totals, pump};
use crate::wire::{Ring, Wire};

pub(super) async fn run(writes: usize, end: JoinHandle<()>) -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    let ring = Arc::new(Ring::new(Wire::Link, writes.max(1)));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let _ = stream.set_nodelay(true);
            if writes > 0 {
                // It counts itself what it needs to know; the clients count what is shown.
                let totals = Arc::new(Totals::default());
                tokio::spawn(pump(stream, Wire::Link, Arc::clone(&ring), writes, totals));
            } else {
                tokio::spawn(acknowledge(stream));
            }
        }
    });
    end.await.map_err(io::Error::other)
}

async fn acknowledge(mut stream: TcpStream) -> io::Result<()> {
    // As much as the server reads at a time.
    let mut buffer = vec![0; 16 * 1024];
    let (mut len, mut greeted) = (0, false);
    let mut out = Vec::new();
    loop {
        let n = stream.read(&mut buffer[len..]).await?;
        if n == 0 {
            return Ok(());
        }
        len += n;
        let mut from = 0;
        while let Some(end) = buffer[from..len].iter().position(|&b| b == b'\n') {
            if !std::mem::replace(&mut greeted, true) {
                out.push(b'\n');
            } else if end > 2 {
                out.extend([buffer[from], buffer[from + 1], b'\n']);
            }
            from += end + 1;
        }
        buffer.copy_within(from..len, 0);
        len -= from;
        if !out.is_empty() {
            stream.write_all(&out).await?;
            out.clear();
        }
    }
}
