//! Reports to the service manager.

use std::io;
use std::time::Duration;

use sd_notify::NotifyState;

/// Time between two reports where the manager has no watchdog.
const USUAL: Duration = Duration::from_secs(10);

/// The service manager that has started this process, such as systemd, if it wants to hear of it: sd_notify(3), systemd.service(5).
///
/// Without one, nothing is reported. A report that cannot be sent is logged once, and stops nothing.
#[derive(Debug)]
pub struct Manager {
    /// Time between two reports. `None`: nobody wants them.
    every: Option<Duration>,
    status: String,
    is_deaf: bool,
}

impl Manager {
    /// Returns the one that the environment names, by `NOTIFY_SOCKET` and `WATCHDOG_USEC`.
    pub fn of_this_process() -> Self {
        let wants = std::env::var_os("NOTIFY_SOCKET").is_some_and(|socket| !socket.is_empty());
        // Twice in its time, as sd_watchdog_enabled(3) has it: one that comes late is not the end.
        let half = sd_notify::watchdog_enabled().map(|time| time / 2);
        Self { every: wants.then(|| half.unwrap_or(USUAL)), status: String::new(), is_deaf: false }
    }

    /// Returns the time between two calls of [`alive`](Self::alive). `None`: nobody wants them.
    pub fn every(&self) -> Option<Duration> {
        self.every
    }

    /// Reports that the server has started, or has read its settings again.
    pub fn ready(&mut self, status: String) {
        self.send(&[NotifyState::Ready, NotifyState::Status(&status)]);
        self.status = status;
    }

    /// Reports that the settings are being read again: [`ready`](Self::ready) must follow.
    pub fn reloading(&mut self) {
        // systemd 253 and later refuse the one without the other.
        if let Ok(now) = NotifyState::monotonic_usec_now() {
            self.send(&[NotifyState::Reloading, now]);
        }
    }

    /// Reports that the server lives, and its state in one line if that has changed.
    pub fn alive(&mut self, status: String) {
        if status == self.status {
            self.send(&[NotifyState::Watchdog]);
        } else {
            self.send(&[NotifyState::Watchdog, NotifyState::Status(&status)]);
            self.status = status;
        }
    }

    /// Reports that the server is about to end.
    pub fn stopping(&mut self) {
        self.send(&[NotifyState::Stopping]);
    }

    fn send(&mut self, states: &[NotifyState<'_>]) {
        if self.every.is_none() {
            return;
        }
        match sd_notify::notify(states) {
            Ok(()) => self.is_deaf = false,
            Err(error) => self.complain(&error),
        }
    }

    fn complain(&mut self, error: &io::Error) {
        if !std::mem::replace(&mut self.is_deaf, true) {
            tracing::warn!("the service manager cannot be told that the server lives: {error}");
        }
    }
}
