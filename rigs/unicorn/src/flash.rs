//! The flash controller (RM0090 §3.9), as far as words of the keys' sector are programmed.

/// Bits of FLASH_CR.
const PG: u32 = 1;
const WORDS: u32 = 2 << 8;
const LOCK: u32 = 1 << 31;

/// The controller, and the sector of the keys.
#[derive(Debug)]
pub struct Flash {
    /// The contents of the sector.
    pub sector: Vec<u8>,
    /// Keys that were written to FLASH_KEYR, in their order.
    keys: u32,
    cr: u32,
    /// Words that were programmed.
    pub programmed: u32,
    /// Words after which the supply is gone: writes do nothing then.
    pub dies_after: Option<u32>,
    /// Accesses that the manual does not allow.
    pub misuse: u32,
}

impl Default for Flash {
    fn default() -> Self {
        Self { sector: Vec::new(), keys: 0, cr: LOCK, programmed: 0, dies_after: None, misuse: 0 }
    }
}

impl Flash {
    /// It is as after power-on: what was programmed stays.
    pub(crate) fn reset(&mut self) {
        (self.keys, self.cr) = (0, LOCK);
    }

    pub(crate) fn read(&self, register: u64) -> u32 {
        if register == 0x10 { self.cr } else { 0 }
    }

    pub(crate) fn write(&mut self, register: u64, value: u32) {
        match (register, value) {
            (0x04, 0x4567_0123) => self.keys = 1,
            (0x04, 0xcdef_89ab) if self.keys == 1 => self.cr &= !LOCK,
            (0x10, _) if self.cr & LOCK == 0 => self.cr = value,
            (0x0c, _) => {}
            _ => self.misuse += 1,
        }
    }

    /// Programs what is written to the sector.
    pub(crate) fn program(&mut self, at: usize, size: usize, value: u64) {
        if self.cr & (LOCK | PG | 3 << 8) != PG | WORDS || size != 4 || !at.is_multiple_of(4) {
            self.misuse += 1;
            return;
        }
        if self.dies_after.is_some_and(|words| self.programmed >= words) {
            return;
        }
        self.programmed += 1;
        for (place, bits) in self.sector[at..at + 4].iter_mut().zip((value as u32).to_le_bytes()) {
            *place &= bits;
        }
    }
}
