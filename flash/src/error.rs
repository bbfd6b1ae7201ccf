//! Failures, in words for the person with the cable.

use std::fmt;

/// A cause, and a remedy: one sentence each, without a full stop.
#[derive(Debug)]
pub struct Error {
    kind: Kind,
    cause: String,
    remedy: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// A result, mostly with an [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The kinds of failures, for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// There is no such port, probe or device, or more than one.
    NotFound,
    /// Another program uses it.
    Busy,
    /// The user may not open it.
    Permission,
    /// It was there and is gone.
    Vanished,
    /// Nothing answers, or only noise.
    NoAnswer,
    /// It is another chip.
    WrongChip,
    /// The image does not fit, or lies where it must not.
    Image,
    /// The chip refuses: a command failed, or its flash is protected.
    Refused,
    /// There is no room left.
    Full,
    /// The board's interpreter is too old, or lacks something.
    Version,
    /// Flash does not hold the bytes that were written.
    Verify,
    /// The user has cancelled it.
    Cancelled,
    /// Something else.
    Other,
}

impl Error {
    /// Returns an error. `cause` says what happened, `remedy` what to do; both begin in lower case
    /// where they can, and have no full stop.
    pub fn new(kind: Kind, cause: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { kind, cause: cause.into(), remedy: remedy.into(), source: None }
    }

    /// Returns the same error with what it came from.
    #[must_use]
    pub fn from_source(
        mut self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Returns the kind of failure.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Returns what happened.
    pub fn cause(&self) -> &str {
        &self.cause
    }

    /// Returns what to do.
    pub fn remedy(&self) -> &str {
        &self.remedy
    }
}

impl From<pblink_image::Error> for Error {
    fn from(error: pblink_image::Error) -> Self {
        Self::new(Kind::Image, error.cause(), error.remedy())
    }
}

impl fmt::Display for Error {
    /// Writes cause and remedy, each on a line of its own.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n  {}", self.cause, self.remedy)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        // The cause has its words already; the source is for logs.
        self.source.as_ref().map(|source| &**source as _)
    }
}
