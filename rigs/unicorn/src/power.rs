//! The power controller (RM0090, RM0383, RM0390, each §5.4): voltage scaling, and overdrive of the STM32F446.

use crate::board::Board;

const CR: u64 = 0x00;
const CSR: u64 = 0x04;

/// VOS begins here.
const VOS: u32 = 14;
/// ODEN and ODSWEN; each has its ready bit at the same place of CSR.
const OVERDRIVE: u32 = 3 << 16;
/// VOSRDY.
const READY: u32 = 1 << 14;

/// The power controller.
#[derive(Debug)]
pub(crate) struct Power {
    board: &'static Board,
    cr: u32,
}

impl Power {
    pub(crate) fn of(board: &'static Board) -> Self {
        Self { board, cr: board.regulator.vos << VOS }
    }

    /// Returns the fastest clock of the core, in kHz.
    pub(crate) fn limit(&self) -> u64 {
        let regulator = self.board.regulator;
        regulator.limits[(self.cr >> VOS & regulator.mask) as usize]
    }

    /// Reads a register, as the program does.
    pub(crate) fn read(&self, register: u64) -> u32 {
        match register {
            CR => self.cr,
            CSR => READY | self.cr & OVERDRIVE,
            _ => 0,
        }
    }

    /// Writes a register, as the program does. VOS does not change while the PLL is on, but on an STM32F405.
    pub(crate) fn write(&mut self, register: u64, value: u32, pll_on: bool) {
        let vos = self.board.regulator.mask << VOS;
        match register {
            CR if pll_on && self.board.regulator.mask != 1 => {
                self.cr = value & !vos | self.cr & vos
            }
            CR => self.cr = value,
            _ => {}
        }
    }
}
