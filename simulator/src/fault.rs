//! Faults of a pair.

use pblink_protocol::time::Duration;
use serde::{Deserialize, Serialize};

/// A fault of one pair, to be injected with [`Pair::inject`](crate::Pair::inject).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The network is gone for this long.
    WifiOutage(Duration),
    /// The ESP8266's program stops dead. Only a reset helps.
    Crash,
    /// The ESP8266 freezes for this long, then continues where it was unless it was reset.
    Hang(Duration),
    /// The ESP8266 restarts by itself, as after a watchdog reset.
    Restart,
    /// The ESP8266's program takes nothing from its server any more, however often it connects. Only a reset helps.
    TakesNothing,
    /// The access point has forgotten the ESP8266, which is not told: nothing passes until it joins anew.
    WifiForgets,
    /// Both boards lose power and start again.
    PowerCycle,
    /// The STM32's program starts again, as after its watchdog or a panic. With keys, lines that wait outlive that; without,
    /// they are gone.
    HostRestart,
    /// A wire keeps this level for this long, whatever its driver does.
    Stuck(Wire, bool, Duration),
    /// The next I2C transfer fails in its middle.
    Nak,
    /// The next I2C transfer is complete, and this end alone takes it for failed, as after a disturbance of the bus that the other has not seen.
    BusError(BusEnd),
    /// One bit of the next I2C payload (not header) is inverted.
    GarblePayload,
    /// One bit of the next I2C header is inverted.
    GarbleHeader,
    /// The slave does not answer to its address for this long.
    Deaf(Duration),
}

/// An end of the I2C bus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BusEnd {
    /// The ESP8266.
    Master,
    /// The STM32.
    Slave,
}

/// A wire between the boards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wire {
    /// STM32 → ESP8266.
    Syn,
    /// ESP8266 → STM32.
    Ack,
    /// STM32 → ESP8266, true is active.
    Reset,
}
