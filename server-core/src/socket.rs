//! Sockets of a server, as it needs them.

use std::io;
use std::net::SocketAddr;

use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::TcpListener;

use crate::error::BindError;

/// Connections that the system keeps while the server is busy: all boards of a server that failed come to the next one
/// within a second. The system has a limit of its own, often as many.
const BACKLOG: i32 = 4096;

/// Bytes that the system may keep for a client that does not read. With its usual buffers of megabytes a
/// slow reader would stay unnoticed for hours, and ten thousand of them would cost gigabytes.
const SEND_BUFFER: usize = 64 * 1024;

/// EAFNOSUPPORT, which `std` has no name for.
pub(crate) const NO_IPV6: i32 = if cfg!(target_os = "linux") {
    97
} else if cfg!(windows) {
    10047
} else {
    47
};

/// Opens a socket as [`Builder::bind`](crate::Builder::bind) does, for an owner that is not to lose it when its server ends: clones of it go to
/// [`Builder::listener`](crate::Builder::listener), one after the other. Connections that come while there is no server wait in it.
///
/// # Errors
/// If the address cannot be listened on.
pub fn open_socket(address: SocketAddr) -> Result<std::net::TcpListener, BindError> {
    open(address).map(Into::into).map_err(|source| BindError::Listen { address, source })
}

pub(crate) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::from_std(open(address)?.into())
}

fn open(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if let SocketAddr::V6(address) = address
        && address.ip().is_unspecified()
    {
        socket.set_only_v6(false)?;
    }
    // A restarted server must not wait for connections of the old one to time out. On Windows the
    // option means something else.
    #[cfg(not(windows))]
    socket.set_reuse_address(true)?;
    prepare(&socket)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket)
}

/// Takes a socket that somebody else has opened.
pub(crate) fn adopt(listener: std::net::TcpListener) -> Result<TcpListener, BindError> {
    let taken = prepare(&SockRef::from(&listener)).and_then(|()| TcpListener::from_std(listener));
    taken.map_err(|source| BindError::Adopt { source })
}

/// Sets what a socket needs that listens.
fn prepare(socket: &Socket) -> io::Result<()> {
    socket.set_nonblocking(true)?;
    // Accepted sockets inherit both.
    prepare_connection(socket)
}

/// Sets what a connection's socket needs.
pub(crate) fn prepare_connection(socket: &Socket) -> io::Result<()> {
    socket.set_send_buffer_size(SEND_BUFFER)?;
    socket.set_tcp_nodelay(true)
}
