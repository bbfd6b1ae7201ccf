//! Two boards whose firmwares are machine code, and what a test sees of them.

use std::time::Duration;

use pblink_protocol::config::Config;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::bench::Bench;
pub use crate::command::Command;
use crate::image::Images;
pub use crate::seen::{Flash, Hook, Seen};

/// Nothing that a test waits for takes this long, unless it never comes.
pub(crate) const LIMIT: Duration = Duration::from_secs(180);

/// Returns a configuration of the STM32 with this id, for the server at this port.
///
/// # Panics
/// If the id is too long.
pub fn config(id: &str, port: u16) -> Config {
    Config {
        id: id.try_into().expect("short"),
        port,
        server: "127.0.0.1".try_into().expect("short"),
        timeout_ms: 1000,
        report_s: 1,
        ssid: "network".try_into().expect("short"),
        password: "password".try_into().expect("short"),
    }
}

/// A running rig. It ends when this is dropped.
#[derive(Debug)]
pub struct Rig {
    commands: mpsc::UnboundedSender<Command>,
    seen: watch::Receiver<Seen>,
    task: JoinHandle<()>,
}

impl Rig {
    /// Switches both boards on. `forward_reports`: the STM32 passes reports on to the server.
    ///
    /// # Panics
    /// If the configuration cannot be used.
    pub fn start(images: Images, config: &Config, forward_reports: bool) -> Self {
        Self::start_with(images, config, forward_reports, None)
    }

    /// Does the same with an STM32 that has keys: this record is in its flash.
    ///
    /// # Panics
    /// If the configuration cannot be used.
    pub fn start_with_keys(images: Images, config: &Config, record: &[u8]) -> Self {
        Self::start_with(images, config, true, Some(Flash::with(record)))
    }

    fn start_with(
        images: Images,
        config: &Config,
        forward_reports: bool,
        keys: Option<Flash>,
    ) -> Self {
        let (commands, receiver) = mpsc::unbounded_channel();
        let (report, seen) = watch::channel(Seen { keys, ..Seen::default() });
        let bench = Bench::new(images, config, forward_reports, report);
        Self { commands, seen, task: tokio::spawn(bench.run(receiver)) }
    }

    /// Does something to the boards.
    pub fn command(&self, command: Command) {
        // A rig that has failed is noticed by whoever waits for it.
        let _ = self.commands.send(command);
    }

    /// Waits until `wanted` is true of what was seen, and returns what `get` makes of it.
    ///
    /// # Panics
    /// If the rig fails, or this never comes.
    pub async fn wait<R>(
        &self,
        what: &str,
        wanted: impl Fn(&Seen) -> bool,
        get: impl FnOnce(&Seen) -> R,
    ) -> R {
        let mut seen = self.seen.clone();
        let waited = tokio::time::timeout(
            LIMIT,
            seen.wait_for(|seen| seen.failed.is_some() || wanted(seen)),
        )
        .await;
        match waited {
            Ok(Ok(seen)) if seen.failed.is_none() => get(&seen),
            _ => panic!("waited for \"{what}\" in vain: {:#?}", *self.seen.borrow()),
        }
    }

    /// Returns what `get` takes from the observations so far.
    pub fn look<R>(&self, get: impl FnOnce(&Seen) -> R) -> R {
        get(&self.seen.borrow())
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.task.abort();
    }
}
