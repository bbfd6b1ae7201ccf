//! Signals that end the process.

use std::io::IsTerminal;

/// Resolves at the first ctrl-C or SIGTERM.
pub(crate) fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {
                if std::io::stderr().is_terminal() {
                    eprintln!();
                }
            }
            _ = terminate.recv() => {}
        }
    })
}
