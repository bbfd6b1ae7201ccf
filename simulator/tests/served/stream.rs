//! The server's end of a connection.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use pblink_protocol::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::net::Net;
use super::pipe::{End, Segment};

/// See the module's text. Dropped, it is closed: with a reset if something was not read.
#[derive(Debug)]
pub struct Stream {
    net: Net,
    number: usize,
}

impl Stream {
    pub fn new(net: Net, number: usize) -> Self {
        Self { net, number }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut inner = self.net.lock();
        let now = inner.time();
        let all = inner.rng.u8(..) < 200;
        let part = inner.rng.usize(1..=64);
        let Some(connection) = inner.connections.get_mut(&self.number) else {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        };
        if connection.up.end == Some(End::Reset) || connection.closed.1 {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        let arrived = &mut connection.up.arrived;
        if arrived.is_empty() {
            if connection.up.end.is_some() {
                return Poll::Ready(Ok(()));
            }
            connection.up.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let most = arrived.len().min(buffer.remaining());
        let n = if all { most } else { most.min(part) };
        let bytes: Vec<u8> = arrived.drain(..n).collect();
        buffer.put_slice(&bytes);
        inner.pump(self.number, now);
        drop(inner);
        // Its sender may have room now.
        self.net.changed.notify_one();
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut inner = self.net.lock();
        let now = inner.time();
        let part = match inner.options.stingy && inner.rng.u8(..) < 64 {
            true => Some(inner.rng.usize(1..=bytes.len().max(1))),
            false => None,
        };
        let pause = Duration::from_micros(inner.rng.u64(0..30_000));
        let Some(connection) = inner.connections.get_mut(&self.number) else {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        };
        if connection.up.end == Some(End::Reset) || connection.closed.1 {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let n = part.unwrap_or(bytes.len()).min(connection.down.room());
        if n == 0 || connection.busy_until.is_some() {
            connection.down.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let n = connection.down.write(&bytes[..n]);
        if part.is_some() {
            connection.busy_until = Some(now + pause);
        }
        inner.pump(self.number, now);
        drop(inner);
        self.net.changed.notify_one();
        Poll::Ready(Ok(n))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut inner = self.net.lock();
        let now = inner.time();
        if let Some(connection) = inner.connections.get_mut(&self.number) {
            connection.down.close();
        }
        inner.pump(self.number, now);
        drop(inner);
        self.net.changed.notify_one();
        Poll::Ready(Ok(()))
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let mut inner = self.net.lock();
        let now = inner.time();
        let at = now + inner.travels();
        if let Some(connection) = inner.connections.get_mut(&self.number)
            && !std::mem::replace(&mut connection.closed.1, true)
        {
            match connection.up.arrived.is_empty() {
                true => connection.down.close(),
                false => connection.down.send(at, Segment::Reset),
            }
            connection.up.arrived.clear();
        }
        inner.pump(self.number, now);
        drop(inner);
        self.net.changed.notify_one();
    }
}
