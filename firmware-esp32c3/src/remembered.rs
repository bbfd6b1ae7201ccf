//! The network that the chip remembers, as bytes of its flash.

use heapless::String;
use pblink_image::crc::crc32;
use pblink_protocol::config::{MAX_PASSWORD, MAX_SSID};

/// A network: its name and its password, which may be empty.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Network {
    /// Its name.
    pub ssid: String<MAX_SSID>,
    /// Its password.
    pub password: String<MAX_PASSWORD>,
}

impl core::fmt::Debug for Network {
    /// Shows no password.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Network").field("ssid", &self.ssid).finish_non_exhaustive()
    }
}

/// Length of a record: a multiple of four, as flash is written.
pub const RECORD: usize = 4 + 2 + MAX_SSID + MAX_PASSWORD + 2 + 4;
const _: () = assert!(RECORD.is_multiple_of(4));

/// The beginning of a record; the last byte is its version.
const MAGIC: [u8; 4] = *b"pbw\x01";

/// Writes a record: magic, both lengths, both texts with zeros behind, two zeros, a CRC-32 (little-endian).
pub fn encode(network: &Network) -> [u8; RECORD] {
    let mut record = [0; RECORD];
    let (ssid, password) = (network.ssid.as_bytes(), network.password.as_bytes());
    record[..4].copy_from_slice(&MAGIC);
    record[4] = ssid.len() as u8;
    record[5] = password.len() as u8;
    record[6..6 + ssid.len()].copy_from_slice(ssid);
    record[6 + MAX_SSID..][..password.len()].copy_from_slice(password);
    let sum = crc32(&[&record[..RECORD - 4]]);
    record[RECORD - 4..].copy_from_slice(&sum.to_le_bytes());
    record
}

/// Reads a record. Returns `None` if there is none: a flash that was erased, half a record, or something else's bytes.
pub fn decode(record: &[u8; RECORD]) -> Option<Network> {
    let (body, sum) = record.split_last_chunk::<4>()?;
    if record[..4] != MAGIC || crc32(&[body]) != u32::from_le_bytes(*sum) {
        return None;
    }
    let text = |at: usize, len: u8| core::str::from_utf8(body.get(at..at + usize::from(len))?).ok();
    let network = Network {
        ssid: text(6, record[4])?.try_into().ok()?,
        password: text(6 + MAX_SSID, record[5])?.try_into().ok()?,
    };
    (!network.ssid.is_empty()).then_some(network)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(ssid: &str, password: &str) -> Network {
        Network { ssid: ssid.try_into().unwrap(), password: password.try_into().unwrap() }
    }

    #[test]
    fn a_network_comes_back_as_it_was() {
        for (ssid, password) in
            [("a", ""), ("caf\u{e9}", "password"), (&"s".repeat(32), &"f".repeat(64))]
        {
            let network = network(ssid, password);
            assert_eq!(decode(&encode(&network)), Some(network));
        }
    }

    #[test]
    fn what_is_no_record_is_no_network() {
        assert_eq!(decode(&[0xff; RECORD]), None);
        assert_eq!(decode(&[0; RECORD]), None);
        assert_eq!(decode(&encode(&Network::default())), None, "without a name");
    }

    /// Flash is written from its beginning, and the power may go at any time.
    #[test]
    fn half_a_record_is_no_network() {
        let record = encode(&network("network", "password"));
        for len in (0..RECORD).step_by(4) {
            let mut half = [0xff; RECORD];
            half[..len].copy_from_slice(&record[..len]);
            assert_eq!(decode(&half), None, "{len}");
        }
    }

    #[test]
    fn a_bent_byte_is_noticed() {
        let record = encode(&network("network", "password"));
        for at in 0..RECORD {
            let mut bent = record;
            bent[at] ^= 0x20;
            assert_eq!(decode(&bent), None, "{at}");
        }
    }

    #[test]
    fn no_password_is_shown() {
        assert!(!format!("{:?}", network("n", "secret77")).contains("secret"));
    }
}
