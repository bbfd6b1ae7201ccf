//! Observations of the boards of a rig.

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

/// Observations of a rig so far.
#[derive(Debug, Default)]
pub struct Seen {
    /// Lines that the STM32's program has written.
    pub written: u32,
    /// Lines that it has read.
    pub read: Vec<String>,
    /// Hooks of its library.
    pub hooks: Vec<Hook>,
    /// Number of starts of the programs of STM32 and ESP8266.
    pub boots: [usize; 2],
    /// Times that a [`Command`](crate::command::Command) killed or hung a chip, or cut its power.
    pub faults: usize,
    /// Console output of both chips, and everything that went wrong, with the time in seconds.
    pub log: Vec<String>,
    /// The rig has failed.
    pub(crate) failed: Option<String>,
}

impl Seen {
    /// Returns the number of times that the STM32 has reset the ESP8266 after a failure.
    pub fn resets(&self) -> usize {
        self.hooks.iter().filter(|hook| matches!(hook, Hook::Reset(_))).count()
    }
}
