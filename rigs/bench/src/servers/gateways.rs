//! Servers that share a log, each in a process of its own: one leads, and the others pass on to it what comes to them.

use std::io::{self, BufRead};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use pblink_serve::gateways::{Door, Entrance};
use pblink_serve::hub::Hub;
use pblink_serve::log::store::{Store, StoreOptions};
use pblink_serve::log::{Keep, Log, Opened};
use pblink_serve::memory;
use pblink_server::{Server, open_socket};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::stores::{COPIES, Stream};
use crate::process::{GATEWAY, Process, open_many_files};

/// First argument of the gateway that leads.
const LEADS: &str = "leads";
/// First argument of one that stands by.
const STANDS_BY: &str = "stands-by";

/// Starts a gateway that leads, and then so many that stand by. Returns them in this order.
pub fn start(
    stream: &Stream,
    stand_by: usize,
    timeout: Duration,
) -> io::Result<Vec<(Process, SocketAddr)>> {
    let one = |n: usize| {
        let role = if n == 0 { LEADS } else { STANDS_BY };
        let timeout = timeout.as_millis().to_string();
        let name = format!("gateway-{n}");
        let args = [role.to_owned(), stream.urls.clone(), stream.name.clone(), name, timeout];
        let mut process = Process::role(GATEWAY, &args)?;
        let address = process.hear()?.parse().map_err(io::Error::other)?;
        Ok((process, address))
    };
    (0..=stand_by).map(one).collect()
}

/// Runs a gateway until stdin ends: `ROLE URLS STORE NAME TIMEOUT_MS`. It says its address first, then the number of its commits
/// for each line that it hears, and at the end the number of lines that have come twice.
pub fn main(args: &[String]) -> io::Result<()> {
    let wrong = || io::Error::other("this role is for the benchmark itself");
    let [role, urls, store, name, timeout] = args else { return Err(wrong()) };
    let timeout = Duration::from_millis(timeout.parse().map_err(|_| wrong())?);
    let files = open_many_files();
    let options =
        StoreOptions { urls: urls.clone(), name: store.clone(), ..StoreOptions::default() };
    let (say, orders) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            let _ = say.send(line);
        }
    });
    let folder = tempfile::tempdir()?;
    // As in `pblink serve`.
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let duplicates = runtime.block_on(async {
        let store = Store::connect(&options, name).await.map_err(io::Error::other)?;
        match role.as_str() {
            LEADS => lead(store, folder.path(), timeout, orders).await,
            STANDS_BY => stand_by(store, name, folder.path(), files as usize / 2, orders).await,
            _ => Err(wrong()),
        }
    })?;
    // Whoever hears the last line ends this process.
    drop(folder);
    println!("{duplicates}");
    Ok(())
}

/// Opens a socket as `pblink serve` does: the library's usual queue is too short for hundreds that come at a time.
fn listen() -> io::Result<TcpListener> {
    let socket = open_socket(([127, 0, 0, 1], 0).into()).map_err(io::Error::other)?;
    TcpListener::from_std(socket)
}

/// Serves boards, as `pblink serve` does without a consumer.
async fn lead(
    store: Store,
    folder: &Path,
    timeout: Duration,
    mut orders: mpsc::UnboundedReceiver<String>,
) -> io::Result<u64> {
    store.init(COPIES).await.map_err(io::Error::other)?;
    let leader = store.stand_by(&folder.join("copy"), |_| {}).await.map_err(io::Error::other)?;
    let socket = listen()?;
    let address = socket.local_addr()?;
    let entrance = Entrance::new(socket, address)?;
    leader.tell_way(entrance.way());
    let fellows = leader.fellows();
    let opened = Log::open(leader, Keep::default()).map_err(io::Error::other)?;
    let Opened { log, sessions, past } = opened;
    let builder = Server::builder().timeout(timeout).commits(true).restore_states(sessions);
    let builder = builder.gate(log.gate());
    let server = builder.listen(([127, 0, 0, 1], 0).into()).bind().await;
    let server = server.map_err(io::Error::other)?;
    let hub = Hub::resume(server.clone(), log.clone(), past, timeout, "none").await;
    let hub = hub.map_err(io::Error::other)?;
    hub.share_with(fellows.clone());
    log.attach(server.clone()).await;
    let _entrance = entrance.open(server.clone(), None, fellows);
    let watched = server.clone();
    tokio::spawn(memory::follow(move || Some(watched.connections())));
    println!("{}", server.local_addr());
    loop {
        tokio::select! {
            order = orders.recv() => match order {
                Some(_) => println!("{}", log.status().commits),
                None => break,
            },
            why = log.failed() => return Err(io::Error::other(why)),
        }
    }
    Ok(server.links().iter().map(|link| link.duplicates).sum())
}

/// Passes boards on, `limit` at a time.
async fn stand_by(
    store: Store,
    name: &str,
    folder: &Path,
    limit: usize,
    mut orders: mpsc::UnboundedReceiver<String>,
) -> io::Result<u64> {
    let socket = listen()?;
    let address = socket.local_addr()?;
    let door = Door::for_boards(socket, (name, store.way()), limit);
    let copy = folder.join("copy");
    let standing = store.stand_by(&copy, |_| {});
    let mut way = store.way();
    let passing = async {
        way.wait_for(Option::is_some).await.map_err(io::Error::other)?;
        println!("{address}");
        while orders.recv().await.is_some() {
            println!("0");
        }
        Ok(0)
    };
    let done = tokio::select! {
        led = standing => match led {
            Ok(_) => Err(io::Error::other("another gateway leads now: nothing of this counts")),
            Err(error) => Err(io::Error::other(error)),
        },
        done = passing => done,
    };
    door.close().await;
    done
}
