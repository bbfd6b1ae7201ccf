//! The language of boards and server.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::secure::Cryptography;

/// The language of boards and server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Link {
    /// Without keys.
    #[default]
    Classic,
    /// With keys that are only checksums, so that many cases take little time.
    Secure,
    /// With the cryptography of the wire.
    SecureReal,
}

impl Link {
    /// Returns the keys of such a link.
    pub(super) const fn cryptography(self) -> Option<Cryptography> {
        match self {
            Self::Classic => None,
            Self::Secure => Some(Cryptography::Symbolic),
            Self::SecureReal => Some(Cryptography::Real),
        }
    }

    /// Returns the link that has such keys.
    pub(super) const fn of(cryptography: Option<Cryptography>) -> Self {
        match cryptography {
            None => Self::Classic,
            Some(Cryptography::Symbolic) => Self::Secure,
            Some(Cryptography::Real) => Self::SecureReal,
        }
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Classic => "classic",
            Self::Secure => "secure",
            Self::SecureReal => "secure-real",
        })
    }
}

impl FromStr for Link {
    type Err = String;

    /// Reads a link as files and command lines have it.
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "classic" => Ok(Self::Classic),
            "secure" => Ok(Self::Secure),
            "secure-real" => Ok(Self::SecureReal),
            _ => Err("it must be classic, secure or secure-real".to_owned()),
        }
    }
}
