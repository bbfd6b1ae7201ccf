//! The core: registers, special registers, exceptions, and the loop around the instructions.

use crate::Fault;
use crate::memory::{Access, Memory, Registers};

/// Request of an instruction to whoever runs the core.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Nothing.
    Next,
    /// It is `ill` (three zeros), which stands where there is no code: `pc` is at it.
    Ill,
    /// `waiti`: it sleeps until an interrupt above this level.
    Wait(u8),
    /// `simcall`: a call of the simulator, with arguments from `a2` on.
    Simcall,
}

/// Special registers, by their numbers.
mod special {
    pub(super) const SAR: u8 = 3;
    pub(super) const EPC1: u8 = 177;
    pub(super) const EXCSAVE1: u8 = 209;
    pub(super) const INTENABLE: u8 = 228;
    pub(super) const PS: u8 = 230;
    pub(super) const VECBASE: u8 = 231;
    pub(super) const EXCCAUSE: u8 = 232;
    pub(super) const CCOUNT: u8 = 234;
    pub(super) const EXCVADDR: u8 = 238;
    pub(super) const CCOMPARE0: u8 = 240;
}

/// EXCM of PS: an exception is being handled.
const EXCM: u32 = 1 << 4;
/// EXCCAUSE of an interrupt of level 1.
const LEVEL1: u32 = 4;
/// The user exception vector, from VECBASE.
const USER: u32 = 0x50;

/// The core and its memory.
pub struct Core {
    /// The sixteen address registers.
    pub a: [u32; 16],
    /// Address of the next instruction.
    pub pc: u32,
    /// The shift amount.
    pub(crate) sar: u32,
    /// The processor's state: levels and modes.
    pub ps: u32,
    epc1: u32,
    excsave1: u32,
    exccause: u32,
    excvaddr: u32,
    vecbase: u32,
    intenable: u32,
    /// The cycle counter. This model takes one cycle for each instruction; whoever runs it may add to it.
    pub ccount: u32,
    ccompare: u32,
    /// The memories.
    pub memory: Memory,
    /// The lowest value that the stack pointer had after an instruction; set it to begin anew.
    pub lowest_stack: u32,
}

impl Core {
    /// Makes a core that starts at `pc`, with these memories. Vectors are at 0x40000000.
    pub fn new(memory: Memory, pc: u32) -> Self {
        Self {
            a: [0; 16],
            pc,
            sar: 0,
            // After a reset: level 15, and an exception.
            ps: 0x1f,
            epc1: 0,
            excsave1: 0,
            exccause: 0,
            excvaddr: 0,
            vecbase: 0x4000_0000,
            intenable: 0,
            ccount: 0,
            ccompare: 0,
            memory,
            lowest_stack: u32::MAX,
        }
    }

    /// Carries out one instruction.
    ///
    /// # Errors
    /// Anything that the core does not have, or its memory does not allow. Nothing has changed then but `pc`'s
    /// past.
    pub fn step(&mut self, registers: &mut impl Registers) -> Result<Step, Fault> {
        let pc = self.pc;
        let bytes = (self.memory.fetch(pc)).map_err(|why| Fault::Access {
            pc,
            access: Access::Fetch,
            address: pc,
            size: 3,
            why,
        })?;
        let step = self.execute(bytes, registers)?;
        self.ccount = self.ccount.wrapping_add(1);
        self.lowest_stack = self.lowest_stack.min(self.a[1]);
        Ok(step)
    }

    pub(crate) fn load(
        &mut self,
        address: u32,
        size: u32,
        registers: &mut impl Registers,
    ) -> Result<u32, Fault> {
        let fault = |why| Fault::Access { pc: self.pc, access: Access::Load, address, size, why };
        if !address.is_multiple_of(size) {
            return Err(fault("it is not aligned"));
        }
        match self.memory.read(address, size) {
            Some(read) => read.map_err(fault),
            None if size != 4 => Err(fault("registers are words")),
            None => registers.read(address).ok_or(fault("nothing is there")),
        }
    }

    pub(crate) fn store(
        &mut self,
        address: u32,
        size: u32,
        value: u32,
        registers: &mut impl Registers,
    ) -> Result<(), Fault> {
        let fault = |why| Fault::Access { pc: self.pc, access: Access::Store, address, size, why };
        if !address.is_multiple_of(size) {
            return Err(fault("it is not aligned"));
        }
        match self.memory.write(address, size, value) {
            Some(written) => written.map_err(fault),
            None if size != 4 => Err(fault("registers are words")),
            None => registers.write(address, value).ok_or(fault("nothing is there")),
        }
    }

    pub(crate) fn special(&self, register: u8) -> Option<u32> {
        Some(match register {
            special::SAR => self.sar,
            special::EPC1 => self.epc1,
            special::EXCSAVE1 => self.excsave1,
            special::INTENABLE => self.intenable,
            special::PS => self.ps,
            special::VECBASE => self.vecbase,
            special::EXCCAUSE => self.exccause,
            special::CCOUNT => self.ccount,
            special::EXCVADDR => self.excvaddr,
            special::CCOMPARE0 => self.ccompare,
            _ => return None,
        })
    }

    pub(crate) fn set_special(&mut self, register: u8, value: u32) -> Option<()> {
        *match register {
            special::SAR => &mut self.sar,
            special::EPC1 => &mut self.epc1,
            special::EXCSAVE1 => &mut self.excsave1,
            special::INTENABLE => &mut self.intenable,
            special::PS => &mut self.ps,
            special::VECBASE => &mut self.vecbase,
            special::EXCCAUSE => &mut self.exccause,
            special::CCOUNT => &mut self.ccount,
            special::EXCVADDR => &mut self.excvaddr,
            special::CCOMPARE0 => &mut self.ccompare,
            _ => return None,
        } = value;
        Some(())
    }

    /// Lets time pass until the timer's interrupt comes, and takes it: the end of [`Step::Wait`].
    pub fn timer_interrupt(&mut self) {
        self.ccount = self.ccompare;
        self.epc1 = self.pc;
        self.exccause = LEVEL1;
        self.ps |= EXCM;
        self.pc = self.vecbase.wrapping_add(USER);
    }

    /// Carries out `rfe`.
    pub(crate) fn return_from_exception(&mut self) {
        self.ps &= !EXCM;
        self.pc = self.epc1;
    }

    /// Carries out `waiti` and `rsil`: sets the level, and returns what PS was.
    pub(crate) fn set_level(&mut self, level: u8) -> u32 {
        let old = self.ps;
        self.ps = self.ps & !0xf | u32::from(level);
        old
    }
}
