//! The server that others are compared with: reads what is there, and acknowledges all of it with one write.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::Work;
use crate::lines::{Lines, acknowledge};
use crate::pump::{Totals, pump};
use crate::wire::{Ring, Wire};

pub(super) async fn run(address: SocketAddr, work: Work, end: JoinHandle<()>) -> io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    println!("{}", listener.local_addr()?);
    let writes = work.writes();
    let ring = Arc::new(Ring::new(Wire::Link, writes.max(1)));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let _ = stream.set_nodelay(true);
            if writes > 0 {
                // It counts itself what it needs to know; the clients count what is shown.
                let totals = Arc::new(Totals::default());
                tokio::spawn(pump(stream, Wire::Link, Arc::clone(&ring), writes, totals));
            } else {
                tokio::spawn(serve(stream, work == Work::Print));
            }
        }
    });
    end.await.map_err(io::Error::other)
}

/// Acknowledges lines; `prints`: after it has written them to stdout.
async fn serve(mut stream: TcpStream, prints: bool) -> io::Result<()> {
    let mut lines = Lines::new();
    let mut greeted = false;
    let (mut out, mut texts) = (Vec::new(), Vec::new());
    loop {
        let more = lines.read(&mut stream, |line| {
            if !std::mem::replace(&mut greeted, true) {
                out.push(b'\n');
                return;
            }
            acknowledge(line, &mut out);
            if prints && line.len() > 2 {
                texts.extend_from_slice(&line[2..]);
                texts.push(b'\n');
            }
        });
        if !more.await? {
            return Ok(());
        }
        if !texts.is_empty() {
            io::stdout().lock().write_all(&texts)?;
            texts.clear();
        }
        if !out.is_empty() {
            stream.write_all(&out).await?;
            out.clear();
        }
    }
}
