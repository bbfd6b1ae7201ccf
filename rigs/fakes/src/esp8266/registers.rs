//! The registers that flashing touches: fuses, the UART's clock, and the SPI controller with the flash
//! behind it.

use std::collections::HashMap;

use crate::espressif::{Controller, Flash, Layout};

const SPI: u32 = 0x6000_0200;

static LAYOUT: Layout = Layout {
    cmd: SPI,
    addr: SPI + 0x04,
    user: SPI + 0x1c,
    user1: SPI + 0x20,
    user2: SPI + 0x24,
    miso_dlen: None,
    w0: SPI + 0x40,
    addr_shift: 8,
};

/// Words of memory that have a meaning here, and all others as plain memory.
#[derive(Debug)]
pub struct Registers(Controller);

impl Registers {
    /// Makes those of a chip with this word at the place that distinguishes chips.
    pub fn new(magic: u32) -> Self {
        let words = HashMap::from([
            (0x4000_1000, magic),
            // MAC 5c:cf:7f:01:02:03
            (0x3ff0_0050, 0x0300_0000),
            (0x3ff0_0054, 0x0200_0102),
            (0x3ff0_0058, 0),
            (0x3ff0_005c, 0x005c_cf7f),
            (LAYOUT.user, 0x8000_0040),
            (LAYOUT.user2, 0x7000_0000),
        ]);
        Self(Controller::new(&LAYOUT, words))
    }

    /// After a reset: what is burnt in stays.
    pub fn fresh(&self) -> Self {
        Self::new(self.0.word(0x4000_1000))
    }

    pub fn read(&self, address: u32, baud: u32) -> u32 {
        match address {
            // The divider of the UART, from a clock of 52 MHz.
            0x6000_0014 => 52_000_000 / baud.max(1),
            _ => self.0.word(address),
        }
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
        self.0.write(address, value, mask, flash, attached);
    }
}
