//! Peripherals of the core: NVIC, SysTick and the address of the vector table (PM0214 §4.3 to §4.5).

use std::collections::{BTreeSet, HashMap};

/// The exception number of SysTick.
pub const SYSTICK: u32 = 15;
/// The exception number of interrupt 0.
const FIRST: u32 = 16;

/// Offsets within the system control space.
const CSR: u64 = 0x010;
const LOAD: u64 = 0x014;
const ICSR: u64 = 0xd04;
const VTOR: u64 = 0xd08;
const AIRCR: u64 = 0xd0c;

/// The registers from 0xe000e000 on.
#[derive(Default)]
pub struct System {
    /// Registers without behaviour, by offset.
    plain: HashMap<u64, u32>,
    enabled: [u32; 4],
    pended: BTreeSet<u32>,
    vtor: u32,
    systick: SysTick,
    /// The program has asked for a reset.
    pub reset_asked: bool,
}

#[derive(Default)]
struct SysTick {
    csr: u32,
    load: u32,
    /// The length of a cycle of the core.
    cycle: u64,
    pending: bool,
    /// The cycle at which it reaches 0 next.
    at: u64,
}

impl SysTick {
    fn period(&self) -> u64 {
        (u64::from(self.load) + 1) * self.cycle.max(1)
    }

    fn raises(&self) -> bool {
        self.csr & 3 == 3
    }

    fn update(&mut self, cycles: u64) {
        if self.raises() && cycles >= self.at {
            self.pending = true;
            self.at = cycles + self.period();
        }
    }
}

impl System {
    /// Sets the length of a cycle of the core.
    pub(crate) fn set_cycle(&mut self, ticks: u64) {
        self.systick.cycle = ticks;
    }

    /// Address of the vector table; 0 until a program has set it.
    pub fn vector_table(&self) -> u64 {
        u64::from(self.vtor)
    }

    /// Returns true if an interrupt is enabled, or waits.
    pub fn knows(&self, interrupt: u32) -> bool {
        self.is_enabled(interrupt) || self.pended.contains(&interrupt)
    }

    fn is_enabled(&self, interrupt: u32) -> bool {
        self.enabled[interrupt as usize / 32] & 1 << (interrupt % 32) != 0
    }

    /// Lets an interrupt wait from now on, whether it is enabled or not.
    pub fn pend(&mut self, interrupt: u32) {
        self.pended.insert(interrupt);
    }

    /// Returns the number of the exception to take next; `raised` are the interrupts whose lines are
    /// active.
    pub fn exception(&mut self, raised: impl Iterator<Item = u32>, cycles: u64) -> Option<u32> {
        self.systick.update(cycles);
        if self.systick.pending {
            return Some(SYSTICK);
        }
        let all = raised.chain(self.pended.iter().copied());
        all.filter(|&interrupt| self.is_enabled(interrupt)).min().map(|n| n + FIRST)
    }

    /// Takes an exception.
    pub fn taken(&mut self, exception: u32) {
        if exception == SYSTICK {
            self.systick.pending = false;
        } else {
            self.pended.remove(&(exception - FIRST));
        }
    }

    /// Returns the cycle at which something happens by itself.
    pub fn next_at(&self) -> Option<u64> {
        Some(self.systick.at).filter(|_| self.systick.raises())
    }

    /// Reads a register, as the program does.
    pub fn read(&self, address: u64) -> u32 {
        match address & 0xfff {
            CSR => self.systick.csr,
            LOAD => self.systick.load,
            VTOR => self.vtor,
            // ISER and ICER.
            0x100..=0x10c | 0x180..=0x18c => self.enabled[(address as usize & 0xf) / 4],
            0x200..=0x20c | 0x280..=0x28c => {
                let word = (address as u32 & 0xf) / 4;
                let bits = self.pended.iter().filter(|&&n| n / 32 == word);
                bits.fold(0, |bits, n| bits | 1 << (n % 32))
            }
            offset => self.plain.get(&offset).copied().unwrap_or(0),
        }
    }

    /// Writes a register, as the program does.
    pub fn write(&mut self, address: u64, value: u32, cycles: u64) {
        let word = (address as usize & 0xf) / 4;
        let bits = (0..32).filter(|n| value & 1 << n != 0).map(|n| word as u32 * 32 + n);
        match address & 0xfff {
            CSR => {
                if value & 1 != 0 && self.systick.csr & 1 == 0 {
                    self.systick.at = cycles + self.systick.period();
                }
                self.systick.csr = value & 7;
            }
            LOAD => self.systick.load = value & 0xff_ffff,
            // PENDSTSET and PENDSTCLR.
            ICSR if value & 1 << 26 != 0 => self.systick.pending = true,
            ICSR if value & 1 << 25 != 0 => self.systick.pending = false,
            VTOR => self.vtor = value & !0x7f,
            0x100..=0x108 => self.enabled[word] |= value,
            0x180..=0x188 => self.enabled[word] &= !value,
            0x200..=0x208 => self.pended.extend(bits),
            0x280..=0x288 => bits.for_each(|n| _ = self.pended.remove(&n)),
            // SYSRESETREQ with its key.
            AIRCR if value >> 16 == 0x05fa && value & 4 != 0 => self.reset_asked = true,
            offset => _ = self.plain.insert(offset, value),
        }
    }
}
