//! The other end of a connection: it has some bytes to say, takes everything, and goes when it is told to.

use std::cell::{Cell, RefCell};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The state of a connection.
pub(super) struct Connection<'a> {
    input: Cell<&'a [u8]>,
    /// The most bytes that come at a time.
    piece: usize,
    output: RefCell<Vec<u8>>,
    ended: Cell<bool>,
}

impl<'a> Connection<'a> {
    pub(super) const fn new(input: &'a [u8], piece: usize) -> Self {
        let (input, ended) = (Cell::new(input), Cell::new(false));
        Self { input, piece, output: RefCell::new(Vec::new()), ended }
    }

    /// Returns numbers that change whenever a byte goes either way.
    pub(super) fn progress(&self) -> (usize, usize) {
        (self.input.get().len(), self.output.borrow().len())
    }

    /// Lets the peer go.
    pub(super) fn end(&self) {
        self.input.set(&[]);
        self.ended.set(true);
    }

    pub(super) fn output(&self) -> Vec<u8> {
        self.output.take()
    }
}

/// A stream for the server's end.
pub(super) struct Peer<'a>(pub(super) &'a Connection<'a>);

impl AsyncRead for Peer<'_> {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Connection { input, piece, ended, .. } = self.0;
        let bytes = input.get();
        if bytes.is_empty() {
            // Nobody is woken: whoever attends to the connection asks again.
            return if ended.get() { Poll::Ready(Ok(())) } else { Poll::Pending };
        }
        let (now, later) = bytes.split_at(bytes.len().min(*piece).min(buffer.remaining()));
        buffer.put_slice(now);
        input.set(later);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Peer<'_> {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.0.output.borrow_mut().extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
