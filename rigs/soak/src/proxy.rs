//! The network between boards and servers: it can be cut, and it can stop.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinHandle};

/// Passes on connections to a server, or to one of several that can be reached, until it is dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    lines: Arc<Mutex<Vec<AbortHandle>>>,
    stopped: watch::Sender<bool>,
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
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let lines = Arc::<Mutex<Vec<AbortHandle>>>::default();
        let (stopped, turn) = (watch::Sender::new(false), AtomicUsize::new(0));
        let (theirs, stops) = (Arc::clone(&lines), stopped.subscribe());
        let listener = tokio::spawn(async move {
            // An error is one connection's: there are more.
            while let Ok((board, _)) = listener.accept().await {
                let mut servers = servers.clone();
                let first = turn.fetch_add(1, Ordering::Relaxed) % servers.len();
                servers.rotate_left(first);
                let line = tokio::spawn(pass(board, servers, stops.clone()));
                let mut lines = lock(&theirs);
                lines.retain(|line| !line.is_finished());
                lines.push(line.abort_handle());
            }
        });
        Ok(Self { address, lines, stopped, listener })
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
        self.stopped.send_replace(stopped);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listener.abort();
        self.cut(|| true);
    }
}

async fn pass(board: TcpStream, servers: Vec<SocketAddr>, stopped: watch::Receiver<bool>) {
    let mut found = None;
    for server in servers {
        if let Ok(server) = TcpStream::connect(server).await {
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
        pass_one_way(from_board, to_server, stopped.clone()),
        pass_one_way(from_server, to_board, stopped)
    );
}

async fn pass_one_way(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut stopped: watch::Receiver<bool>,
) -> io::Result<()> {
    let mut bytes = vec![0; 16 * 1024];
    loop {
        let read = from.read(&mut bytes).await?;
        // Its sender goes with the listener: nothing is passed on then.
        let _ = stopped.wait_for(|stopped| !stopped).await;
        if read == 0 {
            return to.shutdown().await;
        }
        to.write_all(&bytes[..read]).await?;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
