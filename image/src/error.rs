//! Failures of making an image, in words for the person who builds it.

use std::fmt;

/// A cause, and a remedy: one sentence each, without a full stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    cause: String,
    remedy: String,
}

/// A result, mostly with an [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error. `cause` says what happened, `remedy` what to do; both begin in lower case where they
    /// can, and have no full stop.
    pub fn new(cause: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { cause: cause.into(), remedy: remedy.into() }
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

impl fmt::Display for Error {
    /// Cause and remedy, each on a line of its own.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n  {}", self.cause, self.remedy)
    }
}

impl std::error::Error for Error {}
