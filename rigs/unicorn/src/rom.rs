//! The boot loader in the chip's ROM: its vector table, and what it leaves behind when it starts a
//! program after flashing over USB.
//!
//! It jumps, it does not reset (AN3156, AN2606): the vector table stays its own, USB stays alive.
//! Nothing of it is run here. That one of its handlers runs under the program is a fault of the program.

/// Its address (RM0090 §2.3, system memory).
pub const ROM: u64 = 0x1fff_0000;
/// 30 KB, and what fills the page.
pub const SIZE: u64 = 0x8000;
/// Its handlers: one of two bytes for each exception.
const HANDLERS: u64 = ROM + 0x400;
/// Exceptions in its vector table: the core's 16 and the chip's 82.
const EXCEPTIONS: u64 = 16 + 82;

/// The state of the chip in which a program is started.
#[derive(Debug, Clone, Copy)]
pub struct Left {
    /// Interrupts are masked (PRIMASK).
    pub masked: bool,
    /// USB raises its interrupt, which is enabled, this many cycles after the start.
    pub usb_after: u64,
}

/// Returns the bytes of the ROM.
pub(crate) fn image() -> Vec<u8> {
    let mut rom = vec![0; SIZE as usize];
    for exception in 1..EXCEPTIONS {
        let vector = (HANDLERS + 2 * exception) as u32 | 1;
        rom[4 * exception as usize..][..4].copy_from_slice(&vector.to_le_bytes());
    }
    rom
}

/// Returns the exception whose handler is at this address, if that is in the ROM.
pub(crate) fn handler(address: u64) -> Option<u64> {
    (ROM..ROM + SIZE).contains(&address).then(|| address.saturating_sub(HANDLERS) / 2)
}
