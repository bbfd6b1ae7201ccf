//! The one place where a tokio runtime is made.

use std::io;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

/// Longest time that a thread that hangs in a write may delay the end.
const HANGS: Duration = Duration::from_millis(200);

/// Builds a runtime, for those who only need one to be there.
pub(crate) fn build() -> io::Result<Runtime> {
    Builder::new_multi_thread().enable_all().build()
}

/// Runs `future` to its end.
///
/// # Errors
/// If the system gives no threads or descriptors for a runtime.
pub(crate) fn block_on<F: Future>(future: F) -> io::Result<F::Output> {
    let runtime = build()?;
    let output = runtime.block_on(future);
    runtime.shutdown_timeout(HANGS);
    Ok(output)
}
