//! An STM32F405, or another STM32 that we have a map of, behind its USB bootloader or a debug probe.
//!
//! A [`Chip`] is what stays when a cable is pulled: its flash. A [`Bootloader`] or a [`Debugger`] is one
//! connection with it, and counts its transfers, so that a test can let any of them go wrong. A [`Desk`]
//! is a USB with such devices, which a test can plug in while somebody waits.

mod bootloader;
mod chip;
mod debugger;
mod desk;

pub use bootloader::{Address, Bootloader};
pub use chip::{Chip, SECTORS, START};
pub use debugger::Debugger;
pub use desk::{Desk, Opens};

/// A fault at the transfer whose number a test names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The cable comes off during the transfer; the chip's operation stops halfway.
    Vanish,
    /// The device refuses.
    Stall,
    /// The device does not answer. It has not got the request either.
    Timeout,
    /// The answer is wrong: too short, or other bytes.
    Garbage,
}

/// Counts transfers, and says when one is to go wrong.
#[derive(Debug, Clone, Default)]
struct Faults {
    transfers: usize,
    fault: Option<(usize, Fault)>,
    gone: bool,
}

impl Faults {
    fn next(&mut self) -> Option<Fault> {
        let number = self.transfers;
        self.transfers += 1;
        if self.gone {
            return Some(Fault::Vanish);
        }
        let fault = self.fault.filter(|(at, _)| *at == number).map(|(_, fault)| fault);
        self.gone = fault == Some(Fault::Vanish);
        fault
    }
}
