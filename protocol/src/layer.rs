//! The parts of a link, of which one is named when a link is down.

use core::fmt;

/// A part of a link, from the board outwards. A status that is not "up" names one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
pub enum Layer {
    /// I2C and the syn, ack and reset wires between STM32 and ESP8266.
    Wires,
    /// The ESP8266 itself.
    Coprocessor,
    /// The ESP8266's WiFi.
    Wifi,
    /// The server program, or the way to it.
    Server,
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Wires => "wires",
            Self::Coprocessor => "coprocessor",
            Self::Wifi => "WiFi",
            Self::Server => "server",
        })
    }
}
