//! The fixed firmware of the ESP8266.
//!
//! The program itself is [`pblink_coprocessor_program`]: this crate has the boards on which it runs.
//!
//! | feature | board |
//! |---|---|
//! | (none) | none: the library alone, as in the host's tests |
//! | `emulator` | QEMU's lx106 core; wires and network are carried by a harness |
//! | `sdk` | the chip, with Espressif's ESP8266_NONOS_SDK: compiled and linked, never run on a chip |
//! | `vectors` | the same core, but instead of the program it answers the tests' questions |

#![no_std]

#[cfg(all(any(feature = "emulator", feature = "vectors"), target_arch = "xtensa"))]
mod emulator;
#[cfg(all(feature = "sdk", target_arch = "xtensa"))]
mod sdk;
