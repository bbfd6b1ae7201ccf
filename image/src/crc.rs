//! The check sum of what lies in flash, and in RAM that is kept.

/// The remainders of the numbers below 16: half a byte at a time is quick enough for a chip, and this small.
const REMAINDERS: [u32; 16] = {
    let mut table = [0; 16];
    let mut n = 0;
    while n < 16 {
        let (mut crc, mut bit) = (n as u32, 0);
        while bit < 4 {
            crc = (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
            bit += 1;
        }
        table[n] = crc;
        n += 1;
    }
    table
};

/// Returns the CRC-32/ISO-HDLC of these bytes, one part behind the other: that of zip and Ethernet.
pub fn crc32(parts: &[&[u8]]) -> u32 {
    let mut crc = u32::MAX;
    for &byte in parts.iter().copied().flatten() {
        crc ^= u32::from(byte);
        for _ in 0..2 {
            crc = (crc >> 4) ^ REMAINDERS[(crc & 15) as usize];
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_sum_is_that_of_zip() {
        // The check value that the CRC catalogue gives.
        assert_eq!(crc32(&[b"1234", b"56789"]), 0xcbf4_3926);
    }
}
