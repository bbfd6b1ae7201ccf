//! Two boards whose firmwares are machine code, and what a test sees of them.

use std::time::Duration;

use pblink_protocol::config::Config;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::bench::Bench;
use crate::image::Images;

/// Nothing that a test waits for takes this long, unless it never comes.
pub(crate) const LIMIT: Duration = Duration::from_secs(180);

/// What a test does to the boards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The STM32's program may write numbered lines until there are so many. It does so as fast as they
    /// are taken.
    Write(u32),
    /// The ESP8266 dies in the middle of the next transfer of a payload over I2C. Its pins stay as
    /// they are until it is reset.
    KillInPayload,
    /// The ESP8266 hangs, until it is reset.
    Hang,
    /// The access point is switched off, or on again.
    Wifi(bool),
    /// The STM32 loses its power, and gets it back at once.
    PowerCycle,
}

/// A hook of the STM32's library was called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hook {
    /// No WiFi.
    BadWifi,
    /// The first server connect failed.
    BadServer,
    /// A report: connects, number, free memory in bytes.
    Report(u32, u32, u32),
    /// The server is up, or not.
    Server(bool),
    /// The ESP8266 is being reset, and why.
    Reset(String),
    /// A line was dropped, and why.
    Dropped(String),
}

/// What has been seen of a rig so far.
#[derive(Debug, Default)]
pub struct Seen {
    /// Lines that the STM32's program has written.
    pub written: u32,
    /// Lines that it has read.
    pub read: Vec<String>,
    /// Hooks of its library.
    pub hooks: Vec<Hook>,
    /// How often the programs of STM32 and ESP8266 have started.
    pub boots: [usize; 2],
    /// How often a chip was killed, hung, or without power by an [`Order`].
    pub faults: usize,
    /// What both chips wrote to their consoles, and what went wrong, with the time in seconds.
    pub log: Vec<String>,
    /// The rig has failed.
    pub(crate) failed: Option<String>,
}

impl Seen {
    /// How often the STM32 has reset the ESP8266 after a failure.
    pub fn resets(&self) -> usize {
        self.hooks.iter().filter(|hook| matches!(hook, Hook::Reset(_))).count()
    }
}

/// A running rig. It ends when this is dropped.
#[derive(Debug)]
pub struct Rig {
    orders: mpsc::UnboundedSender<Order>,
    seen: watch::Receiver<Seen>,
    task: JoinHandle<()>,
}

impl Rig {
    /// Switches both boards on. `forward_reports`: the STM32 passes reports on to the server.
    ///
    /// # Panics
    /// If the configuration cannot be used.
    pub fn start(images: Images, config: &Config, forward_reports: bool) -> Self {
        let (orders, receiver) = mpsc::unbounded_channel();
        let (tell, seen) = watch::channel(Seen::default());
        let bench = Bench::new(images, config, forward_reports, tell);
        Self { orders, seen, task: tokio::spawn(bench.run(receiver)) }
    }

    /// Does something to the boards.
    pub fn order(&self, order: Order) {
        // A rig that has failed is noticed by whoever waits for it.
        let _ = self.orders.send(order);
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

    /// What has been seen.
    pub fn look<R>(&self, get: impl FnOnce(&Seen) -> R) -> R {
        get(&self.seen.borrow())
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.task.abort();
    }
}
