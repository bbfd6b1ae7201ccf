//! The way to the gateway that leads, for connections that others pass on to it.

use std::fmt;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// An address, and the key without which nobody gets in there. It is never shown by `Debug`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Way {
    /// The address.
    pub address: SocketAddr,
    /// The key, as hexadecimal digits.
    pub(crate) key: String,
}

impl fmt::Debug for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Way").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Way {
    /// Returns the key as bytes; `None`: what was told is none.
    pub(crate) fn key<const N: usize>(&self) -> Option<[u8; N]> {
        let mut key = [0; N];
        if self.key.len() != 2 * N || !self.key.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        for (byte, digits) in key.iter_mut().zip(self.key.as_bytes().chunks(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
        }
        Some(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_key_is_none() {
        let way = |key: &str| Way { address: ([127, 0, 0, 1], 1).into(), key: key.into() };
        assert_eq!(way("01ff").key(), Some([1, 255]));
        for wrong in ["", "01f", "01fg", "01ff00", "+1ff", "äff"] {
            assert_eq!(way(wrong).key::<2>(), None, "{wrong}");
        }
        assert!(!format!("{:?}", way("01ff")).contains("01ff"));
    }
}
