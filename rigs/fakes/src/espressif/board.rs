//! A board with one of Espressif's chips.

use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::fault::{Fault, Faults};
use super::flash::Flash;
use super::uart::Uart;
use crate::pty::Pty;

/// The program that runs on a chip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Running {
    /// Held in reset.
    Reset,
    /// The loader in ROM.
    Rom,
    /// A loader that was put into RAM.
    Stub,
    /// The program in flash.
    Program,
    /// Nothing that could be started.
    Nothing,
}

/// The parts that all chips have.
#[derive(Debug)]
pub struct Core {
    pub(crate) uart: Uart,
    pub(crate) flash: Flash,
    pub(crate) running: Running,
    /// The pins of the flash are the SPI controller's.
    pub(crate) attached: bool,
}

impl Core {
    /// Makes those of a board with this much flash, in bytes, and these faults.
    pub(crate) fn new(flash_size: usize, faults: Vec<Fault>) -> Self {
        Self {
            uart: Uart::new(faults),
            flash: Flash::used(flash_size),
            running: Running::Reset,
            attached: false,
        }
    }
}

/// A chip.
pub trait Chip: Debug + Send + 'static {
    /// Returns the parts that all chips have.
    fn core(&mut self) -> &mut Core;

    /// Takes bytes from the other end, sent at this speed in baud. None at all: time passes.
    fn feed(&mut self, bytes: &[u8], host_baud: u32);

    /// Starts anew: the loader, or the program.
    fn reset(&mut self, loader: bool);

    /// Returns true if a program would start after a reset.
    fn would_start(&mut self) -> bool;
}

/// A board, in its loader, with old bytes all over its flash. Copies are the same board.
#[derive(Debug)]
pub struct Board<C> {
    chip: Arc<Mutex<C>>,
}

impl<C> Clone for Board<C> {
    fn clone(&self) -> Self {
        Self { chip: self.chip.clone() }
    }
}

impl<C: Chip> Board<C> {
    pub(crate) fn of(chip: C) -> Self {
        Self { chip: Arc::new(Mutex::new(chip)) }
    }

    pub(crate) fn chip(&self) -> MutexGuard<'_, C> {
        self.chip.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns a pseudo-terminal to it.
    ///
    /// # Panics
    /// If the system has none.
    pub fn pty(&self) -> Pty {
        let board = self.clone();
        Pty::new(Box::new(move |bytes, baud| {
            let mut chip = board.chip();
            chip.core().uart.host_baud = baud;
            chip.feed(bytes, baud);
            let uart = &mut chip.core().uart;
            (!uart.gone).then(|| std::mem::take(&mut uart.output))
        }))
    }

    /// Returns the content of its flash.
    pub fn flash(&self) -> Vec<u8> {
        self.chip().core().flash.bytes().to_vec()
    }

    /// Returns the number of erasures of each sector of 4096 bytes.
    pub fn erased(&self) -> Vec<u32> {
        self.chip().core().flash.erased().to_vec()
    }

    /// Returns the program that runs on it.
    pub fn running(&self) -> Running {
        self.chip().core().running
    }

    /// Returns the number of data blocks that have come.
    pub fn blocks(&self) -> u32 {
        self.chip().core().uart.faults.blocks
    }

    /// From now on, these bits of a byte of flash are 0.
    pub fn wear_out(&self, address: usize, bits: u8) {
        self.chip().core().flash.wear_out(address, bits);
    }

    /// From now on, this fault, with blocks and answers counted from here.
    pub fn fail(&self, fault: Fault) {
        self.chip().core().uart.faults = Faults { list: vec![fault], ..Faults::default() };
    }

    /// Takes away all faults, and plugs the cable in again; the chip is reset into its loader.
    pub fn repair(&self) {
        let mut chip = self.chip();
        let uart = &mut chip.core().uart;
        uart.faults.list.clear();
        uart.gone = false;
        uart.output.clear();
        chip.reset(true);
    }

    /// Returns true if a program would start after a reset.
    pub fn would_start(&self) -> bool {
        self.chip().would_start()
    }
}
