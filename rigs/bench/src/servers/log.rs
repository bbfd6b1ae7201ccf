//! The server of `pblink serve` with its log, and no consumer.

use std::io;

use pblink_serve::log::{EngineError, Keep, Log, Memory, Opened, Sqlite};
use pblink_serve::memory;
use pblink_server::Server;
use tempfile::TempDir;
use tokio::task::JoinHandle;

/// Runs it with its log in `folder`, or in memory.
pub(super) async fn run(folder: Option<TempDir>, end: JoinHandle<()>) -> io::Result<()> {
    let open = || -> Result<Opened, EngineError> {
        match &folder {
            Some(folder) => Log::open(Sqlite::open(folder.path())?, Keep::default()),
            None => Log::open(Memory::new("bench"), Keep { bytes: 64_000_000, ..Keep::default() }),
        }
    };
    let Opened { log, .. } = open().map_err(io::Error::other)?;
    let server = Server::builder().commits(true).listen(([127, 0, 0, 1], 0).into()).bind().await;
    let server = server.map_err(io::Error::other)?;
    log.attach(server.clone()).await;
    println!("{}", server.local_addr());
    // As in `pblink serve`.
    let watched = server.clone();
    tokio::spawn(memory::follow(move || Some(watched.connections())));
    end.await.map_err(io::Error::other)?;
    println!("{}", server.links().iter().map(|link| link.duplicates).sum::<u64>());
    Ok(())
}
