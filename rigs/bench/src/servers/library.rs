//! `pblink-server` alone: an application that accepts each line as soon as it has it, that takes all that wait at once, or
//! that writes.

use std::hint::black_box;
use std::io;
use std::net::SocketAddr;

use pblink_server::{Closed, Connection, Delivery, Server};
use tokio::task::JoinHandle;

use super::Work;
use crate::wire::TEXT;

/// Lines, and the way in which the application has to do with them.
#[derive(Debug, Clone, Copy)]
pub(super) enum Lines {
    /// It reads them, one by one.
    Reads,
    /// It takes all that wait, looks at each, and accepts them together.
    Batches,
    /// It writes so many at a time to each client.
    Writes(usize),
}

impl Lines {
    pub(super) const fn of(work: Work) -> Self {
        match work.writes() {
            0 => Self::Reads,
            writes => Self::Writes(writes),
        }
    }
}

pub(super) async fn run(address: SocketAddr, lines: Lines, end: JoinHandle<()>) -> io::Result<()> {
    let server = Server::builder().listen(address).bind().await;
    let server = server.map_err(io::Error::other)?;
    println!("{}", server.local_addr());
    let clients = server.clone();
    tokio::spawn(async move {
        while let Ok(link) = clients.next_client().await {
            match lines {
                Lines::Reads => tokio::spawn(read(link)),
                Lines::Batches => tokio::spawn(async move {
                    let Err(Closed) = take(link).await;
                }),
                Lines::Writes(writes) => tokio::spawn(write(link, writes)),
            };
        }
    });
    end.await.map_err(io::Error::other)?;
    println!("{}", server.links().iter().map(|link| link.duplicates).sum::<u64>());
    Ok(())
}

async fn read(link: Connection) {
    let mut line = String::new();
    while link.read_line_into(&mut line).await.is_ok() {}
}

async fn take(link: Connection) -> Result<std::convert::Infallible, Closed> {
    loop {
        let batch = link.next_batch().await?;
        for line in batch.lines() {
            black_box(line.text);
        }
        batch.accept()?;
    }
}

async fn write(link: Connection, writers: usize) {
    // The pause after connecting is no part of what is measured.
    if link.write("ready", Delivery::ORDERED).await.is_err() {
        return;
    }
    for _ in 0..writers {
        let link = link.clone();
        tokio::spawn(async move { while link.write(TEXT, Delivery::UNORDERED).await.is_ok() {} });
    }
}
