//! Public keys, as people compare them.

use core::fmt;

use crate::hash;

/// The digits of Crockford's base32: none of I, L, O and U, which are mistaken for others.
const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// The first 50 bits of the SHA-256 of a public key, as ten digits of Crockford's base32 in two groups: `7XR2M-0KQ4T`.
///
/// Short enough to be read out, and long enough that nobody makes a key with the fingerprint of another one in passing. It
/// is for eyes only: programs compare the whole key.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 10]);

impl Fingerprint {
    /// Returns that of a public key of the curve.
    pub fn of(key: &[u8; 32]) -> Self {
        let hash = hash::sha256(key);
        let bits = hash[..8].iter().fold(0, |bits, &byte| bits << 8 | u64::from(byte));
        Self(core::array::from_fn(|at| DIGITS[(bits >> (59 - 5 * at) & 31) as usize]))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, &digit) in self.0.iter().enumerate() {
            if at == 5 {
                f.write_str("-")?;
            }
            fmt::Write::write_char(f, digit.into())?;
        }
        Ok(())
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
