//! The words of each chip's ROM and bootloader, and what to do about some of them.

use crate::Chip;

/// The words of a chip.
#[derive(Debug)]
pub(super) struct Voice {
    /// Begins the line with which the firmware of pblink greets.
    pub(super) greeting: &'static str,
    /// The ROM's words after each reset.
    reset: &'static str,
    /// The ROM's words when it starts its loader and not the program.
    pub(super) loader: &'static str,
    /// The words of ROM and bootloader when they find no program that starts.
    pub(super) nothing: &'static [&'static str],
    /// Beginnings of what they say while they load the program.
    pub(super) of_rom: &'static [&'static str],
    /// Remedies.
    pub(super) if_in_loader: &'static str,
    pub(super) if_nothing_starts: &'static str,
    pub(super) if_it_does_not_greet: &'static str,
    pub(super) if_it_restarts: &'static str,
}

/// As the chip's ROM says it (Espressif's "ESP8266 Boot Mode").
const ESP8266: Voice = Voice {
    greeting: "pblink-esp8266",
    reset: "rst cause:",
    loader: "boot mode:(1,",
    nothing: &["ets_main.c"],
    of_rom: &["ets ", "load 0x", "ho ", "tail ", "chksum 0x", "csum 0x"],
    if_in_loader: "let go of FLASH (GPIO0), and tap RESET",
    if_nothing_starts: "flash it again with --verify full, with a program for the ESP8266 at address 0; an ESP8285 and \
                        some modules need --flash-mode dout",
    if_it_does_not_greet: "check the supply (3.3 V, 300 mA) and tap RESET; if it stays so, run `pblink build esp8266` \
                           and flash it again",
    if_it_restarts: "check the supply (3.3 V, 300 mA), and that the program is for this board: an ESP8285 and some \
                     modules start with --flash-mode dout only, some programs with another --header-size only",
};

/// As the chip's ROM (esptool's "ESP32-C3 Boot Mode Selection") and ESP-IDF's second-stage bootloader say it
/// (`bootloader_utility.c`).
const ESP32C3: Voice = Voice {
    greeting: "pblink-esp32c3",
    reset: "rst:0x",
    loader: "waiting for download",
    nothing: &[
        "invalid header: 0x",
        "boot: No bootable app",
        "boot: Failed to verify partition table",
    ],
    of_rom: &[
        "ESP-ROM:",
        "Build:",
        "rst:0x",
        "Saved PC:",
        "SPIWP:",
        "mode:",
        "load:0x",
        "entry 0x",
        "I (",
    ],
    if_in_loader: "let go of BOOT (GPIO9), and tap RESET",
    if_nothing_starts: "flash it again without --no-erase, with the three files of `pblink build esp32c3`",
    if_it_does_not_greet: "check the supply (3.3 V, 500 mA) and tap RESET; if it stays so, run `pblink build esp32c3` \
                           and flash it again",
    if_it_restarts: "check the supply (3.3 V, 500 mA), and that the program is for this board",
};

impl Voice {
    /// Returns the number of resets in some lines.
    pub(super) fn resets(&self, bytes: &[u8]) -> u32 {
        let reset = self.reset.as_bytes();
        bytes.windows(reset.len()).filter(|window| *window == reset).count() as u32
    }
}

impl Chip {
    pub(super) fn voice(self) -> &'static Voice {
        match self {
            Self::Esp8266 => &ESP8266,
            Self::Esp32c3 => &ESP32C3,
        }
    }
}
