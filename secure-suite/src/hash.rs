//! SHA-256 and what is built of it.

use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

/// Begins an HMAC-SHA256 over parts, one behind the other.
pub fn mac(key: &[u8], parts: &[&[u8]]) -> Hmac<Sha256> {
    let mut mac =
        <Hmac<Sha256> as Mac>::new_from_slice(key).expect("HMAC takes keys of any length");
    for part in parts {
        mac.update(part);
    }
    mac
}

/// Returns the HMAC-SHA256 over parts, one behind the other.
pub fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    mac(key, parts).finalize().into_bytes().into()
}

/// Returns the first block of HKDF-SHA256 (RFC 5869) without a salt.
pub fn hkdf(secret: &[u8], info: &[u8]) -> [u8; 32] {
    let extracted = zeroize::Zeroizing::new(hmac(&[0; 32], &[secret]));
    hmac(&*extracted, &[info, &[1]])
}

/// Returns the SHA-256 of `bytes`.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

#[cfg(test)]
mod tests {
    use super::hkdf;
    use crate::vectors::hex;

    #[test]
    fn hkdf_is_that_of_rfc_5869() {
        // Test case 3: no salt, no info; its first 32 bytes.
        let expected = hex("8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d");
        assert_eq!(hkdf(&[0x0b; 22], &[])[..], expected);
    }
}
