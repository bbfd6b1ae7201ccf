//! What can go wrong, in words for the person with the cable.

use std::fmt;

/// What happened, and what to do about it: one sentence each, without a full stop.
#[derive(Debug)]
pub struct Error {
    kind: Kind,
    cause: String,
    remedy: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// A result, mostly with an [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What a program can tell failures apart by.
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
    /// What was read back is not what was written.
    Verify,
    /// The user has cancelled it.
    Cancelled,
    /// Something else.
    Other,
}

impl Error {
    /// An error. `cause` says what happened, `remedy` what to do; both begin in lower case where they
    /// can, and have no full stop.
    pub fn new(kind: Kind, cause: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { kind, cause: cause.into(), remedy: remedy.into(), source: None }
    }

    /// The same error with what it came from.
    #[must_use]
    pub fn from_source(
        mut self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What a program can tell it by.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// What happened.
    pub fn cause(&self) -> &str {
        &self.cause
    }

    /// What to do.
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
    /// Cause and remedy, each on a line of its own.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n  {}", self.cause, self.remedy)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        // The cause tells it already; the source is for logs.
        self.source.as_ref().map(|source| &**source as _)
    }
}
