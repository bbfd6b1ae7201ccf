//! The instructions of the lx106: the core of the Xtensa architecture, 16-bit code, `mull`, `mul16`, `nsa`; no loops,
//! no windows, no division, no `min` and `max`.
//!
//! The names of the fields are those of the manual: `op0` bits 0–3, `t` 4–7, `s` 8–11, `r` 12–15, `op1` 16–19, `op2` 20–23.

use crate::Fault;
use crate::core::{Core, Step};
use crate::memory::Registers;

const B4CONST: [i32; 16] = [-1, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 16, 32, 64, 128, 256];
const B4CONSTU: [u32; 16] = [32768, 65536, 2, 3, 4, 5, 6, 7, 8, 10, 12, 16, 32, 64, 128, 256];

/// Extends the sign of the lowest `bits`.
fn signed(value: u32, bits: u32) -> u32 {
    let shift = 32 - bits;
    ((value << shift) as i32 >> shift) as u32
}

/// An instruction, in its fields.
struct Fields {
    op0: u8,
    t: usize,
    s: usize,
    r: usize,
    op1: u8,
    op2: u8,
    /// All 24 bits.
    word: u32,
}

impl Fields {
    fn new(bytes: [u8; 3]) -> Self {
        let [b0, b1, b2] = bytes;
        Self {
            op0: b0 & 15,
            t: usize::from(b0 >> 4),
            s: usize::from(b1 & 15),
            r: usize::from(b1 >> 4),
            op1: b2 & 15,
            op2: b2 >> 4,
            word: u32::from_le_bytes([b0, b1, b2, 0]),
        }
    }

    fn imm8(&self) -> u32 {
        self.word >> 16
    }

    /// Returns the offset of calls and jumps.
    fn offset18(&self) -> u32 {
        signed(self.word >> 6, 18)
    }
}

impl Core {
    /// Carries out the instruction at `pc`, and moves on.
    pub(crate) fn execute(
        &mut self,
        bytes: [u8; 3],
        registers: &mut impl Registers,
    ) -> Result<Step, Fault> {
        let pc = self.pc;
        let f = Fields::new(bytes);
        let unknown = Fault::Instruction { pc, bytes };
        let mut next = pc.wrapping_add(if (8..14).contains(&f.op0) { 2 } else { 3 });
        match f.op0 {
            0 if f.op1 == 0 && f.op2 == 0 => return self.special_group(&f, next, unknown),
            0 => self.arithmetic(&f).unwrap_or(Err(unknown))?,
            // L32R: the offset is negative.
            1 => {
                let offset = (f.word >> 8 | 0xffff_0000) << 2;
                self.a[f.t] = self.load((next & !3).wrapping_add(offset), 4, registers)?;
            }
            2 => self.memory_group(&f, registers).unwrap_or(Err(unknown))?,
            // CALL0
            5 if f.t & 3 == 0 => {
                self.a[0] = next;
                next = (pc & !3).wrapping_add(4).wrapping_add(f.offset18() << 2);
            }
            6 => {
                if let Some(offset) = self.immediate_branch(&f).ok_or(unknown)? {
                    next = pc.wrapping_add(4).wrapping_add(offset);
                }
            }
            7 => {
                if self.branches(&f) {
                    next = pc.wrapping_add(4).wrapping_add(signed(f.imm8(), 8));
                }
            }
            8 => {
                let address = self.a[f.s].wrapping_add(f.r as u32 * 4);
                self.a[f.t] = self.load(address, 4, registers)?;
            }
            9 => {
                let address = self.a[f.s].wrapping_add(f.r as u32 * 4);
                self.store(address, 4, self.a[f.t], registers)?;
            }
            10 => self.a[f.r] = self.a[f.s].wrapping_add(self.a[f.t]),
            11 => {
                let add = if f.t == 0 { u32::MAX } else { f.t as u32 };
                self.a[f.r] = self.a[f.s].wrapping_add(add);
            }
            // BEQZ.N, BNEZ.N
            12 if f.t & 8 != 0 => {
                if (self.a[f.s] == 0) != (f.t & 4 != 0) {
                    next = pc.wrapping_add(4 + ((f.t as u32 & 3) << 4 | f.r as u32));
                }
            }
            // MOVI.N: -32 to 95
            12 => {
                let value = (f.t as u32 & 7) << 4 | f.r as u32;
                self.a[f.s] = if value >= 96 { value.wrapping_sub(128) } else { value };
            }
            13 if f.r == 0 => self.a[f.t] = self.a[f.s],
            // RET.N, NOP.N
            13 if f.r == 15 && f.s == 0 && f.t == 0 => next = self.a[0],
            13 if f.r == 15 && f.s == 0 && f.t == 3 => {}
            _ => return Err(unknown),
        }
        self.pc = next;
        Ok(Step::Next)
    }

    /// ST0: calls and returns by register, synchronisation, interrupts.
    fn special_group(&mut self, f: &Fields, mut next: u32, unknown: Fault) -> Result<Step, Fault> {
        let mut step = Step::Next;
        match (f.r, f.s, f.t) {
            // `pc` stays.
            (0, 0, 0) => return Ok(Step::Ill),
            // RET
            (0, 0, 8) => next = self.a[0],
            // JX
            (0, s, 10) => next = self.a[s],
            // CALLX0
            (0, s, 12) => {
                let target = self.a[s];
                self.a[0] = next;
                next = target;
            }
            // ISYNC, RSYNC, ESYNC, DSYNC, EXCW, MEMW, EXTW, NOP: there is nothing to wait for.
            (2, 0, 0..=3 | 8 | 12 | 13 | 15) => {}
            (3, 0, 0) => {
                self.return_from_exception();
                return Ok(step);
            }
            // SIMCALL
            (5, 1, 0) => step = Step::Simcall,
            // RSIL
            (6, level, t) => self.a[t] = self.set_level(level as u8),
            (7, level, 0) => {
                self.set_level(level as u8);
                step = Step::Wait(level as u8);
            }
            _ => return Err(unknown),
        }
        self.pc = next;
        Ok(step)
    }

    /// The rest of QRST. `None` if it is not known.
    fn arithmetic(&mut self, f: &Fields) -> Option<Result<(), Fault>> {
        let (s, t) = (self.a[f.s], self.a[f.t]);
        let (low, high) = (f.s as u32, f.t as u32);
        let result = match (f.op1, f.op2) {
            (0, 1) => s & t,
            (0, 2) => s | t,
            (0, 3) => s ^ t,
            (0, 4) => return self.shift_amount(f),
            (0, 6) if f.s == 0 => t.wrapping_neg(),
            (0, 6) if f.s == 1 => (t as i32).wrapping_abs() as u32,
            // ADD, ADDX2, ADDX4, ADDX8, SUB, …
            (0, op2 @ 8..=11) => (s << (op2 - 8)).wrapping_add(t),
            (0, op2 @ 12..=15) => (s << (op2 - 12)).wrapping_sub(t),
            // SLLI by 1 to 31
            (1, op2 @ 0..=1) => s.checked_shl(32 - (high | u32::from(op2) << 4))?,
            // SRAI, SRLI
            (1, op2 @ 2..=3) => (t as i32 >> (low | (u32::from(op2) & 1) << 4)) as u32,
            (1, 4) => t >> low,
            (1, 6) => return Some(self.exchange_special(f)),
            // SRC, SRL, SLL, SRA
            (1, 8) => ((u64::from(s) << 32 | u64::from(t)) >> self.sar) as u32,
            (1, 9) => t.checked_shr(self.sar).unwrap_or(0),
            (1, 10) => ((u64::from(s) << 32) >> self.sar) as u32,
            (1, 11) => (t as i32 >> self.sar.min(31)) as u32,
            (1, 12) => (s & 0xffff) * (t & 0xffff),
            (1, 13) => i32::from(s as i16).wrapping_mul(i32::from(t as i16)) as u32,
            (2, 8) => s.wrapping_mul(t),
            // RSR, WSR
            (3, 0) => match self.special(special_register(f)) {
                Some(value) => {
                    self.a[f.t] = value;
                    return Some(Ok(()));
                }
                None => return Some(Err(self.unknown_register(f))),
            },
            (3, 1) => {
                let known = self.set_special(special_register(f), t);
                return Some(known.ok_or_else(|| self.unknown_register(f)));
            }
            // MOVEQZ, MOVNEZ, MOVLTZ, MOVGEZ
            (3, op2 @ 8..=11) => {
                let moves = match op2 {
                    8 => t == 0,
                    9 => t != 0,
                    10 => (t as i32) < 0,
                    _ => t as i32 >= 0,
                };
                if moves { s } else { self.a[f.r] }
            }
            // EXTUI
            (op1 @ 4..=5, bits) => (t >> (low | (u32::from(op1) & 1) << 4)) & ((2 << bits) - 1),
            _ => return None,
        };
        self.a[f.r] = result;
        Some(Ok(()))
    }

    /// ST1: the shift amount; and the number of sign bits.
    fn shift_amount(&mut self, f: &Fields) -> Option<Result<(), Fault>> {
        let s = self.a[f.s];
        match (f.r, f.t) {
            (0, 0) => self.sar = s & 31,
            (1, 0) => self.sar = 32 - (s & 31),
            (2, 0) => self.sar = (s & 3) * 8,
            (3, 0) => self.sar = 32 - (s & 3) * 8,
            (4, 0..=1) => self.sar = f.s as u32 | (f.t as u32) << 4,
            // NSA, NSAU
            (14, t) => self.a[t] = (s ^ (s as i32 >> 31) as u32).leading_zeros() - 1,
            (15, t) => self.a[t] = s.leading_zeros(),
            _ => return None,
        }
        Some(Ok(()))
    }

    fn unknown_register(&self, f: &Fields) -> Fault {
        Fault::Register { pc: self.pc, register: special_register(f) }
    }

    /// XSR
    fn exchange_special(&mut self, f: &Fields) -> Result<(), Fault> {
        let register = special_register(f);
        let old = self.special(register).ok_or_else(|| self.unknown_register(f))?;
        let known = self.set_special(register, self.a[f.t]);
        known.ok_or_else(|| self.unknown_register(f))?;
        self.a[f.t] = old;
        Ok(())
    }

    /// LSAI: loads and stores with an offset; immediates. `None` if it is not known.
    fn memory_group(
        &mut self,
        f: &Fields,
        registers: &mut impl Registers,
    ) -> Option<Result<(), Fault>> {
        let (imm8, base) = (f.imm8(), self.a[f.s]);
        let at = |size: u32| base.wrapping_add(imm8 * size);
        let loaded = match f.r {
            0 => self.load(at(1), 1, registers),
            1 => self.load(at(2), 2, registers),
            2 => self.load(at(4), 4, registers),
            4 => return Some(self.store(at(1), 1, self.a[f.t], registers)),
            5 => return Some(self.store(at(2), 2, self.a[f.t], registers)),
            6 => return Some(self.store(at(4), 4, self.a[f.t], registers)),
            9 => self.load(at(2), 2, registers).map(|half| signed(half, 16)),
            // MOVI, ADDI, ADDMI
            10 => Ok(signed((f.s as u32) << 8 | imm8, 12)),
            12 => Ok(base.wrapping_add(signed(imm8, 8))),
            13 => Ok(base.wrapping_add(signed(imm8, 8) << 8)),
            _ => return None,
        };
        Some(loaded.map(|value| self.a[f.t] = value))
    }

    /// SI: the jump, and branches that compare with zero or a constant. Returns the offset of one that is
    /// taken; the outer `None` if it is not known.
    fn immediate_branch(&self, f: &Fields) -> Option<Option<u32>> {
        let (kind, m) = (f.t & 3, f.t >> 2);
        let value = self.a[f.s];
        let compare = |other: i32| match m {
            0 => value as i32 == other,
            1 => value as i32 != other,
            2 => (value as i32) < other,
            _ => value as i32 >= other,
        };
        let (taken, offset) = match (kind, m) {
            (0, _) => (true, f.offset18()),
            (1, _) => (compare(0), signed(f.word >> 12, 12)),
            (2, _) => (compare(B4CONST[f.r]), signed(f.imm8(), 8)),
            // BLTUI, BGEUI
            (3, 2) => (value < B4CONSTU[f.r], signed(f.imm8(), 8)),
            (3, 3) => (value >= B4CONSTU[f.r], signed(f.imm8(), 8)),
            _ => return None,
        };
        Some(taken.then_some(offset))
    }

    /// B: branches that compare two registers, or test a bit.
    fn branches(&self, f: &Fields) -> bool {
        let (s, t) = (self.a[f.s], self.a[f.t]);
        let taken = match f.r & 7 {
            0 => s & t == 0,
            1 => s == t,
            2 => (s as i32) < t as i32,
            3 => s < t,
            4 => !s & t == 0,
            5 => s >> (t & 31) & 1 == 0,
            _ => s >> (f.t as u32 | (f.r as u32 & 1) << 4) & 1 == 0,
        };
        taken != (f.r & 8 != 0)
    }
}

fn special_register(f: &Fields) -> u8 {
    (f.r << 4 | f.s) as u8
}
