//! The network between boards and server: it can be cut.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinHandle};

/// Passes on connections to a server, until it is dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    lines: Arc<Mutex<Vec<AbortHandle>>>,
    listener: JoinHandle<()>,
}

impl Proxy {
    /// Listens on a port of this machine for whoever wants to talk with `server`.
    ///
    /// # Errors
    /// If the system gives no port.
    pub async fn start(server: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let lines = Arc::<Mutex<Vec<AbortHandle>>>::default();
        let theirs = Arc::clone(&lines);
        let listener = tokio::spawn(async move {
            // An error is one connection's: there are more.
            while let Ok((board, _)) = listener.accept().await {
                let line = tokio::spawn(pass(board, server));
                let mut lines = lock(&theirs);
                lines.retain(|line| !line.is_finished());
                lines.push(line.abort_handle());
            }
        });
        Ok(Self { address, lines, listener })
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
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listener.abort();
        self.cut(|| true);
    }
}

async fn pass(mut board: TcpStream, server: SocketAddr) {
    // Small lines are not to wait for each other here.
    let _ = board.set_nodelay(true);
    if let Ok(mut server) = TcpStream::connect(server).await {
        let _ = server.set_nodelay(true);
        // However it ends: both ends see it.
        let _ = copy_bidirectional(&mut board, &mut server).await;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
