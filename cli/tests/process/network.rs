//! The network between a board and its server: it can be cut.

use std::io;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// Passes connections on to a server, also to one that is not there yet.
pub struct Network {
    /// Where the board connects to.
    pub address: String,
    ends: Arc<Mutex<Vec<TcpStream>>>,
}

impl Network {
    pub fn to(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let ends = Arc::<Mutex<Vec<TcpStream>>>::default();
        let (server, theirs) = (server.to_owned(), Arc::clone(&ends));
        thread::spawn(move || {
            for board in listener.incoming() {
                // Without a server the board's connection ends at once.
                if let (Ok(board), Ok(server)) = (board, TcpStream::connect(&server)) {
                    theirs.lock().unwrap().push(board.try_clone().unwrap());
                    pass(board.try_clone().unwrap(), server.try_clone().unwrap());
                    pass(server, board);
                }
            }
        });
        Self { address, ends }
    }

    /// Cuts all connections, with what is on its way in them.
    pub fn cut(&self) {
        for board in self.ends.lock().unwrap().drain(..) {
            // One that has ended has nothing to be cut.
            let _ = board.shutdown(Shutdown::Both);
        }
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream) {
    let _ = to.set_nodelay(true);
    thread::spawn(move || {
        // However it ends: both ends see it.
        let _ = io::copy(&mut from, &mut to);
        let _ = from.shutdown(Shutdown::Both);
        let _ = to.shutdown(Shutdown::Both);
    });
}
