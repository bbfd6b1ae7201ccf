//! The server of `pblink serve` with its log, and no consumer.

use std::io;
use std::net::SocketAddr;
use std::path::Path;

use pblink_serve::log::{EngineError, Keep, Log, Memory, Opened, Sqlite};
use pblink_serve::memory;
use pblink_server::Server;
use tokio::task::JoinHandle;

/// Lines that are read at a time.
const PAGE: usize = 1000;

/// Runs it with its log in `folder`, or in memory.
pub(super) async fn run(
    address: SocketAddr,
    folder: Option<&Path>,
    end: JoinHandle<()>,
) -> io::Result<()> {
    let open = || -> Result<Opened, EngineError> {
        match folder {
            Some(folder) => Log::open(Sqlite::open(folder)?, Keep::default()),
            None => Log::open(Memory::new("bench"), Keep { bytes: 64_000_000, ..Keep::default() }),
        }
    };
    let Opened { log, sessions, .. } = open().map_err(io::Error::other)?;
    let builder = Server::builder().commits(true).restore_states(sessions).listen(address);
    let server = builder.bind().await.map_err(io::Error::other)?;
    log.attach(server.clone()).await;
    println!("{}", server.local_addr());
    // As in `pblink serve`.
    let watched = server.clone();
    tokio::spawn(memory::follow(move || Some(watched.connections())));
    end.await.map_err(io::Error::other)?;
    println!("{}", server.links().iter().map(|link| link.duplicates).sum::<u64>());
    Ok(())
}

/// Returns the texts of all lines of a log on disk, whose server has ended.
pub fn texts(folder: &Path) -> io::Result<Vec<String>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let sqlite = Sqlite::open(folder).map_err(io::Error::other)?;
        let opened = Log::open(sqlite, Keep::default()).map_err(io::Error::other)?;
        let (log, mut texts) = (opened.log, Vec::new());
        let mut seen = 0;
        while seen < log.head() {
            let page = log.page(seen, PAGE, None).await.map_err(io::Error::other)?;
            texts.extend(page.lines.iter().map(|line| line.text.to_string()));
            seen = page.seen;
        }
        Ok(texts)
    })
}
