//! The fixed firmware of the ESP32-C3.
//!
//! The program itself is [`pblink_coprocessor_program`], the same as on the ESP8266: this crate has the boards on which it
//! runs.
//!
//! | feature | board |
//! |---|---|
//! | (none) | none: [`remembered`] alone, for the host's tests |
//! | `chip` | the chip, with `esp-hal` and `esp-radio`: compiled and linked, never run on a chip |
//! | `emulator` | QEMU's RV32 core; wires and network are carried by a harness |

#![cfg_attr(not(test), no_std)]

#[cfg(all(feature = "chip", target_arch = "riscv32"))]
pub mod chip;
#[cfg(all(feature = "emulator", target_arch = "riscv32"))]
pub mod emulator;
pub mod remembered;
