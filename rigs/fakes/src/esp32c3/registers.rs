//! The registers that flashing touches: fuses, pins at the reset, a watchdog, and the SPI controller with the flash
//! behind it.

use std::collections::HashMap;

use crate::espressif::{Controller, Flash, Layout};

/// SPI1 (TRM, "SPI Controller"; `SPI_REG_BASE` of esptool).
const SPI: u32 = 0x6000_2000;

static LAYOUT: Layout = Layout {
    cmd: SPI,
    addr: SPI + 0x04,
    user: SPI + 0x18,
    user1: SPI + 0x1c,
    user2: SPI + 0x20,
    miso_dlen: Some(SPI + 0x28),
    w0: SPI + 0x58,
    addr_shift: 0,
};

/// The word that distinguishes chips: that of ECO3.
const MAGIC: (u32, u32) = (0x4000_1000, 0x1b31_506f);
/// Words 0, 1 and 3 of block 1 of the fuses: a MAC, and a revision.
const MAC: [(u32, u32); 2] = [(0x6000_8844, 0x1801_0203), (0x6000_8848, 0x3485)];
/// Bits 18 to 20 are the lower ones of the minor revision: v0.3.
const REVISION: (u32, u32) = (0x6000_8850, 3 << 18);
/// Levels of the pins that decide at a reset: bit 3 is GPIO9.
const STRAP: u32 = 0x6000_4038;

/// The watchdog of the RTC: its mode, and the key that allows a change of it.
const WATCHDOG: u32 = 0x6000_8090;
const PROTECT: u32 = 0x6000_80a8;
const KEY: u32 = 0x50d8_3aa1;
/// The watchdog runs; the action of its first stage is in the three bits below.
const ENABLED: u32 = 1 << 31;
/// The least action that resets the whole chip, so that its pins are read anew.
const RESET_CHIP: u32 = 4;

/// Words of memory that have a meaning here, and all others as plain memory.
#[derive(Debug)]
pub struct Registers(Controller);

impl Registers {
    /// Makes those of a chip with these levels of its pins at the reset.
    pub fn new(strap: u32) -> Self {
        let words = HashMap::from([
            MAGIC,
            MAC[0],
            MAC[1],
            REVISION,
            (STRAP, strap),
            (LAYOUT.user, 0x8000_0000),
            (LAYOUT.user2, 0x7000_0000),
        ]);
        Self(Controller::new(&LAYOUT, words))
    }

    /// Returns a word of memory.
    pub fn read(&self, address: u32) -> u32 {
        self.0.word(address)
    }

    /// Writes the bits of `mask`. `attached`: the pins of the flash are the controller's.
    pub fn write(
        &mut self,
        address: u32,
        value: u32,
        mask: u32,
        flash: &mut Flash,
        attached: bool,
    ) {
        let fixed = [MAGIC.0, MAC[0].0, MAC[1].0, REVISION.0, STRAP].contains(&address);
        let locked = address == WATCHDOG && self.0.word(PROTECT) != KEY;
        if !fixed && !locked {
            self.0.write(address, value, mask, flash, attached);
        }
    }

    /// Returns true if the watchdog will reset the whole chip.
    pub fn bites(&self) -> bool {
        let mode = self.0.word(WATCHDOG);
        mode & ENABLED != 0 && mode >> 28 & 7 >= RESET_CHIP
    }
}
