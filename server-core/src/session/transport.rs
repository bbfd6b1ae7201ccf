//! The socket of a session's connection, and what is on its way through it.
//!
//! With [`stream`](super::stream), which knows the kinds of sockets, the only file of the session that knows one. What is to be
//! sent comes from the endpoint; what has come is handed to it by the [task](super::task).

use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pblink_protocol::time::Instant;
use tokio::io::ReadBuf;
use tokio::sync::Notify;
use tokio::time::timeout;

use super::stream::{Reader, Stream, Writer};
use crate::buffers::with_read_buffer;

/// One connection, as its task and the session share it.
#[derive(Debug)]
pub(crate) struct Socket {
    /// Written to by whoever has something to send, under the session's lock.
    half: Writer,
    /// Tells the connection's task to look again.
    work: Notify,
}

/// Parts a connection: what the session shares, and what only its task reads.
pub(crate) fn split(stream: Stream) -> (Arc<Socket>, Incoming) {
    let (read, half) = stream.split();
    (
        Arc::new(Socket { half, work: Notify::new() }),
        Incoming { half: read, burst: 0, ended: false },
    )
}

impl Socket {
    /// Hands what has come, as far as the runtime does not know of it, to `each`: `Ok` of no bytes is
    /// the end of the connection. `None`: nothing has come.
    pub(super) fn read_now<R>(&self, each: impl FnOnce(io::Result<&[u8]>) -> R) -> Option<R> {
        with_read_buffer(|buffer| match self.half.read_now(buffer) {
            Ok(n) => Some(each(Ok(&buffer[..n]))),
            Err(e)
                if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) =>
            {
                None
            }
            Err(e) => Some(each(Err(e))),
        })
    }

    fn work(&self) -> &Notify {
        self.half.woken().unwrap_or(&self.work)
    }

    /// Tells the connection's task to look at the session again.
    pub(crate) fn look_again(&self) {
        self.work().notify_one();
    }

    /// Waits until someone wants the connection's task to look again.
    pub(super) async fn asked(&self) {
        self.work().notified().await;
    }

    /// Waits until the socket takes bytes, or is broken.
    pub(super) async fn writable(&self) {
        self.half.writable().await;
    }
}

/// The reading end of a connection.
#[derive(Debug)]
pub(crate) struct Incoming {
    half: Reader,
    /// Bytes that were read without a pause.
    burst: usize,
    /// The client has closed the connection, or it is broken.
    ended: bool,
}

/// A client that has brought this many bytes in one go lets the others have their turn.
const BURST: usize = 256 * 1024;

impl Incoming {
    /// Waits until something has come.
    pub(super) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let ready = self.half.poll_ready(cx);
        if ready.is_pending() {
            self.burst = 0;
        }
        ready
    }

    /// Returns true if so much has come in one go that it is the turn of others; then the count starts again.
    pub(super) fn had_its_turn(&mut self) -> bool {
        let had = self.burst >= BURST;
        if had {
            self.burst = 0;
        }
        had
    }

    /// Hands what has come to `each`: `Ok` of no bytes is the end of the connection.
    pub(super) fn poll<R>(
        &mut self,
        cx: &mut Context<'_>,
        each: impl FnOnce(io::Result<&[u8]>) -> R,
    ) -> Poll<R> {
        with_read_buffer(|buffer| {
            let mut buffer = ReadBuf::new(buffer);
            let Poll::Ready(read) = self.half.poll_read(cx, &mut buffer) else {
                self.burst = 0;
                return Poll::Pending;
            };
            self.burst += buffer.filled().len();
            self.ended |= read.is_err() || buffer.filled().is_empty();
            Poll::Ready(each(read.map(|()| buffer.filled())))
        })
    }

    /// Closes the connection: the writing half first, if nobody else has `socket`. Waits for the client to close, at
    /// most for `patience`, and throws away what it sends until then: closing a socket with unread bytes resets it,
    /// and the client could lose the last acknowledgements.
    pub(super) async fn close(mut self, socket: Arc<Socket>, patience: Duration) {
        if self.ended {
            // Nothing is unread, and closing both halves at once spares two calls to the system.
            if let Some(socket) = Arc::into_inner(socket) {
                socket.half.forget();
            }
            return;
        }
        drop(socket);
        let rest = std::future::poll_fn(|cx| {
            let more = |read: io::Result<&[u8]>| read.is_ok_and(|bytes| !bytes.is_empty());
            while ready!(self.poll(cx, more)) {}
            Poll::Ready(())
        });
        // That the client does not close in time changes nothing.
        let _ = timeout(patience, rest).await;
    }
}

/// The connection of a session: its socket, and the bytes that the socket has not taken yet.
#[derive(Debug)]
pub(crate) struct Transport {
    socket: Arc<Socket>,
    /// Taken from the endpoint, but not yet by the socket.
    unsent: Vec<u8>,
    unsent_from: usize,
    /// The socket has taken nothing since then.
    blocked_since: Option<Instant>,
    /// The connection's task knows that it has to wait until the socket takes bytes.
    told_blocked: bool,
    broken: bool,
    /// When the connection's task looks again by itself. `None`: it has not asked yet.
    armed: Option<Instant>,
}

impl Transport {
    pub(super) fn new(socket: Arc<Socket>) -> Self {
        Self {
            socket,
            unsent: Vec::new(),
            unsent_from: 0,
            blocked_since: None,
            told_blocked: false,
            broken: false,
            armed: None,
        }
    }

    pub(super) fn socket(&self) -> Arc<Socket> {
        Arc::clone(&self.socket)
    }

    pub(super) fn is(&self, socket: &Arc<Socket>) -> bool {
        Arc::ptr_eq(&self.socket, socket)
    }

    pub(super) fn look_again(&self) {
        self.socket.look_again();
    }

    /// Returns true when writing has failed: the connection is gone.
    pub(super) fn is_broken(&self) -> bool {
        self.broken
    }

    /// Tries once more to send what the socket has not taken, before that counts as its client's fault.
    pub(super) fn retry(&mut self, now: Instant) {
        let rest = &self.unsent[self.unsent_from..];
        if let Ok(n) = self.socket.half.write_now(rest)
            && n > 0
        {
            self.unsent_from += n;
            self.blocked_since = Some(now);
        }
    }

    /// Returns since when the socket has taken nothing, if bytes wait for it.
    pub(super) fn blocked_since(&self) -> Option<Instant> {
        self.blocked_since
    }

    /// Sends all that `next` gives (it fills the buffer and returns how much that is; 0: no more) and
    /// that the socket takes.
    pub(super) fn flush(
        &mut self,
        now: Instant,
        out: &mut [u8],
        mut next: impl FnMut(&mut [u8]) -> usize,
    ) {
        while !self.broken {
            if self.unsent_from < self.unsent.len() {
                match self.socket.half.try_write(&self.unsent[self.unsent_from..]) {
                    Ok(n) => {
                        self.unsent_from += n;
                        self.blocked_since = Some(now);
                    }
                    Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                        self.blocked_since.get_or_insert(now);
                        return;
                    }
                    Err(_) => self.broken = true,
                }
                continue;
            }
            if !self.unsent.is_empty() {
                self.unsent.clear();
                self.unsent_from = 0;
            }
            self.blocked_since = None;
            let n = next(out);
            if n == 0 {
                self.broken |= self.socket.half.flush().is_err();
                return;
            }
            let sent = match self.socket.half.try_write(&out[..n]) {
                Ok(sent) => sent,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => 0,
                Err(_) => {
                    self.broken = true;
                    return;
                }
            };
            // What is left goes through the branch above, which notices when the socket is full.
            self.unsent.extend_from_slice(&out[sent..n]);
        }
    }

    /// Returns for the connection's task when to look again, if that has changed (`fired`: its
    /// timer has gone off), and whether it has to wait until the socket takes bytes.
    pub(super) fn rearm(
        &mut self,
        deadline: Option<Instant>,
        fired: bool,
    ) -> (Option<Instant>, bool) {
        self.told_blocked = self.blocked_since.is_some();
        // A later deadline is looked at when the earlier one fires: re-arming a timer for every
        // line costs more than one wake-up in a quarter of the time-out.
        let deadline = deadline.filter(|&at| fired || self.is_earlier(at));
        self.armed = deadline.or(self.armed);
        (deadline, self.told_blocked)
    }

    /// Reports whether the connection's task has to know, after a writer has flushed.
    pub(super) fn wants_attention(&self, deadline: Option<Instant>) -> bool {
        self.broken
            || self.blocked_since.is_some() && !self.told_blocked
            || deadline.is_some_and(|at| self.is_earlier(at))
    }

    /// Returns true for a time at which the connection's task would come too late.
    fn is_earlier(&self, at: Instant) -> bool {
        self.armed.is_none_or(|armed| at < armed)
    }

    /// Gives back memory that an idle connection does not need.
    pub(super) fn shrink(&mut self) {
        if self.unsent.is_empty() {
            self.unsent = Vec::new();
        }
    }
}
