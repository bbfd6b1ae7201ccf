//! QEMU's machine `sim` with this core: an image that speaks to its harness by calls of the simulator. Used to compare
//! the interpreter with QEMU, by the same image and the same questions.

use std::collections::VecDeque;

use crate::Fault;
use crate::core::{Core, Step};
use crate::elf::Elf;
use crate::memory::{Kind, Memory};

/// Numbers of the calls: QEMU, `target/xtensa/xtensa-semi.c`.
const READ: u32 = 3;
const WRITE: u32 = 4;

/// Instructions after which an image that says nothing has hung.
const LIMIT: u64 = 500_000_000;

/// A core with a console.
pub struct Simulator {
    core: Core,
    /// Bytes that the image has not read yet.
    pub input: VecDeque<u8>,
    /// Bytes that the image has written.
    pub output: Vec<u8>,
}

impl Simulator {
    /// Loads an image. Its vectors, code and data are where QEMU has memory, which has no rules.
    pub fn new(elf: &Elf) -> Self {
        let mut memory = Memory::default();
        memory.add(0x3ffe_8000, 0x1_4000, Kind::Data);
        memory.add(0x4000_0000, 0x400, Kind::Rom);
        memory.add(0x4020_0000, 0x10_0000, Kind::Flash);
        memory.add(0x5000_0000, 0x100, Kind::Rom);
        for segment in &elf.segments {
            assert!(memory.load(segment.address, &segment.bytes), "{:#x}", segment.address);
        }
        let core = Core::new(memory, elf.entry);
        Self { core, input: VecDeque::new(), output: Vec::new() }
    }

    /// Runs until `done`, which is asked after each output.
    ///
    /// # Errors
    /// Anything that the core does not do; an image that ends, or says nothing for long.
    pub fn run(&mut self, mut done: impl FnMut(&mut Vec<u8>) -> bool) -> Result<(), Fault> {
        for _ in 0..LIMIT {
            match self.core.step(&mut ())? {
                Step::Next => {}
                Step::Wait(_) => self.core.timer_interrupt(),
                Step::Simcall => {
                    if self.call()? && done(&mut self.output) {
                        return Ok(());
                    }
                }
                Step::Ill => return Err(self.fault("an instruction of zeros")),
            }
        }
        Err(self.fault("it says nothing"))
    }

    fn fault(&self, what: impl Into<String>) -> Fault {
        Fault::Other { pc: self.core.pc, what: what.into() }
    }

    /// Carries out a call. Returns true if there is output.
    fn call(&mut self) -> Result<bool, Fault> {
        let [number, _, at, len] = [2, 3, 4, 5].map(|n| self.core.a[n]);
        match number {
            READ => {
                let count = self.input.len().min(len as usize);
                let bytes: Vec<u8> = self.input.drain(..count).collect();
                if !self.core.memory.load(at, &bytes) {
                    return Err(self.fault("reads to where no memory is"));
                }
                self.core.a[2] = count as u32;
                Ok(false)
            }
            WRITE => {
                let bytes = self.core.memory.bytes(at, len);
                let bytes = bytes.ok_or_else(|| self.fault("writes what is not there"))?;
                self.output.extend_from_slice(bytes);
                self.core.a[2] = len;
                Ok(true)
            }
            number => Err(self.fault(format!("call {number} of the simulator"))),
        }
    }
}
