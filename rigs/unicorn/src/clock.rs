//! Reset and clock control (RM0090 §7), and the wait states of the flash (§3.5.1). What the manual does not allow, and
//! what is not known here, is a fault of the program.

use std::collections::HashMap;

use crate::board::{Board, DCKCFGR, PYBOARD};
use crate::power::Power;

/// Ticks a µs: a number of which the periods of all clocks (16, 42, 60, 80, 84 MHz, …) are whole parts.
pub const MHZ: u64 = 1680;

/// Frequency of the internal oscillator, in kHz.
const HSI: u64 = 16_000;

const CR: u64 = 0x00;
const PLLCFGR: u64 = 0x04;
const CFGR: u64 = 0x08;
/// Registers that are what was written: CIR; resets, enables, low power enables; BDCR and CSR, which have ready bits;
/// SSCGR, PLLI2SCFGR.
const PLAIN: [u64; 19] = [
    0x0c, 0x10, 0x14, 0x18, 0x20, 0x24, 0x30, 0x34, 0x38, 0x40, 0x44, 0x50, 0x54, 0x58, 0x60, 0x64,
    0x80, 0x84, 0x70,
];
const CSR: u64 = 0x74;
/// Flags of CSR, of the causes of resets; RMVF clears them.
const CAUSES: u32 = 0x7f << 25;
const RMVF: u32 = 1 << 24;

/// The cause of a reset of the chip, as the flags that it sets in CSR (§7.3.21).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Cause {
    /// The power was gone: POR and BOR, and the pin.
    Power = 0x0e00_0000,
    /// The reset pin.
    Pin = 0x0400_0000,
    /// The program has asked for it. This drives the pin, too.
    Software = 0x1400_0000,
    /// The independent watchdog. This drives the pin, too.
    Watchdog = 0x2400_0000,
}

const PLL_ON: u32 = 1 << 24;
/// HSION, HSEON, PLLON, PLLI2SON, PLLSAION; each has its ready bit above it.
const ON: u32 = 0x1501_0001;

/// Frequencies in kHz.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frequencies {
    /// Of the core and the buses.
    pub core: u64,
    /// Of APB1.
    pub apb1: u64,
    /// Of the timers on APB1.
    pub timers: u64,
    /// For USB and the random number generator, if the PLL makes it.
    pub pll48: Option<u64>,
}

impl Frequencies {
    const RESET: Self = Self { core: HSI, apb1: HSI, timers: HSI, pll48: None };

    /// Returns the length of one period in ticks.
    fn ticks(khz: u64) -> u64 {
        MHZ * 1000 / khz
    }
}

/// The clocks.
pub struct Clock {
    board: &'static Board,
    /// The power controller.
    pub(crate) power: Power,
    cr: u32,
    pllcfgr: u32,
    cfgr: u32,
    latency: u32,
    plain: HashMap<u64, u32>,
    /// Flags of CSR, which only a loss of power clears, or the program.
    causes: u32,
    now: Frequencies,
    /// The length of a cycle of the core, in ticks.
    pub core: u64,
    /// The first thing that the program did and the manual does not allow.
    pub fault: Option<String>,
}

impl Default for Clock {
    fn default() -> Self {
        Self::of(&PYBOARD)
    }
}

impl Clock {
    /// Returns the clocks of a board after a reset.
    pub fn of(board: &'static Board) -> Self {
        Self {
            board,
            power: Power::of(board),
            cr: 0x83,
            pllcfgr: 0x2400_3010,
            cfgr: 0,
            latency: 0,
            plain: HashMap::new(),
            causes: 0,
            now: Frequencies::RESET,
            core: Frequencies::ticks(HSI),
            fault: None,
        }
    }

    /// Returns the clocks after a reset of the chip that had these.
    pub(crate) fn after(&self, cause: Cause) -> Self {
        let before = if cause == Cause::Power { 0 } else { self.causes };
        Self { causes: before | cause as u32, ..Self::of(self.board) }
    }

    /// Returns the frequencies.
    pub fn frequencies(&self) -> Frequencies {
        self.now
    }

    /// Returns the length of a cycle of APB1, in ticks.
    pub fn apb1(&self) -> u64 {
        Frequencies::ticks(self.now.apb1)
    }

    /// Returns the length of a cycle of the timers, in ticks.
    pub fn timers(&self) -> u64 {
        Frequencies::ticks(self.now.timers)
    }

    /// Sets what the boot loader leaves: 60 MHz from the crystal.
    pub(crate) fn leave_rom(&mut self) {
        self.latency = 2;
        let mhz = (self.board.crystal / 1000) as u32;
        for (register, value) in [
            (CR, self.cr | 1 << 16),
            // 1 MHz × 240 / 4; 48 MHz.
            (PLLCFGR, 5 << 24 | 1 << 22 | 1 << 16 | 240 << 6 | mhz),
            (CR, self.cr | 1 << 16 | PLL_ON),
            (CFGR, 4 << 10 | 2),
        ] {
            self.write(register, value);
        }
        assert_eq!((self.fault.take(), self.now.core), (None, 60_000));
    }

    fn refuse(&mut self, what: impl Into<String>) {
        self.fault.get_or_insert(format!("clocks: {}", what.into()));
    }

    /// Reads a register.
    pub(crate) fn read(&mut self, register: u64) -> u32 {
        match register {
            CR => self.cr | (self.cr & ON) << 1,
            PLLCFGR => self.pllcfgr,
            CFGR => self.cfgr | (self.cfgr & 3) << 2,
            0x70 | CSR => {
                let value = self.register(register);
                let causes = if register == CSR { self.causes } else { 0 };
                value | (value & 1) << 1 | causes
            }
            _ if self.has(register) => self.register(register),
            DCKCFGR => 0,
            _ => {
                self.refuse(format!("reads the register at {register:#x}, which is not known"));
                0
            }
        }
    }

    /// Returns what was written to a register without behaviour.
    pub(crate) fn register(&self, register: u64) -> u32 {
        self.plain.get(&register).copied().unwrap_or(0)
    }

    /// Writes a register.
    pub(crate) fn write(&mut self, register: u64, value: u32) {
        match register {
            CR => {
                let before = std::mem::replace(&mut self.cr, value & !(ON << 1));
                // One that nothing uses may lose its source: the HAL switches the crystal off first, then the PLL
                // that the boot loader has left.
                let starts = before & PLL_ON == 0;
                if self.cr & PLL_ON != 0 && (starts || self.cfgr & 3 == 2) {
                    self.check_pll();
                }
                self.switch();
            }
            // §7.3.2: written only while the PLL is off.
            PLLCFGR if self.cr & PLL_ON != 0 && value != self.pllcfgr => {
                self.refuse("the PLL is changed while it runs");
            }
            PLLCFGR => self.pllcfgr = value,
            CFGR => {
                self.cfgr = value & !0xc;
                self.switch();
            }
            CSR => {
                if value & RMVF != 0 {
                    self.causes = 0;
                }
                self.plain.insert(register, value & !(CAUSES | RMVF));
            }
            _ if self.has(register) => _ = self.plain.insert(register, value),
            DCKCFGR if value == 0 => {}
            _ => {
                self.refuse(format!("writes the register at {register:#x}, which is not known"));
            }
        }
    }

    /// Returns true if the chip has this register, and it is what was written.
    fn has(&self, register: u64) -> bool {
        let of_all = PLAIN.contains(&register) && !self.board.less_rcc.contains(&register);
        of_all || self.board.more_rcc.contains(&register)
    }

    /// Writes a register of the power controller.
    pub(crate) fn write_power(&mut self, register: u64, value: u32) {
        self.power.write(register, value, self.cr & PLL_ON != 0);
        self.switch();
    }

    /// Sets the wait states of the flash.
    pub(crate) fn set_latency(&mut self, states: u32) {
        self.latency = states;
        self.switch();
    }

    /// Returns the dividers of the PLL: M, N, P, Q.
    fn dividers(&self) -> [u64; 4] {
        let bits = |at: u32, mask: u32| u64::from(self.pllcfgr >> at & mask);
        [bits(0, 0x3f), bits(6, 0x1ff), bits(16, 3) * 2 + 2, bits(24, 0xf)]
    }

    /// Returns the frequency of the PLL before its dividers P and Q.
    fn vco(&self) -> u64 {
        let [m, n, ..] = self.dividers();
        let source = if self.pllcfgr & 1 << 22 != 0 { self.board.crystal } else { HSI };
        source * n / m.max(1)
    }

    /// §7.3.2, and the data sheet's table of the PLL.
    fn check_pll(&mut self) {
        let [m, n, _, q] = self.dividers();
        let crystal = self.board.crystal;
        let (source, on) = if self.pllcfgr & 1 << 22 != 0 { (crystal, 1 << 16) } else { (HSI, 1) };
        let input = source / m.max(1);
        if self.cr & on == 0 {
            self.refuse("the PLL has no source");
        } else if m < 2 || !(50..=432).contains(&n) || q < 2 || !source.is_multiple_of(m) {
            self.refuse(format!("PLL dividers {:?}", self.dividers()));
        } else if !(950..=2_100).contains(&input) || !(100_000..=432_000).contains(&self.vco()) {
            self.refuse(format!("a PLL of {input} and {} kHz", self.vco()));
        } else if self.vco() / q > 48_000 {
            self.refuse(format!("{} kHz for USB", self.vco() / q));
        }
    }

    /// Computes what follows from the registers, and checks it.
    fn switch(&mut self) {
        let (source, on) = match self.cfgr & 3 {
            0 => (HSI, 1),
            1 => (self.board.crystal, 1 << 16),
            2 => (self.vco() / self.dividers()[2], PLL_ON),
            _ => return self.refuse("a source of the system clock that there is not"),
        };
        if self.cr & on == 0 {
            return self.refuse("the source of the system clock is off");
        }
        let divider = |at: u32, first: u32, mask: u32| {
            let bits = self.cfgr >> at & mask;
            if bits < first { 1 } else { 2_u64 << (bits - first) }
        };
        let ahb = match divider(4, 8, 0xf) {
            // There is no 32.
            n @ 32.. => 2 * n,
            n => n,
        };
        let (ppre1, ppre2) = (divider(10, 4, 7), divider(13, 4, 7));
        let core = source / ahb;
        let (apb1, apb2) = (core / ppre1, core / ppre2);
        let timers = if ppre1 == 1 { apb1 } else { 2 * apb1 };
        let pll48 = (self.cr & PLL_ON != 0).then(|| self.vco() / self.dividers()[3].max(1));
        self.now = Frequencies { core, apb1, timers, pll48 };
        self.core = Frequencies::ticks(core);
        let most = self.board.limits;
        // Table 10, at 2.7 to 3.6 V. The STM32F411 wants fewer above 30 MHz (RM0383, table 5), the F446 the same.
        if u64::from(self.latency) < (core - 1) / 30_000 {
            self.refuse(format!("{core} kHz with {} wait states", self.latency));
        } else if core > most[0] || apb1 > most[1] || apb2 > most[2] {
            self.refuse(format!("{core} kHz, APB1 {apb1}, APB2 {apb2}"));
        } else if core > self.power.limit() {
            self.refuse(format!("{core} kHz, with a voltage for {} kHz", self.power.limit()));
        } else if [core, apb1, timers].iter().any(|khz| !(MHZ * 1000).is_multiple_of(*khz)) {
            self.refuse(format!("{core} kHz, which this bench cannot count"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board::{BLACK_PILL, NUCLEO_F446};

    /// 84 MHz from the internal oscillator, and 48.
    const GOOD: u32 = 7 << 24 | 1 << 16 | 168 << 6 | 8;

    /// Writes these registers, with two wait states, and returns the fault.
    fn fault(writes: &[(u64, u32)]) -> Option<String> {
        fault_on(&PYBOARD, writes)
    }

    fn fault_on(board: &'static Board, writes: &[(u64, u32)]) -> Option<String> {
        let mut clock = Clock::of(board);
        clock.set_latency(2);
        writes.iter().for_each(|&(register, value)| clock.write(register, value));
        clock.fault
    }

    #[test]
    fn what_the_manual_does_not_allow_is_a_fault() {
        let on = (CR, 0x83 | PLL_ON);
        // APB1 by two.
        let switch = (CFGR, 4 << 10 | 2);
        assert_eq!(fault(&[(PLLCFGR, GOOD), on, switch]), None);
        for (what, writes) in [
            ("not known", vec![(0x88, 0)]),
            ("not known", vec![(DCKCFGR, 1)]),
            ("while it runs", vec![(PLLCFGR, GOOD), on, (PLLCFGR, GOOD + 1)]),
            ("is off", vec![(PLLCFGR, GOOD), switch]),
            ("no source", vec![(PLLCFGR, GOOD | 1 << 22), on]),
            ("dividers", vec![(PLLCFGR, GOOD & !0x3f), on]),
            ("for USB", vec![(PLLCFGR, GOOD - (2 << 24)), on]),
            // 16 MHz into the PLL, or 504 out of it.
            ("dividers", vec![(PLLCFGR, GOOD - 7), on]),
            ("a PLL of", vec![(PLLCFGR, GOOD + (84 << 6)), on]),
            ("APB1 84000", vec![(PLLCFGR, GOOD), on, (CFGR, 2)]),
            // 168 MHz.
            ("wait states", vec![(PLLCFGR, GOOD & !(3 << 16)), on, switch]),
        ] {
            let fault = fault(&writes).unwrap_or_default();
            assert!(fault.contains(what), "{what}: {fault}");
        }
    }

    #[test]
    fn each_chip_has_limits_of_its_own() {
        let (on, switch) = ((CR, 0x83 | PLL_ON), (CFGR, 4 << 10 | 2));
        for board in crate::board::ALL {
            assert_eq!(fault_on(board, &[(PLLCFGR, GOOD), on, switch]), None, "{}", board.map.chip);
        }
        // 96 MHz: 192 MHz / 2.
        let faster = (PLLCFGR, 4 << 24 | 96 << 6 | 8);
        let fault = |board, writes: &[(u64, u32)]| {
            let mut clock = Clock::of(board);
            clock.set_latency(5);
            writes.iter().for_each(|&(register, value)| clock.write(register, value));
            clock.fault.unwrap_or_default()
        };
        let fast = (PLLCFGR, 5 << 24 | 120 << 6 | 8);
        assert_eq!(fault(&NUCLEO_F446, &[fast, on, (CFGR, 5 << 10 | 4 << 13 | 2)]), "");
        assert!(fault(&BLACK_PILL, &[fast, on, (CFGR, 5 << 10 | 4 << 13 | 2)]).contains("120000"));
        // APB2 as fast as the core is too fast for one, and the voltage after a reset too low for the other.
        assert!(fault(&NUCLEO_F446, &[faster, on, (CFGR, 5 << 10 | 2)]).contains("APB2 96000"));
        assert!(fault(&BLACK_PILL, &[faster, on, switch]).contains("a voltage for 84000 kHz"));
        // The F411 has no AHB3, and what the F446 has of its own is not known to the others.
        assert!(fault(&BLACK_PILL, &[(0x38, 1)]).contains("not known"));
        assert!(fault(&BLACK_PILL, &[(0x94, 1)]).contains("not known"));
        assert_eq!(fault(&NUCLEO_F446, &[(0x94, 1)]), "");
    }

    /// RM0383 §5.4.1: VOS can only be modified while the PLL is off.
    #[test]
    fn the_voltage_does_not_change_while_the_pll_runs() {
        for (board, after) in [(&PYBOARD, 168_000), (&BLACK_PILL, 84_000)] {
            let mut clock = Clock::of(board);
            clock.write(PLLCFGR, GOOD);
            clock.write(CR, 0x83 | PLL_ON);
            clock.write_power(0, 3 << 14);
            assert_eq!(clock.power.limit(), after);
            clock.write(CR, 0x83);
            clock.write_power(0, 3 << 14);
            assert_eq!(clock.power.limit(), board.regulator.limits.into_iter().max().unwrap());
        }
    }
}
