//! Sockets that the service manager has opened.

use std::io;
use std::net::TcpListener;

use listenfd::ListenFd;

/// The name of the socket for the control API, as in `FileDescriptorName=control`.
const CONTROL: &str = "control";

/// Listening sockets that this process was started with: sd_listen_fds(3), systemd.socket(5).
///
/// While the server starts anew they stay open, and whoever connects waits instead of being refused.
#[derive(Debug, Default)]
pub struct Sockets {
    /// For boards.
    pub boards: Option<TcpListener>,
    /// For the control API: the one that is named `control`.
    pub control: Option<TcpListener>,
}

impl Sockets {
    /// Takes those that the environment names, by `LISTEN_PID`, `LISTEN_FDS` and `LISTEN_FDNAMES`. To be called once, before
    /// the process has other threads: it takes the first two out of the environment, so that no child takes the sockets for its own.
    ///
    /// # Errors
    /// One is no listening TCP socket, or two are for the same.
    pub fn of_this_process() -> io::Result<Self> {
        let mut given = ListenFd::from_env();
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        let mut names = names.split(':');
        let mut sockets = Self::default();
        for index in 0..given.len() {
            let name = names.next().unwrap_or_default();
            let wrong = |why: &str| {
                let what = format!(
                    "socket {} of those that the service manager has opened ({name:?}) {why}",
                    index + 1
                );
                io::Error::new(io::ErrorKind::InvalidInput, what)
            };
            let socket = given.take_tcp_listener(index).map_err(|_| wrong("is not for TCP"))?;
            let socket = socket.ok_or_else(|| wrong("is not there"))?;
            // UDP and TCP that does not listen have no such option, or no.
            if !rustix::net::sockopt::socket_acceptconn(&socket).unwrap_or(false) {
                return Err(wrong("does not listen"));
            }
            let (place, whose) = match name {
                CONTROL => (&mut sockets.control, "the control API"),
                _ => (&mut sockets.boards, "boards"),
            };
            if place.replace(socket).is_some() {
                return Err(wrong(&format!(
                    "is a second one for {whose}; one takes all addresses"
                )));
            }
        }
        Ok(sockets)
    }
}
