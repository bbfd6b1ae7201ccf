//! The chips that can give a board its network.

/// A coprocessor, as far as flashing it differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Chip {
    /// An ESP8266.
    Esp8266,
    /// An ESP32-C3.
    Esp32c3,
}

/// USB adapters that sit on boards of both chips: vendor, product, name. Other ports may be anything, a modem or a printer,
/// so they are never opened unless the user names them.
const ADAPTERS: [(u16, u16, &str); 7] = [
    (0x10c4, 0xea60, "CP210x"),
    (0x1a86, 0x7523, "CH340"),
    (0x1a86, 0x5523, "CH341"),
    (0x1a86, 0x55d4, "CH9102"),
    (0x0403, 0x6001, "FT232R"),
    (0x0403, 0x6015, "FT-X"),
    (0x067b, 0x2303, "PL2303"),
];

/// The port that newer chips of Espressif have themselves (ESP32-C3 Technical Reference Manual, 30, "USB Serial/JTAG
/// Controller").
const OWN_USB: (u16, u16, &str) = (0x303a, 0x1001, "USB-Serial-JTAG");

impl Chip {
    /// Returns the name that is printed on it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Esp8266 => "ESP8266",
            Self::Esp32c3 => "ESP32-C3",
        }
    }

    /// Returns the speed at which it speaks after a reset, in bits per second. The firmware of pblink keeps it.
    pub fn boot_baud(self) -> u32 {
        match self {
            // With the usual crystal of 26 MHz.
            Self::Esp8266 => 74_880,
            Self::Esp32c3 => 115_200,
        }
    }

    /// Returns the name of the USB adapter with these ids, if boards with this chip have such a one.
    pub(crate) fn adapter(self, vendor: u16, product: u16) -> Option<&'static str> {
        let own = (self == Self::Esp32c3).then_some(OWN_USB);
        let mut all = ADAPTERS.into_iter().chain(own);
        all.find(|known| (known.0, known.1) == (vendor, product)).map(|known| known.2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_modem_or_a_debug_probe_is_no_adapter() {
        for chip in [Chip::Esp8266, Chip::Esp32c3] {
            assert_eq!(chip.adapter(0x10c4, 0xea60), Some("CP210x"));
            assert_eq!(
                chip.adapter(0x0483, 0x374b),
                None,
                "an ST-Link's serial port is the STM32's"
            );
            assert_eq!(chip.adapter(0xf055, 0x9800), None, "a Pyboard");
            assert_eq!(chip.adapter(0x12d1, 0x1506), None, "a modem");
        }
    }

    #[test]
    fn a_port_that_no_esp8266_has_is_left_alone_when_one_is_looked_for() {
        let (vendor, product, name) = OWN_USB;
        assert_eq!(Chip::Esp8266.adapter(vendor, product), None);
        assert_eq!(Chip::Esp32c3.adapter(vendor, product), Some(name));
    }
}
