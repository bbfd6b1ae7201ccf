//! Times of the API: RFC 3339 in UTC beside milliseconds, and the forms in which a request may give one.

use std::fmt::{self, Display};
use std::time::{SystemTime, UNIX_EPOCH};

/// The forms in which a request gives a time, for error messages.
pub(crate) const ACCEPTED: &str = "a length such as 90s, 15min, 24h or 7d, \
     a time such as 2026-03-01T12:00:00Z, or milliseconds since 1970";

/// Milliseconds of a day.
const DAY: u64 = 86_400_000;

/// Returns the wall clock, milliseconds since the Unix epoch.
pub(crate) fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64
}

/// The begin of 2020. A clock that shows an earlier time has not been set yet.
const SET_MS: u64 = 1_577_836_800_000;

/// Returns the time between two times of the wall clock, in milliseconds. 0 if nothing is known about it: the clock
/// was set back, or it was set for the first time in between.
pub(crate) fn span_ms(from_ms: u64, to_ms: u64) -> u64 {
    match from_ms < SET_MS && to_ms >= SET_MS {
        true => 0,
        false => to_ms.saturating_sub(from_ms),
    }
}

/// A wall-clock time, milliseconds since the Unix epoch, shown as RFC 3339 in UTC:
/// `2026-03-01T12:00:00.000Z`. Times after the year 9999 are shown as its last millisecond.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rfc3339(
    /// Milliseconds since the Unix epoch.
    pub u64,
);

impl Display for Rfc3339 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Four digits for the year is all that RFC 3339 has.
        let ms = self.0.min(253_402_300_799_999);
        let (year, month, day) = date(ms / DAY);
        let (s, ms) = (ms % DAY / 1000, ms % 1000);
        let (hour, minute, second) = (s / 3600, s / 60 % 60, s % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
    }
}

/// Reads a point in the past, in milliseconds since the Unix epoch: see [`ACCEPTED`]. A length is counted
/// back from `now_ms`.
pub(crate) fn since(text: &str, now_ms: u64) -> Option<u64> {
    if let Ok(ms) = text.parse() {
        return Some(ms);
    }
    length(text).map(|ms| now_ms.saturating_sub(ms)).or_else(|| rfc3339(text))
}

/// Returns a time as HTTP has it, `Sun, 01 Mar 2026 12:00:00 GMT`; `None` before 1970 and after 9999.
pub(crate) fn http_date(time: SystemTime) -> Option<String> {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let s = time.duration_since(UNIX_EPOCH).ok()?.as_secs();
    let (year, month, day) = date(s / 86_400);
    if year > 9999 {
        return None;
    }
    let (weekday, month) = (DAYS[(s / 86_400 % 7) as usize], MONTHS[month as usize - 1]);
    let (hour, minute, second) = (s / 3600 % 24, s / 60 % 60, s % 60);
    Some(format!("{weekday}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT"))
}

/// Reads a length of time in milliseconds.
pub(crate) fn length(text: &str) -> Option<u64> {
    let unit = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(unit);
    let unit = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        "d" => DAY,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(unit)
}

/// Reads a time as RFC 3339 has it, with any offset. Times before 1970 are not valid.
fn rfc3339(text: &str) -> Option<u64> {
    let text = text.as_bytes();
    let number = |from: usize, digits: usize| -> Option<u64> {
        let digits = text.get(from..from + digits)?;
        digits.iter().try_fold(0, |sum, digit| {
            digit.is_ascii_digit().then(|| sum * 10 + u64::from(digit - b'0'))
        })
    };
    let is = |at: usize, any: &[u8]| text.get(at).is_some_and(|byte| any.contains(byte));
    let marks = is(4, b"-") && is(7, b"-") && is(10, b"Tt ") && is(13, b":") && is(16, b":");
    let (year, month, day) = (number(0, 4)?, number(5, 2)?, number(8, 2)?);
    let (hour, minute, second) = (number(11, 2)?, number(14, 2)?, number(17, 2)?);
    // A leap second is the end of the one before.
    if !marks || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let mut ms = days(year, month, day)? * DAY;
    ms += (hour * 3600 + minute * 60 + second.min(59)) * 1000;
    let mut at = 19;
    if is(at, b".") {
        let digits = text[at + 1..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        ms += match digits {
            0 => return None,
            1 => number(at + 1, 1)? * 100,
            2 => number(at + 1, 2)? * 10,
            _ => number(at + 1, 3)?,
        };
        at += 1 + digits;
    }
    if is(at, b"Zz") {
        return (text.len() == at + 1).then_some(ms);
    }
    // In a URL a plus sign is a blank.
    let east = is(at, b"+ ");
    if !(east || is(at, b"-")) || !is(at + 3, b":") || text.len() != at + 6 {
        return None;
    }
    let (hours, minutes) = (number(at + 1, 2)?, number(at + 4, 2)?);
    if hours > 23 || minutes > 59 {
        return None;
    }
    let offset = (hours * 60 + minutes) * 60_000;
    if east { ms.checked_sub(offset) } else { ms.checked_add(offset) }
}

/// Returns year, month and day of a day, counted from 1970-01-01. The year is taken from March on, so that
/// the day that is not in each year is the last one.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (era * 400 + year + next, month, day)
}

/// Returns the day, counted from 1970-01-01; `None` if there is no such day, or it was before.
fn days(year: u64, month: u64, day: u64) -> Option<u64> {
    if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let (era, y) = (y / 400, y % 400);
    let days = era * 146_097 + y * 365 + y / 4 - y / 100 + (153 * m + 2) / 5 + day - 1 - 719_468;
    (date(days) == (year, month, day)).then_some(days)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: u64 = 1_772_366_400_000;

    #[test]
    fn a_clock_that_was_set_meanwhile_says_nothing_about_the_time_that_passed() {
        assert_eq!(span_ms(NOON, NOON + 5), 5);
        assert_eq!(span_ms(600_000, 601_000), 1_000, "it is wrong, but it goes");
        assert_eq!(span_ms(NOON, NOON - 5), 0);
        assert_eq!(span_ms(600_000, NOON), 0, "set for the first time");
    }

    #[test]
    fn times_are_rfc_3339() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (NOON + 7, "2026-03-01T12:00:00.007Z"),
            (4_107_542_399_999, "2100-02-28T23:59:59.999Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
            (u64::MAX, "9999-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(Rfc3339(ms).to_string(), text);
        }
    }

    #[test]
    fn the_date_of_an_answer_needs_a_clock_that_is_set() {
        use std::time::Duration;
        let at = |s| http_date(UNIX_EPOCH + Duration::from_secs(s));
        assert_eq!(at(0).as_deref(), Some("Thu, 01 Jan 1970 00:00:00 GMT"));
        assert_eq!(at(784_111_777).as_deref(), Some("Sun, 06 Nov 1994 08:49:37 GMT"));
        assert_eq!(at(NOON / 1000).as_deref(), Some("Sun, 01 Mar 2026 12:00:00 GMT"));
        assert_eq!(at(253_402_300_800), None);
        assert_eq!(http_date(UNIX_EPOCH - Duration::from_secs(1)), None);
    }

    #[test]
    fn each_day_is_read_as_it_is_written() {
        // More than the 400 years after which the calendar repeats, each day at another time.
        for day in 0..150_000 {
            let ms = day * DAY + day * 7919 % DAY;
            assert_eq!(rfc3339(&Rfc3339(ms).to_string()), Some(ms));
        }
    }

    #[test]
    fn a_time_comes_in_three_forms() {
        for (text, ms) in [
            ("0", 0),
            ("1772366400000", NOON),
            ("0s", NOON),
            ("250ms", NOON - 250),
            ("90s", NOON - 90_000),
            ("15m", NOON - 900_000),
            ("15min", NOON - 900_000),
            ("24h", NOON - DAY),
            ("7d", NOON - 7 * DAY),
            ("99999999d", 0),
            ("2026-03-01T12:00:00Z", NOON),
            ("2026-03-01 12:00:00z", NOON),
            ("2026-03-01T12:00:00.5Z", NOON + 500),
            ("2026-03-01T12:00:00.123456789Z", NOON + 123),
            ("2026-03-01T13:30:00+01:30", NOON),
            ("2026-03-01T13:30:00 01:30", NOON),
            ("2026-02-28T21:00:00-15:00", NOON),
            ("2026-03-01T11:59:60Z", NOON - 1000),
        ] {
            assert_eq!(since(text, NOON), Some(ms), "{text}");
        }
    }

    #[test]
    fn anything_else_is_no_time() {
        for text in [
            "",
            "later",
            "h",
            "-5",
            "1.5h",
            "24 h",
            "24hours",
            "99999999999999999999",
            "99999999999999999d",
            "2026-03-01",
            "2026-03-01T12:00Z",
            "2026-03-01T12:00:00",
            "2026-03-01T12:00:00.Z",
            "2026-03-01T12:00:00ZZ",
            "2026-03-01T12:00:00+0130",
            "2026-03-01T12:00:00+01:30x",
            "2026-03-01T24:00:00Z",
            "2026-02-29T12:00:00Z",
            "2026-13-01T12:00:00Z",
            "2026-00-01T12:00:00Z",
            "2026-03-00T12:00:00Z",
            "1969-12-31T23:59:59Z",
            "1970-01-01T00:00:00+01:00",
            "２026-03-01T12:00:00Z",
        ] {
            assert_eq!(since(text, NOON), None, "{text}");
        }
    }
}
