//! Values of a scene's file, each with its bounds.

use pblink_protocol::time::{Duration, Instant};
use serde::{Deserialize, Deserializer, de::Error};

/// A time from `LEAST` to `MOST` microseconds, written as `250us`, `20ms`, `6s`, `2min` or `1h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Time<const LEAST: u64, const MOST: u64>(u64);

/// A number from `LEAST` to `MOST`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Number<const LEAST: u64, const MOST: u64>(u64);

pub(super) const MS: u64 = 1000;
pub(super) const SECOND: u64 = 1000 * MS;
pub(super) const HOUR: u64 = 3600 * SECOND;

/// Units and their microseconds, from the longest on.
const UNITS: [(&str, u64); 5] =
    [("h", HOUR), ("min", 60 * SECOND), ("s", SECOND), ("ms", MS), ("us", 1)];

impl<const LEAST: u64, const MOST: u64> Time<LEAST, MOST> {
    pub(super) fn duration(self) -> Duration {
        Duration::from_micros(self.0)
    }

    pub(super) fn instant(self) -> Instant {
        Instant::from_micros(self.0)
    }
}

impl<const LEAST: u64, const MOST: u64> Number<LEAST, MOST> {
    pub(super) fn get(self) -> u64 {
        self.0
    }
}

/// Reads a time in microseconds.
fn micros(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (count, unit) = text.split_at(digits);
    let (_, each) = UNITS.iter().find(|(name, _)| *name == unit)?;
    count.parse::<u64>().ok()?.checked_mul(*each)
}

/// Writes a time with the longest unit that has no fraction.
pub(super) fn written(micros: u64) -> String {
    let whole = |(_, each): &&(&str, u64)| micros >= *each && micros.is_multiple_of(*each);
    let (unit, each) = UNITS.iter().find(whole).unwrap_or(&("s", SECOND));
    format!("{}{unit}", micros / each)
}

impl<'de, const LEAST: u64, const MOST: u64> Deserialize<'de> for Time<LEAST, MOST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let range = || format!("a time from {} to {}", written(LEAST), written(MOST));
        match micros(&text) {
            Some(micros) if (LEAST..=MOST).contains(&micros) => Ok(Self(micros)),
            Some(_) => Err(D::Error::custom(format!("{text:?} must be {}", range()))),
            None => Err(D::Error::custom(format!(
                "{text:?} must be {}: whole numbers of us, ms, s, min or h, such as \"250ms\"",
                range()
            ))),
        }
    }
}

impl<'de, const LEAST: u64, const MOST: u64> Deserialize<'de> for Number<LEAST, MOST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = i64::deserialize(deserializer)?;
        match u64::try_from(number) {
            Ok(number) if (LEAST..=MOST).contains(&number) => Ok(Self(number)),
            _ => Err(D::Error::custom(format!("{number} must be a number from {LEAST} to {MOST}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units_and_are_written_as_they_are_read() {
        for (text, expected) in
            [("250us", 250), ("20ms", 20 * MS), ("6s", 6 * SECOND), ("90min", 90 * 60 * SECOND)]
        {
            assert_eq!(micros(text), Some(expected));
            assert_eq!(written(expected), text);
        }
        assert_eq!(written(2 * HOUR), "2h");
        assert_eq!(written(0), "0s");
        for text in
            ["", "6", "s", "6 s", "-6s", "1.5s", "6d", "99999999999999999999s", "9999999999999999h"]
        {
            assert_eq!(micros(text), None, "{text:?}");
        }
    }
}
