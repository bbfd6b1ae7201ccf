//! An interpreter of the ESP8266's core, Tensilica's lx106, for tests: the chip's own program runs on it, instruction
//! by instruction.
//!
//! ```text
//!  [elf] segments and symbols of an image
//!  [core] registers and exceptions; [instructions] what each of them does
//!  [memory] the chip's memories, and which accesses they allow
//!  [esp8266] the chip's pins, and Espressif's SDK
//!  [simulator] a console instead of the chip, as QEMU has it: to compare the two
//! ```
//!
//! Nothing is passed over: an instruction, an access or a function that is not known is a [`Fault`]. Only
//! `call0` code runs, since the core has no register windows.
//!
//! Facts: Xtensa Instruction Set Architecture Reference Manual (chapters 3, 4.4, 6, 7); the configuration of the lx106
//! in QEMU, `target/xtensa/core-lx106`.

pub mod core;
pub mod elf;
pub mod esp8266;
mod instructions;
pub mod memory;
pub mod simulator;

use thiserror::Error;

/// Something that the chip, or this model, does not do.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Fault {
    /// An instruction that the core does not have, or that is not modelled.
    #[error("unknown instruction {bytes:02x?} at {pc:#x}")]
    Instruction {
        /// Its address.
        pc: u32,
        /// Its bytes.
        bytes: [u8; 3],
    },
    /// A special register that is not modelled.
    #[error("unknown special register {register} at {pc:#x}")]
    Register {
        /// Address of the instruction.
        pc: u32,
        /// Number of the register.
        register: u8,
    },
    /// There is no memory, or it does not allow this.
    #[error("{access} of {size} bytes at {address:#x}, by {pc:#x}: {why}")]
    Access {
        /// Address of the instruction.
        pc: u32,
        /// Kind of the access.
        access: memory::Access,
        /// Address that it wanted.
        address: u32,
        /// Number of bytes.
        size: u32,
        /// Reason.
        why: &'static str,
    },
    /// Something of the chip or its SDK that is not modelled, or is used wrongly.
    #[error("{what}, by {pc:#x}")]
    Other {
        /// Address of the instruction.
        pc: u32,
        /// The fault, in words.
        what: String,
    },
}
