//! The numbers of `pblink.toml`: ranges and defaults. Checks, flags, the JSON schema and the template
//! all have them from here; what a board keeps, too, has its own from the protocol.

use pblink_protocol::config::{DEFAULT_PORT, DEFAULT_REPORT_S, DEFAULT_TIMEOUT_MS, TIMEOUT_MS};

use crate::duration::Unit;

/// A whole number with its range and its default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) least: u32,
    pub(crate) most: u32,
    pub(crate) default: u32,
    /// The unit of a plain number, for times: these may also be written as `2s`.
    pub(crate) unit: Option<Unit>,
}

/// `server.port`
pub(crate) const PORT: Limits =
    Limits { least: 1, most: u16::MAX as u32, default: DEFAULT_PORT as u32, unit: None };

/// `server.timeout_ms`
pub(crate) const TIMEOUT: Limits = Limits {
    least: *TIMEOUT_MS.start(),
    most: *TIMEOUT_MS.end(),
    default: DEFAULT_TIMEOUT_MS,
    unit: Some(Unit::Milliseconds),
};

/// `board.report_s`
pub(crate) const REPORT: Limits =
    Limits { least: 0, most: 86_400, default: DEFAULT_REPORT_S, unit: Some(Unit::Seconds) };

/// `server.keep_days`
pub(crate) const KEEP_DAYS: Limits = Limits::number(1, 3650, 7);

/// `server.keep_mb`
pub(crate) const KEEP_MB: Limits = Limits::number(1, 1_000_000, 1000);

/// `server.commit_every_ms`
pub(crate) const COMMIT_EVERY: Limits =
    Limits { least: 0, most: 10_000, default: 0, unit: Some(Unit::Milliseconds) };

impl Limits {
    /// Returns the limits of a number that is not a time.
    pub(crate) const fn number(least: u32, most: u32, default: u32) -> Self {
        Self { least, most, default, unit: None }
    }

    /// Returns a parser for a flag with these limits.
    pub(crate) fn parser(self) -> impl Fn(&str) -> Result<u32, String> + Clone + Send + Sync {
        self.parser_of()
    }

    /// Returns a parser for a flag with these limits, whose value is a `T` that holds all of them.
    pub(crate) fn parser_of<T: TryFrom<u32>>(
        self,
    ) -> impl Fn(&str) -> Result<T, String> + Clone + Send + Sync {
        let refusal = move || format!("it must be {}", self.allowed());
        move |text| T::try_from(self.parse(text)?).map_err(|_| refusal())
    }

    /// Reads a number or time within the limits.
    ///
    /// # Errors
    /// The values that are allowed.
    pub(crate) fn parse(self, text: &str) -> Result<u32, String> {
        self.count(text)
            .and_then(|n| u32::try_from(n).ok())
            .filter(|n| self.contains(i64::from(*n)))
            .ok_or_else(|| format!("it must be {}", self.allowed()))
    }

    /// Reads a number or time, within the limits or not.
    pub(crate) fn count(self, text: &str) -> Option<u64> {
        match self.unit {
            Some(unit) => unit.count(text),
            None => text.parse().ok(),
        }
    }

    pub(crate) fn contains(self, n: i64) -> bool {
        (i64::from(self.least)..=i64::from(self.most)).contains(&n)
    }

    /// Returns the default as it is written on the command line.
    pub(crate) fn written(self) -> String {
        self.unit.map_or_else(|| self.default.to_string(), |unit| unit.written(self.default))
    }

    /// Returns the values that are allowed in a file, in words.
    pub(crate) fn in_a_file(self) -> String {
        let Self { least, most, unit, .. } = self;
        match unit {
            None => format!("a whole number from {least} to {most}"),
            Some(unit) => format!(
                "a whole number of {} from {least} to {most}, or a time such as \"{}\"",
                unit.name(),
                self.written()
            ),
        }
    }

    /// Returns the values that a flag allows, in words.
    pub(crate) fn allowed(self) -> String {
        let Self { least, most, unit, .. } = self;
        match unit {
            None => format!("a whole number from {least} to {most}"),
            Some(unit) => format!(
                "{} from {} to {}, such as {}; a plain number is {}",
                match unit {
                    Unit::Milliseconds => "a time",
                    // That of the boards has no parts of a second.
                    Unit::Seconds => "a time of whole seconds",
                },
                unit.written(least),
                unit.written(most),
                self.written(),
                unit.name()
            ),
        }
    }
}
