//! Signals that ask the process to end: ctrl-C (SIGINT), SIGTERM and SIGHUP. `serve` takes the last one as a wish to
//! read its settings again, unless its terminal was closed.

use std::io;

use futures::FutureExt;
use tokio::signal::unix::{self, SignalKind, signal};

/// Signal that came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    /// Ctrl-C: a terminal sends it to its whole foreground group.
    Interrupt,
    /// Somebody wants this process to end.
    Terminate,
    /// The terminal is gone, or somebody has sent the signal that says so.
    HangUp,
}

/// The signals that ask the process to end. From the first of these on, they no longer end it by themselves.
#[derive(Debug)]
pub(crate) struct Signals {
    interrupt: unix::Signal,
    terminate: unix::Signal,
    /// `None` under `nohup`.
    hang_up: Option<unix::Signal>,
}

impl Signals {
    /// Listens to them. Must be called within a tokio runtime.
    pub(crate) fn listen() -> io::Result<Self> {
        let hang_up = SignalKind::hangup();
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            // Whoever starts a program with `nohup` wants it to stay.
            hang_up: if is_ignored(hang_up) { None } else { Some(signal(hang_up)?) },
        })
    }

    /// Forgets the signals that a screen has taken for itself, and those by which a terminal that is closed says so
    /// once more: what comes from now on is a second wish to end.
    pub(crate) fn screen_has_ended(&mut self) {
        // Its signal still ends nothing, but is not listened to any more.
        self.hang_up = None;
        while self.next().now_or_never().is_some() {}
    }

    /// Waits for the next one. Dropping the future loses none.
    pub(crate) async fn next(&mut self) -> Signal {
        let hang_up = async {
            match &mut self.hang_up {
                Some(signal) => signal.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => Signal::Interrupt,
            _ = self.terminate.recv() => Signal::Terminate,
            _ = hang_up => Signal::HangUp,
        }
    }
}

/// The terminal that the process was started in, if any.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terminal {
    had: bool,
}

impl Terminal {
    /// Returns the present one.
    pub(crate) fn at_start() -> Self {
        Self { had: Self::is_there() }
    }

    /// Returns true if there was one, and it was closed.
    pub(crate) fn is_gone(self) -> bool {
        self.had && !Self::is_there()
    }

    fn is_there() -> bool {
        std::fs::File::open("/dev/tty").is_ok()
    }
}

/// Listens for the moments at which the process goes on after it was stopped, as by `fg` in a shell. Must be called
/// within a tokio runtime.
pub(crate) fn resumed() -> io::Result<unix::Signal> {
    signal(SignalKind::from_raw(rustix::process::Signal::CONT.as_raw()))
}

/// Keeps a limit of the size of files (`ulimit -f`) from ending the process: writing then fails, as on a full
/// disk. Must be called within a tokio runtime.
pub(crate) fn survive_file_limit() -> io::Result<()> {
    /// SIGXFSZ, on Linux and on macOS.
    const FILE_SIZE: i32 = 25;
    // Having been listened to once, the signal never again has its default effect.
    signal(SignalKind::from_raw(FILE_SIZE)).map(drop)
}

/// Returns true if this process was started with the signal ignored. Only Linux reports that.
fn is_ignored(kind: SignalKind) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask & (1 << (kind.as_raw_value() - 1)) != 0
}
