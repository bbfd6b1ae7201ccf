//! The report that an ESP8266 makes about itself every so often.

use core::fmt;

use crate::json::Reader;

/// A report of an ESP8266: the reference's list `[connects, number, mem_free]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Report {
    /// Connections to the server that succeeded since the ESP8266 booted.
    pub connects: u32,
    /// Number of this report since the ESP8266 booted, from 0.
    pub number: u32,
    /// Free memory of the ESP8266 in bytes.
    pub mem_free: u32,
}

impl Report {
    /// Reads the JSON list, with or without blanks. Returns `None` if it is anything else.
    pub fn decode(json: &[u8]) -> Option<Self> {
        let mut list = Reader::open(json)?;
        let report = Self::read(&mut list)?;
        list.close()?;
        Some(report)
    }

    /// Reads the three elements.
    pub(crate) fn read(list: &mut Reader<'_>) -> Option<Self> {
        Some(Self { connects: list.number()?, number: list.number()?, mem_free: list.number()? })
    }
}

/// Writes the JSON list without blanks.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { connects, number, mem_free } = self;
        write!(f, "[{connects},{number},{mem_free}]")
    }
}
