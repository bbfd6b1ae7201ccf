//! Standard error, which holds nobody up: what it does not take is dropped, and counted.

use std::io::{self, StderrLock, Write};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pipe::PIPE_BUF;

/// The longest wait for a reader that reads, in milliseconds. One that has not read for this long is not waited for
/// again until it does.
const PATIENCE_MS: i64 = 200;

/// Diagnostics that were dropped since the last one that was written.
static LOST: AtomicU64 = AtomicU64::new(0);

/// Stderr, for which an error is not one: `tracing_subscriber` would report it with `eprintln!`, and panic.
///
/// A pipe that nobody reads, or a terminal that was stopped (ctrl-S), would hold up whichever task has something to
/// report, and everybody who reports after it.
pub(super) struct Stderr;

impl Write for Stderr {
    /// Takes a whole diagnostic.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // The lock keeps diagnostics of several threads apart.
        let mut stderr = io::stderr().lock();
        let lost = LOST.load(Ordering::Relaxed);
        let patience = if lost > 0 { 0 } else { PATIENCE_MS };
        if is_writable(&stderr, patience) {
            if lost > 0 {
                LOST.store(0, Ordering::Relaxed);
                let (s, were) = if lost == 1 { ("", "was") } else { ("s", "were") };
                let gap = format!(
                    "\npblink: warning: {lost} diagnostic{s} {were} lost: standard error was not read\n"
                );
                let _ = stderr.write_all(gap.as_bytes());
            }
            if write(&mut stderr, bytes) {
                return Ok(bytes.len());
            }
        }
        LOST.fetch_add(1, Ordering::Relaxed);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes as much as is taken in time; false if that is not all. An error is as good as success: it is nothing that
/// waiting would mend.
fn write(stderr: &mut StderrLock<'_>, bytes: &[u8]) -> bool {
    // A pipe that is writable takes this much without waiting.
    for piece in bytes.chunks(PIPE_BUF) {
        if !is_writable(stderr, PATIENCE_MS) {
            return false;
        }
        if stderr.write_all(piece).is_err() {
            break;
        }
    }
    true
}

/// Returns true if stderr takes [`PIPE_BUF`] bytes, or reports an error, within this time.
fn is_writable(stderr: &StderrLock<'_>, patience_ms: i64) -> bool {
    let fd = stderr.as_fd();
    let patience = Timespec { tv_sec: 0, tv_nsec: patience_ms * 1_000_000 };
    let polled = rustix::io::retry_on_intr(|| {
        poll(&mut [PollFd::new(&fd, PollFlags::OUT)], Some(&patience))
    });
    // What cannot be waited for (a closed descriptor) does not block either.
    polled.map_or(true, |ready| ready > 0)
}
