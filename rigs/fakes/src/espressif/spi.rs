//! The SPI controller with the flash behind it, as far as commands of the user go: registers with a command, an
//! address and lengths, and a bit that starts it.

use std::collections::HashMap;

use super::flash::{Flash, SECTOR};

/// The bit of the first register that starts a command; the controller clears it when it is done.
const START: u32 = 1 << 18;

/// Addresses of the registers of a chip's controller. The names are those of Espressif's manuals.
#[derive(Debug)]
pub struct Layout {
    pub cmd: u32,
    pub addr: u32,
    pub user: u32,
    pub user1: u32,
    pub user2: u32,
    /// The register with the number of bits to read, less one, if it has one of its own; else they are in `user1`.
    pub miso_dlen: Option<u32>,
    pub w0: u32,
    /// Bits by which an address is shifted to the left in its register.
    pub addr_shift: u32,
}

/// The words of a chip's memory that have a meaning here, and all others as plain memory; the flash's state.
#[derive(Debug)]
pub struct Controller {
    layout: &'static Layout,
    pub words: HashMap<u32, u32>,
    /// The flash allows one write or erase.
    write_enabled: bool,
    /// The number of reads of the status that still find the flash busy.
    busy: u32,
}

impl Controller {
    /// Makes one with these words in it.
    pub fn new(layout: &'static Layout, words: HashMap<u32, u32>) -> Self {
        Self { layout, words, write_enabled: false, busy: 0 }
    }

    /// Returns a word; 0 if it was never written.
    pub fn word(&self, address: u32) -> u32 {
        self.words.get(&address).copied().unwrap_or(0)
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
        if address == self.layout.cmd && *word & START != 0 {
            self.user_command(flash, attached);
            self.words.insert(address, 0);
        }
    }

    fn user_command(&mut self, flash: &mut Flash, attached: bool) {
        let layout = self.layout;
        let user = self.word(layout.user);
        let lengths = self.word(layout.user1);
        assert!(user & 1 << 31 != 0, "a flash command begins with its code");
        let code = self.word(layout.user2) as u8;
        let address = if user & 1 << 30 != 0 {
            assert_eq!(lengths >> 26, 23, "addresses of flash have 24 bits");
            (self.word(layout.addr) >> layout.addr_shift) as usize
        } else {
            0
        };
        let bits = match layout.miso_dlen {
            Some(register) => self.word(register) & 0x3ff,
            None => lengths >> 8 & 0x1ff,
        };
        let input = if user & 1 << 28 != 0 { (bits + 1) as usize } else { 0 };
        let answer = if attached { self.answer(code, address, flash) } else { Vec::new() };
        for (index, word) in (0..input.div_ceil(32)).zip((layout.w0..).step_by(4)) {
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
