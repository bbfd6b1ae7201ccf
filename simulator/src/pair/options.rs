//! Options of a pair, and its events.

use pblink_protocol::app::AppEvent;
use pblink_protocol::app::secure::SecureEvent;
use pblink_protocol::i2c::InitiatorTiming;
use pblink_protocol::time::Duration;

use crate::program::ProgramOptions;
use crate::secure::PairKeys;

/// Properties of a pair.
#[derive(Debug, Clone)]
pub struct PairOptions {
    /// Decides all that is left to chance: latencies, joining times, which bit is garbled.
    pub seed: u64,
    /// The STM32's times.
    pub timing: InitiatorTiming,
    /// Clock of the I2C bus in Hz.
    pub clock_hz: u64,
    /// From reset to the first action of the ESP8266's program.
    pub boot: Duration,
    /// The longest time that joining the network takes.
    pub join: Duration,
    /// The task of the STM32's program.
    pub program: ProgramOptions,
    /// True to pass reports on to the server.
    pub forward_reports: bool,
    /// The keys of the secure link; `None` for a board without.
    pub keys: Option<PairKeys>,
}

impl Default for PairOptions {
    fn default() -> Self {
        Self {
            seed: 0,
            timing: InitiatorTiming::default(),
            clock_hz: 100_000,
            boot: Duration::from_millis(300),
            join: Duration::from_millis(1500),
            program: ProgramOptions::default(),
            forward_reports: true,
            keys: None,
        }
    }
}

/// An event on a pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PairEvent {
    /// On the STM32's link.
    App(AppEvent),
    /// On the secure link of an STM32 with keys. Never [`SecureEvent::App`].
    Secure(SecureEvent),
    /// The program wrote this line.
    Wrote(u64),
    /// The program read this line.
    Read(String),
    /// The boards lost power. Lines that waited in the STM32 are gone.
    PowerCycled,
}

/// A request of the ESP8266 to the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NetCommand {
    /// Connect to the server of the configuration.
    Connect,
    /// Close the connection. `heard` is false if the other end cannot learn of it, because the radio
    /// is off or the ESP8266 was reset.
    Close {
        /// True if the other end learns of it.
        heard: bool,
    },
}
