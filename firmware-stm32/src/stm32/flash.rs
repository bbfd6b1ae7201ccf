//! Programming of flash (RM0090 §3.6): single words, and no erasing.
//!
//! The chip has one bank: while a word is programmed, for 16 µs or so and 100 µs at most, the core waits for its next
//! instruction, and interrupts wait with it.

use embassy_stm32::pac;

use crate::secure::Sector;

/// The keys that unlock FLASH_CR, one after the other (§3.9.2).
const UNLOCK: [u32; 2] = [0x4567_0123, 0xcdef_89ab];

/// Bits of FLASH_SR that say that something went wrong; writing them clears them (§3.9.4).
const ERRORS: u32 = 0xf2;

/// Looks at FLASH_SR at most so often. The core does not run while a word is programmed, so the first one is enough.
const PATIENCE: u32 = 100_000;

/// The flash sector of the keys.
#[derive(Debug)]
pub struct KeySector {
    start: u32,
    size: u32,
}

impl KeySector {
    /// Takes the sector, whole, which nothing else programs. `start`: its address; `size`: its bytes.
    pub const fn new(start: u32, size: u32) -> Self {
        Self { start, size }
    }
}

impl Sector for KeySector {
    fn bytes(&self) -> &[u8] {
        // The compiler must not know that it is what it was before.
        let start = core::hint::black_box(self.start) as *const u8;
        // SAFETY: this is flash, always readable, aligned for bytes, and only `program` changes it, which borrows all of it.
        #[allow(unsafe_code)]
        unsafe {
            core::slice::from_raw_parts(start, self.size as usize)
        }
    }

    fn program(&mut self, at: usize, word: u32) {
        let Some(at) = u32::try_from(at).ok().filter(|at| at + 4 <= self.size && at % 4 == 0)
        else {
            return;
        };
        let flash = pac::FLASH;
        wait();
        for key in UNLOCK {
            flash.keyr().write_value(key);
        }
        flash.sr().write_value(pac::flash::regs::Sr(ERRORS));
        flash.cr().write(|cr| {
            cr.set_pg(true);
            // 32 bits at a time, for 2.7 V and more.
            cr.set_psize(pac::flash::vals::Psize::PSIZE32);
        });
        let place = (self.start + at) as *mut u32;
        // SAFETY: it is an aligned word of the sector, which nobody borrows now; the controller takes the write.
        #[allow(unsafe_code)]
        unsafe {
            place.write_volatile(word);
        }
        cortex_m::asm::dsb();
        wait();
        flash.cr().write(|cr| cr.set_lock(true));
    }
}

/// Waits until the flash is not busy.
fn wait() {
    for _ in 0..PATIENCE {
        if !pac::FLASH.sr().read().bsy() {
            return;
        }
    }
}
