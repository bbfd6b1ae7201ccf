//! Memory that is used again instead of being allocated for each line.

use std::cell::{Cell, RefCell};
use std::sync::{Mutex, PoisonError};
use std::task::Waker;

use pblink_protocol::tcp::line::{Full, LineBuf};

/// Bytes that are read from, or written to, a socket at once.
const SEGMENT: usize = 16 * 1024;

/// Bytes that a buffer of an idle link may keep.
pub(crate) const KEEP: usize = 512;

/// Bytes that the buffer for lines that arrive may keep: enough for the longest line of a board, with the
/// reserve that a growing vector makes.
const MAX_PARTIAL: usize = 4 * pblink_protocol::MAX_TEXT;

/// The part of a line that has arrived. Grows on demand, up to a limit.
#[derive(Debug)]
pub(crate) struct Partial {
    bytes: Vec<u8>,
    max: usize,
}

impl Partial {
    pub(crate) const fn new(max: usize) -> Self {
        Self { bytes: Vec::new(), max }
    }
}

impl AsRef<[u8]> for Partial {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl LineBuf for Partial {
    fn append(&mut self, bytes: &[u8]) -> Result<(), Full> {
        if bytes.len() > self.max - self.bytes.len() {
            return Err(Full);
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn clear(&mut self) {
        self.bytes.clear();
        // Longer lines than boards send are rare, and are worth an allocation each; ten thousand
        // links must not keep the longest that each has seen.
        if self.bytes.capacity() > MAX_PARTIAL {
            self.bytes = Vec::new();
        }
    }

    fn limit(&self) -> usize {
        self.max
    }
}

/// Buffers of lines that are done. One pool for the process: an idle link then keeps none.
static SPARE: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

/// Limits of the pool, in buffers and in bytes of each: 8 MiB at most.
const MAX_SPARE: usize = 4096;
const MAX_SPARE_BYTES: usize = 2048;

/// A line that waits for its acknowledgement. Its memory goes back to the pool.
#[derive(Debug)]
pub(crate) struct LineBytes(Vec<u8>);

impl LineBytes {
    pub(crate) fn copy_of(text: &str) -> Self {
        let mut bytes =
            (SPARE.lock().unwrap_or_else(PoisonError::into_inner)).pop().unwrap_or_default();
        bytes.clear();
        bytes.extend_from_slice(text.as_bytes());
        Self(bytes)
    }
}

impl AsRef<[u8]> for LineBytes {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for LineBytes {
    fn drop(&mut self) {
        let bytes = std::mem::take(&mut self.0);
        if bytes.capacity() <= MAX_SPARE_BYTES {
            let mut spare = SPARE.lock().unwrap_or_else(PoisonError::into_inner);
            if spare.len() < MAX_SPARE {
                spare.push(bytes);
            }
        }
    }
}

thread_local! {
    static READ: RefCell<Box<[u8]>> = RefCell::new(vec![0; SEGMENT].into());
    static SCRATCH: Cell<Option<Box<Scratch>>> = const { Cell::new(None) };
}

/// Lends this thread's buffer for what a socket gives. Links need none of their own: a buffer is
/// only in use while a task runs.
pub(crate) fn with_read_buffer<R>(f: impl FnOnce(&mut [u8]) -> R) -> R {
    READ.with_borrow_mut(|buffer| f(buffer))
}

/// Memory that is needed while a session is locked.
pub(crate) struct Scratch {
    /// Bytes on their way from the endpoint to the socket.
    pub(crate) out: Box<[u8]>,
    /// Who is to be woken once the session is unlocked.
    pub(crate) wakes: Vec<Waker>,
}

impl Scratch {
    /// This thread's, or a new one if it is in use further up the stack.
    pub(crate) fn take() -> Box<Self> {
        SCRATCH
            .take()
            .unwrap_or_else(|| Box::new(Self { out: vec![0; SEGMENT].into(), wakes: Vec::new() }))
    }

    /// Wakes those who wait, and keeps the memory for the next time.
    pub(crate) fn finish(mut self: Box<Self>) {
        for waker in self.wakes.drain(..) {
            waker.wake();
        }
        SCRATCH.set(Some(self));
    }
}
