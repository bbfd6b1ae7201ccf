//! Time as the state machines see it: a number that the owner hands in.
//!
//! Both types count whole microseconds in 64 bits: fine enough for the 20 µs steps of the I2C
//! exchange, and half a million years long. The owner chooses the zero point (boot, program start);
//! the clock must be monotonic, so that a step of the wall clock cannot drop a live connection.

use core::fmt;
use core::ops::{Add, AddAssign, Sub};

/// A point in time: microseconds since a zero point that the owner chooses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Instant(u64);

/// A span of time in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Duration(u64);

impl Instant {
    /// The owner's zero point.
    pub const ZERO: Self = Self(0);

    /// Returns the instant `micros` µs after the zero point.
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// Returns the instant `millis` ms after the zero point.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis * 1000)
    }

    /// Returns the microseconds since the zero point.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// Returns the whole milliseconds since the zero point.
    pub const fn as_millis(self) -> u64 {
        self.0 / 1000
    }

    /// Returns the time from `earlier` to `self`; zero if `earlier` is later.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration(self.0.saturating_sub(earlier.0))
    }
}

impl Duration {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// Returns a span of `micros` µs.
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// Returns a span of `millis` ms.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis * 1000)
    }

    /// Returns a span of `secs` s.
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs * 1_000_000)
    }

    /// Returns the span in microseconds.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// Returns the span in whole milliseconds.
    pub const fn as_millis(self) -> u64 {
        self.0 / 1000
    }

    /// Returns the span times `n`.
    pub const fn times(self, n: u64) -> Self {
        Self(self.0.saturating_mul(n))
    }

    /// Returns the `n`-th part of the span.
    pub const fn part(self, n: u64) -> Self {
        Self(self.0 / n)
    }
}

impl Add<Duration> for Instant {
    type Output = Self;
    fn add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(span.0))
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, span: Duration) {
        *self = *self + span;
    }
}

impl Sub<Duration> for Instant {
    type Output = Self;
    fn sub(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(span.0))
    }
}

impl Add for Duration {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0..=9_999 => write!(f, "{} µs", self.0),
            10_000..=9_999_999 => write!(f, "{} ms", self.0 / 1000),
            _ => write!(f, "{} s", self.0 / 1_000_000),
        }
    }
}

/// Returns the earlier of two optional instants, where `None` means "never".
pub fn earliest(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
