//! Answers to the tests' questions, on QEMU's RV32 core.

#![no_std]
#![no_main]
#![allow(unsafe_code, reason = "a name for the linker")]

use pblink_emulated_board::coprocessor::{Emulator, answer};
use pblink_esp32c3::emulator::Virt;

/// Entry from the start of the core.
#[unsafe(no_mangle)]
extern "C" fn pblink_emulator_main() -> ! {
    answer(&mut Emulator::new(Virt::new()))
}
