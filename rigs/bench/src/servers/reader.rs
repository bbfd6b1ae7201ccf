//! The server that one would write by hand: tokio's own reader of lines gives each as a `String`, and its number is
//! parsed. What was read at once is acknowledged at once.

use std::io::{self, Write};
use std::net::SocketAddr;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

pub(super) async fn run(address: SocketAddr, end: JoinHandle<()>) -> io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    println!("{}", listener.local_addr()?);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let _ = stream.set_nodelay(true);
            tokio::spawn(serve(stream));
        }
    });
    end.await.map_err(io::Error::other)
}

async fn serve(mut stream: TcpStream) -> io::Result<()> {
    let (read, mut write) = stream.split();
    // As many bytes as the other servers read at a time.
    let mut lines = BufReader::with_capacity(16 * 1024, read);
    let mut line = String::new();
    // The id of the client.
    lines.read_line(&mut line).await?;
    write.write_all(b"\n").await?;
    let mut out = Vec::new();
    loop {
        line.clear();
        if lines.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        if let Some(number) = line.get(..2) {
            let number = u8::from_str_radix(number, 16).map_err(io::Error::other)?;
            writeln!(out, "{number:02x}")?;
        }
        if !out.is_empty() && !lines.buffer().contains(&b'\n') {
            write.write_all(&out).await?;
            out.clear();
        }
    }
}
