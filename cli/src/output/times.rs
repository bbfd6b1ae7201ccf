//! Wall-clock times as people read them: local, with the date where it is not today.

use std::time::{SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use jiff::tz::TimeZone;

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Returns the wall clock, in milliseconds since the Unix epoch.
pub(crate) fn wall_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64
}

/// The zone in which times are shown. The default is UTC, so that nothing depends on the machine unless it
/// is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone {
    zone: TimeZone,
    /// `Z`, if it is UTC by choice.
    mark: &'static str,
    /// Each time stands with its date and offset.
    dates: bool,
}

impl Default for Zone {
    fn default() -> Self {
        Self { zone: TimeZone::UTC, mark: "Z", dates: false }
    }
}

impl Zone {
    /// Returns UTC, whose times end with `Z`.
    pub fn utc() -> Self {
        Self::default()
    }

    /// Returns the zone of this machine: what `TZ` says, else the system's setting, else UTC.
    pub fn local() -> Self {
        Self { zone: TimeZone::system(), mark: "", dates: false }
    }

    /// Returns a zone by its rule in POSIX form, such as `CET-1CEST,M3.5.0,M10.5.0/3`; `None` if it is not a valid
    /// one.
    pub fn posix(rule: &str) -> Option<Self> {
        Some(Self { zone: TimeZone::posix(rule).ok()?, mark: "", dates: false })
    }

    /// Returns the same zone, each of whose times is shown with its date, as one word that sorts:
    /// `2026-03-01T12:34:56+01:00`.
    #[must_use]
    pub fn with_dates(self, dates: bool) -> Self {
        Self { dates, ..self }
    }

    /// Formats a time, in milliseconds since the Unix epoch, as [`time`](Self::time) does at this moment.
    pub fn at(&self, at_ms: u64) -> String {
        self.time(at_ms, wall_ms())
    }

    /// Formats a time, both in milliseconds since the Unix epoch: `12:34:56` if it is today, `Feb 28 12:34:56`
    /// if it is this year, else `2025-02-28 12:34:56`. In UTC a `Z` follows.
    pub fn time(&self, at_ms: u64, now_ms: u64) -> String {
        if self.dates {
            let form =
                if self.mark.is_empty() { "%Y-%m-%dT%H:%M:%S%:z" } else { "%Y-%m-%dT%H:%M:%SZ" };
            return self.zoned(at_ms).strftime(form).to_string();
        }
        let (at, now) = (self.zoned(at_ms), self.zoned(now_ms));
        let (hour, minute, second) = (at.hour(), at.minute(), at.second());
        let time = format!("{hour:02}:{minute:02}:{second:02}{}", self.mark);
        if at.date() == now.date() {
            return time;
        }
        if at.year() == now.year() {
            let month = MONTHS[usize::from(at.month().unsigned_abs() - 1).min(11)];
            return format!("{month} {:02} {time}", at.day());
        }
        format!("{:04}-{:02}-{:02} {time}", at.year(), at.month(), at.day())
    }

    /// Formats a time for the name of a file: `20260301-123456`.
    pub fn stamp(&self, at_ms: u64) -> String {
        let at = self.zoned(at_ms);
        let (hour, minute, second) = (at.hour(), at.minute(), at.second());
        format!("{:04}{:02}{:02}-{hour:02}{minute:02}{second:02}", at.year(), at.month(), at.day())
    }

    fn zoned(&self, ms: u64) -> jiff::Zoned {
        let at = i64::try_from(ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
        at.unwrap_or(Timestamp::MAX).to_zoned(self.zone.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-03-01 12:00:00 UTC.
    const NOON: u64 = 1_772_366_400_000;
    const DAY: u64 = 86_400_000;

    #[test]
    fn a_time_has_its_date_where_it_is_not_today() {
        let utc = Zone::utc();
        assert_eq!(utc.time(NOON, NOON + 1), "12:00:00Z");
        assert_eq!(utc.time(NOON - DAY, NOON), "Feb 28 12:00:00Z");
        assert_eq!(utc.time(NOON - 365 * DAY, NOON), "2025-03-01 12:00:00Z");
        assert_eq!(utc.time(NOON + DAY, NOON), "Mar 02 12:00:00Z", "its clock is ahead");
        assert_eq!(utc.time(u64::MAX, NOON).len(), "9999-12-30 22:00:00Z".len());
    }

    #[test]
    fn local_time_follows_the_rule_of_its_zone() {
        let zone = Zone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        assert_eq!(zone.time(NOON, NOON), "13:00:00", "winter");
        let summer = NOON + 120 * DAY;
        assert_eq!(zone.time(summer, summer), "14:00:00", "summer");
        let midnight = NOON + 11 * 3_600_000;
        assert_eq!(zone.time(midnight - 1, midnight), "Mar 01 23:59:59", "its midnight counts");
        assert_eq!(zone.stamp(midnight), "20260302-000000");
        assert_eq!(Zone::posix("nowhere"), None);
        let zone = zone.with_dates(true);
        assert_eq!(zone.time(NOON, NOON), "2026-03-01T13:00:00+01:00", "for files");
        assert_eq!(Zone::utc().with_dates(true).time(summer, 0), "2026-06-29T12:00:00Z");
    }
}
