//! Numbers in lower-case hex digits, as they stand in lines.

/// Returns the two digits of a byte.
pub(crate) const fn digits(byte: u8) -> [u8; 2] {
    const HEX: [u8; 16] = *b"0123456789abcdef";
    [HEX[(byte >> 4) as usize], HEX[(byte & 15) as usize]]
}

/// Reads two digits. Upper-case ones are none.
pub(crate) const fn byte(digits: [u8; 2]) -> Option<u8> {
    match (nibble(digits[0]), nibble(digits[1])) {
        (Some(high), Some(low)) => Some(high << 4 | low),
        _ => None,
    }
}

const fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}
