//! Ages, lengths, sizes and counts in units that people read.

/// Formats an age in one unit: `12 s`, `3 min`, `5 h`, `4 d`. At most 7 characters for 270 years.
pub fn age(ms: u64) -> String {
    let s = ms / 1000;
    match s {
        0..60 => format!("{s} s"),
        60..3600 => format!("{} min", s / 60),
        3600..172_800 => format!("{} h", s / 3600),
        _ => format!("{} d", s / 86400),
    }
}

/// Formats a length of time, exact enough to compare: `340 ms`, `2.4 s`, `3 min 12 s`, `2 h 5 min`, `3 d 4 h`.
pub fn span(ms: u64) -> String {
    let s = ms / 1000;
    match s {
        0 => format!("{ms} ms"),
        1..60 => format!("{s}.{} s", ms % 1000 / 100),
        60..3600 => format!("{} min {} s", s / 60, s % 60),
        3600..86400 => format!("{} h {} min", s / 3600, s / 60 % 60),
        _ => format!("{} d {} h", s / 86400, s / 3600 % 24),
    }
}

/// Formats microseconds: `340 µs`, `1.2 ms`, `48 ms`, and from a second on as [`span`].
pub fn micros(us: u64) -> String {
    match us {
        0..1000 => format!("{us} µs"),
        1000..10_000 => format!("{}.{} ms", us / 1000, us % 1000 / 100),
        10_000..1_000_000 => format!("{} ms", us / 1000),
        _ => span(us / 1000),
    }
}

/// Formats a size in bytes, with decimal prefixes: `512 B`, `41.2 kB`, `1.5 MB`.
pub fn bytes(n: u64) -> String {
    if n < 1000 { format!("{n} B") } else { format!("{}B", prefixed(n)) }
}

/// Formats a count, in at most 6 characters below 10¹²: `99999`, `123 k`, `4.5 M`.
pub fn count(n: u64) -> String {
    match n {
        0..100_000 => n.to_string(),
        100_000..1_000_000 => format!("{} k", n / 1000),
        _ => prefixed(n),
    }
}

/// Counts lines: `1 line`, `3 lines`.
pub fn lines(n: u64) -> String {
    if n == 1 { "1 line".to_owned() } else { format!("{n} lines") }
}

fn prefixed(n: u64) -> String {
    let (unit, prefix) = match n {
        0..1_000_000 => (1000, 'k'),
        1_000_000..1_000_000_000 => (1_000_000, 'M'),
        _ => (1_000_000_000, 'G'),
    };
    let (whole, tenth) = (n / unit, n % unit / (unit / 10));
    if whole < 100 { format!("{whole}.{tenth} {prefix}") } else { format!("{whole} {prefix}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_in_human_units() {
        let ages = [0, 12_999, 59_999, 60_000, 3_599_999, 3_600_000, 172_800_000].map(age);
        assert_eq!(ages, ["0 s", "12 s", "59 s", "1 min", "59 min", "1 h", "2 d"]);
        let spans = [340, 2_450, 192_000, 7_500_000, 273_600_000].map(span);
        assert_eq!(spans, ["340 ms", "2.4 s", "3 min 12 s", "2 h 5 min", "3 d 4 h"]);
        let micros = [340, 1_250, 48_700, 2_450_000].map(micros);
        assert_eq!(micros, ["340 µs", "1.2 ms", "48 ms", "2.4 s"]);
    }

    #[test]
    fn sizes_and_counts_stay_short() {
        let sizes = [999, 41_234, 123_456, 1_560_000, u64::MAX].map(bytes);
        assert_eq!(sizes, ["999 B", "41.2 kB", "123 kB", "1.5 MB", "18446744073 GB"]);
        let counts = [0, 99_999, 123_456, 4_560_000, 123_456_789].map(count);
        assert_eq!(counts, ["0", "99999", "123 k", "4.5 M", "123 M"]);
    }
}
