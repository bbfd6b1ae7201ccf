//! Results on stdout.

use std::io::Write;

use anyhow::Context;

use crate::exit::Exit;

/// Writes a result to stdout. A reader that has seen enough (`| head`) is not an error.
///
/// # Errors
/// When stdout cannot be written.
pub(crate) fn print(result: &[u8]) -> anyhow::Result<Exit> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(result).and_then(|()| stdout.flush()) {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(e).context("cannot write to stdout")
        }
        _ => Ok(Exit::Ok),
    }
}

/// Opens stdout without a buffer: what could not be written is with whoever wrote it.
///
/// # Errors
/// If no descriptor is left for it.
pub(crate) fn unbuffered() -> std::io::Result<std::fs::File> {
    use std::os::fd::AsFd;
    Ok(std::io::stdout().as_fd().try_clone_to_owned()?.into())
}
