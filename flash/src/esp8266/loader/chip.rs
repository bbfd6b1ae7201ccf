//! Identifies the chip, and reads its address and the size of its flash.

use std::fmt;

use crate::esp8266::serial::connection::{Connection, Fault};
use crate::serial::port::Port;
use crate::{Error, Kind, Result};

/// A word of the ROM that differs from chip to chip.
pub const MAGIC_ADDRESS: u32 = 0x4000_1000;

/// The word that the ESP8266 has there.
pub const MAGIC: u32 = 0xfff0_c101;

/// The words that other chips of the family have there.
const OTHERS: [(u32, &str); 12] = [
    (0x00f0_1d83, "ESP32"),
    (0x0000_07c6, "ESP32-S2"),
    (0x0000_0009, "ESP32-S3"),
    (0x6921_506f, "ESP32-C3"),
    (0x1b31_506f, "ESP32-C3"),
    (0x4881_606f, "ESP32-C3"),
    (0x4361_606f, "ESP32-C3"),
    (0x6f51_306f, "ESP32-C2"),
    (0x7c41_a06f, "ESP32-C2"),
    (0x2ce0_806f, "ESP32-C6"),
    (0x2421_606f, "ESP32-C61"),
    (0xd7b7_3e80, "ESP32-H2"),
];

/// Four words of fuses, with the address of the network interface in them.
const FUSES: u32 = 0x3ff0_0050;

/// Refuses what is no ESP8266.
pub fn check(magic: u32) -> Result<()> {
    if magic == MAGIC {
        return Ok(());
    }
    let what = match OTHERS.iter().find(|other| other.0 == magic) {
        Some((_, name)) => format!("this is an {name}, not an ESP8266"),
        None => format!("this is a chip of another kind (magic {magic:#010x}), not an ESP8266"),
    };
    Err(Error::new(
        Kind::WrongChip,
        what,
        "plug in the ESP8266, or name its port with --serial; nothing was changed on this one",
    ))
}

/// The address of a network interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mac(pub [u8; 6]);

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<_> = self.0.iter().map(|byte| format!("{byte:02x}")).collect();
        f.write_str(&parts.join(":"))
    }
}

/// Reads it from the fuses, and whether the flash is in the same package (ESP8285).
pub fn identity<P: Port>(
    connection: &mut Connection<P>,
) -> std::result::Result<(&'static str, Mac), Fault> {
    let mut fuses = [0; 4];
    for (fuse, address) in fuses.iter_mut().zip((FUSES..).step_by(4)) {
        *fuse = connection.read_register_twice(address)?;
    }
    let name =
        if fuses[0] & 1 << 4 != 0 || fuses[2] & 1 << 16 != 0 { "ESP8285" } else { "ESP8266EX" };
    Ok((name, mac(fuses)))
}

/// Reads the MAC address in the layout of Espressif's tool; old chips hold only the lower half, and
/// a code for the upper.
fn mac(fuses: [u32; 4]) -> Mac {
    let [_, middle, _, vendor] = fuses.map(u32::to_be_bytes);
    let upper = if fuses[3] != 0 {
        [vendor[1], vendor[2], vendor[3]]
    } else if middle[1] == 1 {
        [0xac, 0xd0, 0x74]
    } else {
        [0x18, 0xfe, 0x34]
    };
    Mac([upper[0], upper[1], upper[2], middle[2], middle[3], fuses[0].to_be_bytes()[0]])
}

/// Returns the size of the flash from its JEDEC id (maker, type, log2 of the size); `None` if it
/// does not say.
pub fn flash_size(id: u32) -> Option<u32> {
    match id >> 16 & 0xff {
        exponent @ 0x12..=0x18 => Some(1 << exponent),
        // Adesto and others count from another base.
        exponent @ 0x32..=0x38 => Some(1 << (exponent - 0x20)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_chips_are_named() {
        check(0xfff0_c101).unwrap();
        let error = check(0x00f0_1d83).unwrap_err();
        assert_eq!(error.kind(), Kind::WrongChip);
        assert_eq!(error.cause(), "this is an ESP32, not an ESP8266");
        assert!(check(0x1234).unwrap_err().cause().contains("0x00001234"));
    }

    #[test]
    fn the_address_is_put_together_as_the_fuses_say() {
        let address = mac([0x5f00_0000, 0x0201_cdab, 0, 0x005c_cf7f]);
        assert_eq!(address.to_string(), "5c:cf:7f:cd:ab:5f");
        assert_eq!(mac([0x5f00_0000, 0x0001_cdab, 0, 0]).to_string(), "ac:d0:74:cd:ab:5f");
        assert_eq!(mac([0x5f00_0000, 0x0000_cdab, 0, 0]).to_string(), "18:fe:34:cd:ab:5f");
    }

    #[test]
    fn flash_tells_its_size() {
        assert_eq!(flash_size(0x0016_40ef), Some(4 << 20));
        assert_eq!(flash_size(0x0013_405e), Some(512 << 10));
        assert_eq!(flash_size(0x0018_4068), Some(16 << 20));
        assert_eq!(flash_size(0x00ff_ffff), None);
        assert_eq!(flash_size(0), None);
    }
}
