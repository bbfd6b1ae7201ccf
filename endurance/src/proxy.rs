//! The network between boards and servers: it can be cut, and it can stop.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::timeout;

/// Time that a server has to take a connection. One that is cut off says nothing.
const CONNECT: Duration = Duration::from_millis(500);

/// Stops bytes, or lets them go on.
#[derive(Debug)]
struct Valve {
    stopped: watch::Sender<bool>,
    /// Bytes from whoever connects that pass before all stop.
    left: AtomicU64,
}

impl Valve {
    /// Takes away this many bytes, as far as they may pass. Returns how many these are.
    fn take(&self, bytes: usize) -> usize {
        let bytes = bytes as u64;
        let take = |left: u64| (left < u64::MAX).then(|| left.saturating_sub(bytes));
        match self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take) {
            Ok(left) if left < bytes => {
                self.stopped.send_replace(true);
                left as usize
            }
            _ => bytes as usize,
        }
    }
}

/// Passes on connections to a server, or to one of several that can be reached, until it is dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    lines: Arc<Mutex<Vec<AbortHandle>>>,
    valve: Arc<Valve>,
    listener: JoinHandle<()>,
}

impl Proxy {
    /// Listens on a port of this machine for whoever wants to talk with `server`.
    ///
    /// # Errors
    /// If the system gives no port.
    pub async fn start(server: SocketAddr) -> io::Result<Self> {
        Self::among(vec![server]).await
    }

    /// Listens on a port of this machine for whoever wants to talk with one of `servers`: the first that takes the connection.
    /// Each connection asks another one first, so that one which takes connections and does not answer gets a part of them.
    ///
    /// # Errors
    /// If the system gives no port.
    pub async fn among(servers: Vec<SocketAddr>) -> io::Result<Self> {
        Self::at(Ipv4Addr::LOCALHOST, servers).await
    }

    /// Listens at another address of this machine.
    ///
    /// # Errors
    /// If the system gives no port there.
    pub async fn at(address: Ipv4Addr, servers: Vec<SocketAddr>) -> io::Result<Self> {
        let listener = TcpListener::bind((address, 0)).await?;
        let address = listener.local_addr()?;
        let lines = Arc::<Mutex<Vec<AbortHandle>>>::default();
        let valve = Valve { stopped: watch::Sender::new(false), left: AtomicU64::new(u64::MAX) };
        let (valve, turn) = (Arc::new(valve), AtomicUsize::new(0));
        let (theirs, stops) = (Arc::clone(&lines), Arc::clone(&valve));
        let listener = tokio::spawn(async move {
            // An error is one connection's: there are more.
            while let Ok((board, _)) = listener.accept().await {
                let mut servers = servers.clone();
                let first = turn.fetch_add(1, Ordering::Relaxed) % servers.len();
                servers.rotate_left(first);
                let line = tokio::spawn(pass(board, servers, Arc::clone(&stops)));
                let mut lines = lock(&theirs);
                lines.retain(|line| !line.is_finished());
                lines.push(line.abort_handle());
            }
        });
        Ok(Self { address, lines, valve, listener })
    }

    /// Returns the address that boards connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Cuts each connection that `cuts` chooses, with whatever is on its way in it. Returns their number.
    pub fn cut(&self, mut cuts: impl FnMut() -> bool) -> usize {
        let lines = lock(&self.lines);
        let cut = lines.iter().filter(|line| !line.is_finished() && cuts());
        cut.map(AbortHandle::abort).count()
    }

    /// Stops all bytes, or lets them go on. None is lost, and nobody is told: as if a cable were pulled.
    pub fn stop(&self, stopped: bool) {
        self.valve.left.store(u64::MAX, Ordering::Relaxed);
        self.valve.stopped.send_replace(stopped);
    }

    /// Stops all bytes once this many more have come from whoever connects: in the middle of what is said.
    pub fn stop_after(&self, bytes: u64) {
        self.valve.left.store(bytes, Ordering::Relaxed);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listener.abort();
        self.cut(|| true);
    }
}

async fn pass(board: TcpStream, servers: Vec<SocketAddr>, valve: Arc<Valve>) {
    let mut found = None;
    for server in servers {
        if let Ok(Ok(server)) = timeout(CONNECT, TcpStream::connect(server)).await {
            found = Some(server);
            break;
        }
    }
    let Some(server) = found else { return };
    for stream in [&board, &server] {
        // Small lines are not to wait for each other here.
        let _ = stream.set_nodelay(true);
    }
    let ((from_board, to_board), (from_server, to_server)) =
        (board.into_split(), server.into_split());
    // However it ends: both ends see it.
    let _ = tokio::try_join!(
        pass_one_way(from_board, to_server, &valve, |bytes| valve.take(bytes)),
        pass_one_way(from_server, to_board, &valve, |bytes| bytes)
    );
}

async fn pass_one_way(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    valve: &Valve,
    take: impl Fn(usize) -> usize,
) -> io::Result<()> {
    let mut stopped = valve.stopped.subscribe();
    let mut bytes = vec![0; 16 * 1024];
    loop {
        let read = from.read(&mut bytes).await?;
        let mut passed = 0;
        while passed < read || read == 0 {
            // The sender is here as long as this is.
            let _ = stopped.wait_for(|stopped| !stopped).await;
            if read == 0 {
                return to.shutdown().await;
            }
            let some = take(read - passed);
            to.write_all(&bytes[passed..passed + some]).await?;
            passed += some;
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
