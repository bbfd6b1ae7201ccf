//! The registers that flashing touches: fuses, the UART's clock, and the SPI controller with the flash
//! behind it.

use std::collections::HashMap;

use super::flash::{Flash, SECTOR};

const SPI: u32 = 0x6000_0200;
const SPI_COMMAND: u32 = SPI;
const SPI_ADDRESS: u32 = SPI + 0x04;
const SPI_USER: u32 = SPI + 0x1c;
const SPI_USER1: u32 = SPI + 0x20;
const SPI_USER2: u32 = SPI + 0x24;
const SPI_DATA: u32 = SPI + 0x40;

/// Words of memory that have a meaning here, and all others as plain memory.
#[derive(Debug, Default)]
pub struct Registers {
    words: HashMap<u32, u32>,
    /// The flash allows one write or erase.
    write_enabled: bool,
    /// The number of reads of the status that still find the flash busy.
    busy: u32,
}

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
            (SPI_USER, 0x8000_0040),
            (SPI_USER2, 0x7000_0000),
        ]);
        Self { words, ..Self::default() }
    }

    /// After a reset: what is burnt in stays.
    pub fn fresh(&self) -> Self {
        Self::new(self.word(0x4000_1000))
    }

    pub fn read(&self, address: u32, baud: u32) -> u32 {
        match address {
            // The divider of the UART, from a clock of 52 MHz.
            0x6000_0014 => 52_000_000 / baud.max(1),
            _ => self.words.get(&address).copied().unwrap_or(0),
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
        let word = self.words.entry(address).or_default();
        *word = *word & !mask | value & mask;
        if address == SPI_COMMAND && *word & 1 << 18 != 0 {
            self.user_command(flash, attached);
            // The controller clears it when it is done.
            self.words.insert(SPI_COMMAND, 0);
        }
    }

    fn word(&self, address: u32) -> u32 {
        self.words.get(&address).copied().unwrap_or(0)
    }

    fn user_command(&mut self, flash: &mut Flash, attached: bool) {
        let user = self.word(SPI_USER);
        let lengths = self.word(SPI_USER1);
        assert!(user & 1 << 31 != 0, "a flash command begins with its code");
        let code = self.word(SPI_USER2) as u8;
        let address = if user & 1 << 30 != 0 {
            assert_eq!(lengths >> 26, 23, "addresses of flash have 24 bits");
            (self.word(SPI_ADDRESS) >> 8) as usize
        } else {
            0
        };
        let input = if user & 1 << 28 != 0 { ((lengths >> 8 & 0x1ff) + 1) as usize } else { 0 };
        let answer = if attached { self.answer(code, address, flash) } else { Vec::new() };
        for (index, word) in (0..input.div_ceil(32)).zip((SPI_DATA..).step_by(4)) {
            let bits = (input - index * 32).min(32);
            let bytes =
                std::array::from_fn(|at| answer.get(index * 4 + at).copied().unwrap_or(0xff));
            let mask = u32::MAX >> (32 - bits);
            self.words.insert(word, u32::from_le_bytes(bytes) & mask);
        }
    }

    /// Carries a command out in the flash, and returns its answer.
    fn answer(&mut self, code: u8, address: usize, flash: &mut Flash) -> Vec<u8> {
        if self.busy > 0 && code != 0x05 {
            return Vec::new();
        }
        match code {
            0x9f => flash.id().to_le_bytes()[..3].to_vec(),
            0x03 => flash.bytes().iter().copied().cycle().skip(address).take(64).collect(),
            0x05 => {
                let busy = self.busy > 0;
                self.busy = self.busy.saturating_sub(1);
                vec![u8::from(busy) | u8::from(self.write_enabled) << 1]
            }
            0x06 => {
                self.write_enabled = true;
                Vec::new()
            }
            0x20 if std::mem::take(&mut self.write_enabled) => {
                flash.erase(address, SECTOR);
                self.busy = 2;
                Vec::new()
            }
            // No such command: the wire is not driven.
            _ => Vec::new(),
        }
    }
}
