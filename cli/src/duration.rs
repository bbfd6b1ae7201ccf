//! Times as users write them, on the command line and in `pblink.toml`: `2s`, `500ms`, `2min`.

use std::time::Duration;

/// The unit of a plain number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    Milliseconds,
    Seconds,
}

/// Completes an error of the command line.
const EXAMPLES: &str = "write a number with its unit, such as 500ms, 2s or 2min";

/// The longest time that a flag takes: one that can still be added to the clock.
const MOST: Duration = Duration::from_secs(3650 * 86_400);

/// Reads a time that needs a unit, for a flag.
///
/// # Errors
/// The form of a time, with examples, or the longest one.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    limited(humantime::parse_duration(text.trim()).map_err(|_| EXAMPLES.to_owned())?)
}

/// Reads a time, for a flag: a plain number is seconds.
///
/// # Errors
/// The form of a time, with examples, or the longest one.
pub(crate) fn parse_or_seconds(text: &str) -> Result<Duration, String> {
    if let Some(seconds) = Unit::Seconds.count(text) {
        return limited(Duration::from_secs(seconds));
    }
    let time = humantime::parse_duration(text.trim());
    limited(time.map_err(|_| format!("{EXAMPLES}; a plain number is seconds"))?)
}

fn limited(time: Duration) -> Result<Duration, String> {
    if time > MOST { Err("it must be at most 3650d".to_owned()) } else { Ok(time) }
}

impl Unit {
    /// Returns the number of these units in a time; a plain number is the number itself. `None` for
    /// what is not a time, and for fractions of the unit.
    pub(crate) fn count(self, text: &str) -> Option<u64> {
        let text = text.trim();
        if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
            return text.parse().ok();
        }
        let time = humantime::parse_duration(text).ok()?;
        let (count, whole) = match self {
            Self::Milliseconds => (time.as_millis(), Duration::from_millis(1)),
            Self::Seconds => (time.as_secs().into(), Duration::from_secs(1)),
        };
        let exact = time.as_nanos().is_multiple_of(whole.as_nanos());
        if exact { u64::try_from(count).ok() } else { None }
    }

    /// Returns a count of these units as it is written, in the largest unit that divides it: `2s`,
    /// `1min`.
    pub(crate) fn written(self, count: u32) -> String {
        const STEPS: [(u32, &str); 4] = [(86_400, "d"), (3600, "h"), (60, "min"), (1, "s")];
        let seconds = match self {
            Self::Milliseconds if !count.is_multiple_of(1000) => return format!("{count}ms"),
            Self::Milliseconds => count / 1000,
            Self::Seconds => count,
        };
        let fits = |(size, _): &(u32, &str)| seconds > 0 && seconds.is_multiple_of(*size);
        let (size, name) = STEPS.into_iter().find(fits).unwrap_or((1, "s"));
        format!("{}{name}", seconds / size)
    }

    /// Returns the unit in words.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Milliseconds => "milliseconds",
            Self::Seconds => "seconds",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units_and_plain_numbers_keep_theirs() {
        for (text, ms) in [
            ("2000", Some(2000)),
            ("2s", Some(2000)),
            ("500ms", Some(500)),
            ("2min", Some(120_000)),
            ("1m 30s", Some(90_000)),
            (" 2s ", Some(2000)),
            ("0", Some(0)),
            ("1500us", None),
            ("banana", None),
            ("", None),
            ("-2s", None),
            ("2 apples", None),
            ("99999999999999999999", None),
            ("99999999999999999999s", None),
        ] {
            assert_eq!(Unit::Milliseconds.count(text), ms, "{text}");
        }
        assert_eq!(Unit::Seconds.count("10"), Some(10));
        assert_eq!(Unit::Seconds.count("2min"), Some(120));
        assert_eq!(Unit::Seconds.count("500ms"), None);
        assert_eq!(parse("20s"), Ok(Duration::from_secs(20)));
        assert!(parse("20").unwrap_err().contains("500ms, 2s or 2min"));
        assert_eq!(parse_or_seconds("30"), Ok(Duration::from_secs(30)));
        assert_eq!(parse_or_seconds("2min"), Ok(Duration::from_secs(120)));
        assert_eq!(parse_or_seconds("500ms"), Ok(Duration::from_millis(500)));
        assert!(parse_or_seconds("soon").unwrap_err().contains("plain number is seconds"));
        // No clock could hold it.
        for endless in ["18446744073709551615s", "584554051223y"] {
            assert!(parse(endless).is_err() && parse_or_seconds(endless).is_err(), "{endless}");
        }
        assert!(parse_or_seconds("18446744073709551615").unwrap_err().contains("3650d"));
    }

    #[test]
    fn what_is_written_is_read_again() {
        for unit in [Unit::Milliseconds, Unit::Seconds] {
            for count in [0, 1, 59, 60, 100, 1000, 1001, 2000, 3600, 60_000, 86_400] {
                assert_eq!(unit.count(&unit.written(count)), Some(count.into()), "{count}");
            }
        }
        assert_eq!(Unit::Milliseconds.written(60_000), "1min");
        assert_eq!(Unit::Milliseconds.written(2000), "2s");
        assert_eq!(Unit::Seconds.written(86_400), "1d");
    }
}
