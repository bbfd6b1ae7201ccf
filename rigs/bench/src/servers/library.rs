//! `pblink-server` alone: an application that accepts each line as soon as it has it, or that writes.

use std::io;

use pblink_server::{Connection, Delivery, Server};
use tokio::task::JoinHandle;

use crate::wire::TEXT;

pub(super) async fn run(writes: usize, end: JoinHandle<()>) -> io::Result<()> {
    let server = Server::builder().listen(([127, 0, 0, 1], 0).into()).bind().await;
    let server = server.map_err(io::Error::other)?;
    println!("{}", server.local_addr());
    let clients = server.clone();
    tokio::spawn(async move {
        while let Ok(link) = clients.next_client().await {
            if writes > 0 {
                tokio::spawn(write(link, writes));
            } else {
                tokio::spawn(read(link));
            }
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
