//! The program on QEMU's RV32 core.

#![no_std]
#![no_main]
#![allow(unsafe_code, reason = "a place for the program")]

use core::cell::UnsafeCell;

use pblink_coprocessor_program::Program;
use pblink_emulated_board::coprocessor::{Emulator, run};
use pblink_esp32c3::emulator::Virt;

/// Memory for the program. It is too large for the stack of a task.
struct Place(UnsafeCell<Program>);

// SAFETY: there is one thread, and one user: `pblink_emulator_main`.
unsafe impl Sync for Place {}

static PROGRAM: Place = Place(UnsafeCell::new(Program::idle()));

/// Entry from the start of the core.
#[unsafe(no_mangle)]
extern "C" fn pblink_emulator_main() -> ! {
    let mut board = Emulator::new(Virt::new());
    // SAFETY: this function runs once, and is the only user.
    let program = unsafe { &mut *PROGRAM.0.get() };
    run(&mut board, program, format_args!("pblink-esp32c3 {}", env!("CARGO_PKG_VERSION")))
}
