//! The bytes of a connection: those of a TCP socket, or of any other stream.

use std::fmt;
use std::io::{self, Read, Write};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::Notify;

/// A stream of bytes, both ways.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Duplex for S {}

/// A connection that is still in one piece.
#[derive(Debug)]
pub(crate) enum Stream {
    Tcp(TcpStream),
    Other(Arc<Other>),
}

/// A stream that is not a socket of the system.
pub(crate) struct Other {
    /// One lock for both ways: it is only held for as long as it takes to move bytes.
    stream: Mutex<Box<dyn Duplex>>,
    /// Bytes that it has taken may still wait in it.
    unflushed: AtomicBool,
    woken: Arc<Woken>,
    /// Wakes the connection's task by `woken`.
    waker: Waker,
}

/// Tells the connection's task to look again.
#[derive(Debug, Default)]
struct Woken(Notify);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.notify_one();
    }
}

impl fmt::Debug for Other {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Other")
    }
}

impl From<TcpStream> for Stream {
    fn from(stream: TcpStream) -> Self {
        Self::Tcp(stream)
    }
}

impl Stream {
    /// Takes a stream that is not a socket of the system.
    pub(crate) fn other(stream: impl Duplex + 'static) -> Self {
        let woken = Arc::<Woken>::default();
        Self::Other(Arc::new(Other {
            stream: Mutex::new(Box::new(stream)),
            unflushed: AtomicBool::new(false),
            waker: Arc::clone(&woken).into(),
            woken,
        }))
    }

    /// Reads into `buffer`, or waits until something has come.
    pub(crate) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Other(other) => other.poll_read(cx, buffer),
        }
    }

    /// Reads what it holds at this moment: see [`Writer::read_now`].
    pub(crate) fn read_now(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => read_socket(stream, buffer),
            Self::Other(other) => other.read_now(buffer),
        }
    }

    /// Parts it into its two ways.
    pub(super) fn split(self) -> (Reader, Writer) {
        match self {
            Self::Tcp(stream) => {
                let (read, write) = stream.into_split();
                (Reader::Tcp(read), Writer::Tcp(write))
            }
            Self::Other(other) => {
                (Reader::Other(Arc::clone(&other)), Writer::Other(Closing(other)))
            }
        }
    }
}

fn read_socket(stream: &TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
    (&*SockRef::from(stream)).read(buffer)
}

impl Other {
    fn stream(&self) -> MutexGuard<'_, Box<dyn Duplex>> {
        self.stream.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.stream()).poll_read(cx, buffer)
    }

    /// Reads what it holds. If that is nothing, the connection's task reads when there is more: the stream has forgotten that it
    /// waits.
    fn read_now(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut buffer = ReadBuf::new(buffer);
        match self.poll_read(&mut Context::from_waker(&self.waker), &mut buffer) {
            Poll::Ready(read) => read.map(|()| buffer.filled().len()),
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut stream = self.stream();
        let mut cx = Context::from_waker(&self.waker);
        match Pin::new(&mut *stream).poll_write(&mut cx, bytes) {
            Poll::Ready(Ok(0)) => Err(io::ErrorKind::WriteZero.into()),
            Poll::Ready(Ok(n)) => {
                self.push(&mut stream, &mut cx)?;
                Ok(n)
            }
            Poll::Ready(Err(error)) => Err(error),
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    /// Lets what the stream has taken leave it, as far as that is possible now.
    fn push(&self, stream: &mut Box<dyn Duplex>, cx: &mut Context<'_>) -> io::Result<()> {
        match Pin::new(stream).poll_flush(cx) {
            Poll::Ready(flushed) => {
                self.unflushed.store(false, Ordering::Relaxed);
                flushed
            }
            Poll::Pending => {
                self.unflushed.store(true, Ordering::Relaxed);
                Ok(())
            }
        }
    }
}

/// The reading end of a connection.
#[derive(Debug)]
pub(super) enum Reader {
    Tcp(OwnedReadHalf),
    Other(Arc<Other>),
}

impl Reader {
    /// Waits until something may have come. What is wrong shows when it is read.
    pub(super) fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            Self::Tcp(half) => half.as_ref().poll_read_ready(cx).map(drop),
            // Nobody but a reader learns it.
            Self::Other(_) => Poll::Ready(()),
        }
    }

    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(half) => Pin::new(half).poll_read(cx, buffer),
            Self::Other(other) => other.poll_read(cx, buffer),
        }
    }
}

/// The writing end of a connection. Dropped, it closes that.
#[derive(Debug)]
pub(super) enum Writer {
    Tcp(OwnedWriteHalf),
    Other(Closing),
}

/// Closes the writing half of a stream when it is dropped, as the half of a socket does.
#[derive(Debug)]
pub(super) struct Closing(Arc<Other>);

impl Drop for Closing {
    fn drop(&mut self) {
        // What cannot leave now goes with the stream.
        let mut cx = Context::from_waker(&self.0.waker);
        let _ = Pin::new(&mut *self.0.stream()).poll_shutdown(&mut cx);
    }
}

impl Writer {
    /// Reads what the socket holds at this moment, without waiting.
    ///
    /// The runtime only knows of bytes that the system has reported. After a stall of the process it may not
    /// have: its wait for sockets is interrupted, and its timers come first. So whoever is about to act on
    /// silence asks the system itself.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] if it holds nothing; others if the connection is gone. `Ok(0)`: the
    /// client has closed it.
    pub(super) fn read_now(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(half) => read_socket(half.as_ref(), buffer),
            Self::Other(other) => other.0.read_now(buffer),
        }
    }

    /// Writes what the socket takes.
    pub(super) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(half) => half.try_write(bytes),
            Self::Other(other) => other.0.try_write(bytes),
        }
    }

    /// Writes what the socket takes at this moment, whatever the runtime knows: see [`read_now`](Self::read_now).
    pub(super) fn write_now(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(half) => {
                let stream: &TcpStream = half.as_ref();
                (&*SockRef::from(stream)).write(bytes)
            }
            Self::Other(other) => other.0.try_write(bytes),
        }
    }

    /// Lets bytes leave that were taken, if the stream keeps some.
    pub(super) fn flush(&self) -> io::Result<()> {
        match self {
            Self::Other(other) if other.0.unflushed.load(Ordering::Relaxed) => {
                let mut cx = Context::from_waker(&other.0.waker);
                other.0.push(&mut other.0.stream(), &mut cx)
            }
            Self::Tcp(_) | Self::Other(_) => Ok(()),
        }
    }

    /// Waits until the socket takes bytes, or is broken: the next attempt to write shows which.
    pub(super) async fn writable(&self) {
        match self {
            Self::Tcp(half) => drop(half.writable().await),
            // It [wakes](Self::woken) the task.
            Self::Other(_) => std::future::pending().await,
        }
    }

    /// Returns what wakes the connection's task, if the stream does so itself.
    pub(super) fn woken(&self) -> Option<&Notify> {
        match self {
            Self::Tcp(_) => None,
            Self::Other(other) => Some(&other.0.woken.0),
        }
    }

    /// Leaves it to the reading end to close both halves.
    pub(super) fn forget(self) {
        if let Self::Tcp(half) = self {
            half.forget();
        }
    }
}
