//! The peripherals of the STM32F405, F411 and F446 that the image uses, as registers (RM0090; the other manuals have the
//! same). Time is in [ticks](MHZ); one
//! instruction takes one cycle of the core.

use std::collections::HashMap;

use crate::board::{Board, GPIOA, Pin};
pub use crate::clock::MHZ;
use crate::clock::{Cause, Clock};
use crate::flash::Flash;
use crate::i2c::Slave;
use crate::rom::{Left, ROM};
use crate::system::System;

/// Numbers of the interrupts (RM0090 §12, table 62).
const EXTI9_5: u32 = 23;
const TIM2: u32 = 28;
const I2C1_EV: u32 = 31;
const I2C1_ER: u32 = 32;
const USART2: u32 = 38;
const EXTI15_10: u32 = 40;
const OTG_FS: u32 = 67;

/// The registers of the random number generator. The STM32F411 and F446 have none: nothing there reads them.
const RNG: u64 = 0x5006_0800;

/// Address at which the chip begins: flash is also at 0 then (RM0090 §2.4).
pub(crate) const FLASH: u64 = pblink_image::map::START as u64;

/// A timer (RM0090 §18), counting up for ever.
#[derive(Default)]
struct Timer {
    cr1: u32,
    dier: u32,
    sr: u32,
    psc: u64,
    arr: u64,
    ccr: [u64; 4],
    /// The length of a cycle of its clock.
    unit: u64,
    /// Time at which the count was 0.
    base: u64,
    /// The last tick for which the flags are set.
    seen: u64,
}

impl Timer {
    fn running(&self) -> bool {
        self.cr1 & 1 != 0
    }

    fn period(&self) -> u64 {
        self.arr.max(1) + 1
    }

    fn ticks(&self, cycles: u64) -> u64 {
        (cycles - self.base) / ((self.psc + 1) * self.unit)
    }

    /// Returns the first tick after `seen` at which flag `n` is set: 0 overflow, 1 to 4 compare.
    fn next(&self, n: usize) -> u64 {
        let value = if n == 0 { 0 } else { self.ccr[n - 1] % self.period() };
        let into = self.seen % self.period();
        let ahead = (value + self.period() - into) % self.period();
        self.seen + if ahead == 0 { self.period() } else { ahead }
    }

    fn update(&mut self, cycles: u64) {
        if self.running() {
            let now = self.ticks(cycles);
            let due = (0..5).filter(|&n| self.next(n) <= now).fold(0, |sr, n| sr | 1 << n);
            self.sr |= due;
            self.seen = now;
        }
    }

    fn interrupt(&self) -> bool {
        self.sr & self.dier & 0x1f != 0
    }

    /// Returns the cycle at which an enabled flag is set next.
    fn next_at(&self) -> Option<u64> {
        let enabled = (0..5).filter(|n| self.dier & 1 << n != 0);
        let tick = enabled.map(|n| self.next(n)).min().filter(|_| self.running())?;
        Some(self.base + tick * (self.psc + 1) * self.unit)
    }

    fn read(&self, offset: u64, cycles: u64) -> u32 {
        (match offset {
            0x00 => u64::from(self.cr1),
            0x0c => u64::from(self.dier),
            0x10 => u64::from(self.sr),
            0x24 if self.running() => self.ticks(cycles) % self.period(),
            0x28 => self.psc,
            0x2c => self.arr,
            0x34..=0x40 => self.ccr[(offset as usize - 0x34) / 4],
            _ => 0,
        }) as u32
    }

    fn write(&mut self, offset: u64, value: u32, cycles: u64) {
        match offset {
            0x00 => {
                if value & 1 != 0 && !self.running() {
                    (self.base, self.seen) = (cycles, 0);
                }
                self.cr1 = value;
            }
            0x0c => self.dier = value,
            0x10 => self.sr &= value,
            0x28 => self.psc = u64::from(value),
            0x2c => self.arr = u64::from(value),
            0x34..=0x40 => self.ccr[(offset as usize - 0x34) / 4] = u64::from(value & 0xffff),
            _ => {}
        }
    }
}

/// A transmitter (RM0090 §30).
#[derive(Default)]
struct Usart {
    cr1: u32,
    brr: u32,
    /// The data register is empty from then on.
    ready_at: u64,
}

/// An independent watchdog (RM0090 §21).
#[derive(Default)]
struct Watchdog {
    unlocked: bool,
    prescaler: u32,
    reload: Option<u64>,
    /// The chip is reset then.
    bites_at: Option<u64>,
    /// Number of feedings.
    feedings: u64,
}

/// The random number generator (RM0090 §24).
#[derive(Debug, Default)]
pub struct Rng {
    cr: u32,
    state: u64,
    /// Bits of SR that it has, whatever happens: CECS 1, SECS 2, CEIS 5, SEIS 6.
    pub faults: u32,
    /// It gives the same number again and again.
    pub stuck: bool,
    /// Numbers that it has given.
    pub given: u32,
}

impl Rng {
    fn read(&mut self, register: u64, clocked: bool) -> u32 {
        let runs = self.cr & 1 << 2 != 0;
        match register {
            0x00 => self.cr,
            // Too slow a clock, or a number.
            0x04 if runs && !clocked => 1 << 1 | 1 << 5,
            0x04 if runs => self.faults | u32::from(self.faults == 0),
            0x08 if runs => {
                self.given += 1;
                if !self.stuck {
                    self.state = self
                        .state
                        .wrapping_mul(0x5851_f42d_4c95_7f2d)
                        .wrapping_add(0x1405_7b7e_f767_814f);
                }
                (self.state >> 32) as u32
            }
            _ => 0,
        }
    }
}

/// The chip without its core.
#[derive(Default)]
pub struct Chip {
    /// Chip and pins.
    pub board: &'static Board,
    /// The time.
    pub cycles: u64,
    /// Registers without behaviour, by address.
    plain: HashMap<u64, u32>,
    /// RCC.
    pub clock: Clock,
    /// NVIC, SysTick, VTOR.
    pub system: System,
    exti_pending: u32,
    /// From this cycle on USB raises its interrupt, until it is reset.
    usb_at: Option<u64>,
    timer: Timer,
    usart: Usart,
    watchdog: Watchdog,
    /// The I2C slave.
    pub i2c: Slave,
    /// The random number generator.
    pub rng: Rng,
    /// The flash controller, with the keys.
    pub flash: Flash,
    /// Output on the console.
    pub console: Vec<u8>,
    /// The level of `ack` at the pin.
    ack: bool,
    /// An output may have changed.
    pub outputs_touched: bool,
    /// Accesses to peripherals whose clock is off: on the chip they do nothing.
    pub unclocked: u32,
    /// Resets by the watchdog.
    pub watchdog_resets: u32,
    /// Resets by the program: it has panicked.
    pub own_resets: u32,
}

impl Chip {
    /// Makes the chip of a board.
    pub(crate) fn of(board: &'static Board) -> Self {
        Self { board, clock: Clock::of(board), ..Self::default() }
    }

    /// Everything but time, wires, the flags of causes, and what was counted is as after power-on.
    pub fn reset(&mut self, cause: Cause) {
        let old = std::mem::take(self);
        *self = Self {
            board: old.board,
            clock: old.clock.after(cause),
            cycles: old.cycles,
            rng: Rng { cr: 0, ..old.rng },
            flash: old.flash,
            console: old.console,
            ack: old.ack,
            watchdog_resets: old.watchdog_resets,
            own_resets: old.own_resets,
            unclocked: old.unclocked,
            i2c: old.i2c,
            outputs_touched: true,
            ..Self::default()
        };
        self.system.set_cycle(self.clock.core);
        self.i2c.reset();
        self.flash.reset();
    }

    /// Brings the chip into the state in which the boot loader in ROM leaves it when it starts a program.
    pub(crate) fn leave_rom(&mut self, left: Left) {
        let now = self.cycles;
        // USB has its clock.
        self.clock.leave_rom();
        self.clock.write(0x34, 1 << 7);
        self.system.set_cycle(self.clock.core);
        self.usb_at = Some(now + left.usb_after * self.clock.core);
        for (register, value) in [
            // VTOR; USB's interrupt; SysTick once in 1 ms of 60 MHz.
            (0xe000_ed08, ROM as u32),
            (0xe000_e108, 1 << (OTG_FS - 64)),
            (0xe000_e014, 59_999),
            (0xe000_e010, 7),
        ] {
            self.system.write(register, value, now);
        }
    }

    /// Returns true if USB's interrupt is enabled, waits, or will be raised.
    pub fn usb_lives(&self) -> bool {
        self.usb_at.is_some() || self.system.knows(OTG_FS)
    }

    /// Returns the address of the vector table. At 0 is flash, unless SYSCFG_MEMRMP says otherwise,
    /// which no code here does.
    pub(crate) fn vector_table(&self) -> u64 {
        match self.system.vector_table() {
            0 => FLASH,
            table => table,
        }
    }

    fn plain(&self, address: u64) -> u32 {
        self.plain.get(&address).copied().unwrap_or(0)
    }

    /// Returns the level of an output; what is not one is pulled up.
    fn output(&self, Pin { port, number }: Pin) -> bool {
        let output = self.plain(port) >> (2 * number) & 3 == 1;
        !output || self.plain(port + 0x14) >> number & 1 != 0
    }

    /// Returns true if a pin is an output of this alternate function, open-drain or not (RM0090 §8.4).
    fn alternate(&self, Pin { port, number }: Pin, function: u32, open_drain: bool) -> bool {
        let selected =
            self.plain(port + 0x20 + u64::from(number / 8 * 4)) >> (4 * (number % 8)) & 0xf;
        let mode = self.plain(port) >> (2 * number) & 3;
        let open = self.plain(port + 4) >> number & 1 != 0;
        (mode, selected, open) == (2, function, open_drain)
    }

    /// Returns true if I2C1 is on its pins, both open-drain, and USART2 on its own.
    pub fn is_wired(&self) -> bool {
        let Board { scl, sda, console, .. } = *self.board;
        [scl, sda].into_iter().all(|pin| self.alternate(pin, 4, true))
            && self.alternate(console, 7, false)
    }

    /// Returns the level of `syn`.
    pub fn syn(&self) -> bool {
        self.output(self.board.syn)
    }

    /// Returns true if the reset wire is active (low).
    pub fn resets_esp(&self) -> bool {
        !self.output(self.board.reset)
    }

    /// `ack` changes (RM0090 §12.2: both triggers, and SYSCFG selects the port).
    pub fn set_ack(&mut self, level: bool) {
        self.ack = level;
        let Pin { number, .. } = self.board.ack;
        let exticr = self.plain(0x4001_3808 + u64::from(number / 4 * 4));
        let selected = exticr >> (4 * (number % 4)) & 0xf == self.board.ack.port_number();
        let trigger = if level { 0x4001_3c08 } else { 0x4001_3c0c };
        if selected && self.plain(trigger) & 1 << number != 0 {
            self.exti_pending |= 1 << number;
        }
    }

    /// Returns the number of the exception to take next, if any.
    pub fn exception(&mut self) -> Option<u32> {
        self.timer.update(self.cycles);
        let [event, error] = self.i2c.interrupts();
        let exti = self.exti_pending & self.plain(0x4001_3c00);
        let usart = self.usart.cr1 & 1 << 7 != 0 && self.cycles >= self.usart.ready_at;
        let lines = [
            (EXTI9_5, exti & 0x03e0 != 0),
            (TIM2, self.timer.interrupt()),
            (I2C1_EV, event),
            (I2C1_ER, error),
            (USART2, usart),
            (EXTI15_10, exti & 0xfc00 != 0),
        ];
        if self.usb_at.is_some_and(|at| at <= self.cycles) {
            self.system.pend(OTG_FS);
        }
        let raised = lines.into_iter().filter(|l| l.1).map(|l| l.0);
        self.system.exception(raised, self.cycles)
    }

    /// Returns the time at which something happens by itself.
    pub fn next_at(&self) -> Option<u64> {
        let usart = Some(self.usart.ready_at)
            .filter(|&at| self.usart.cr1 & 1 << 7 != 0 && at > self.cycles);
        let usb = self.usb_at.filter(|&at| at > self.cycles);
        let all = [self.timer.next_at(), self.system.next_at(), usart, usb, self.watchdog.bites_at];
        all.into_iter().flatten().min()
    }

    /// Returns true if the watchdog resets the chip now.
    pub fn bitten(&self) -> bool {
        self.watchdog.bites_at.is_some_and(|at| at <= self.cycles)
    }

    /// Returns the number of times that the watchdog was fed since the last reset.
    pub fn feedings(&self) -> u64 {
        self.watchdog.feedings
    }

    /// RM0090 §7.3.10 to §7.3.14: the clock that a peripheral needs.
    fn check_clock(&mut self, address: u64) {
        let (register, bit) = match address & !0x3ff {
            port @ 0x4002_0000..=0x4002_2000 => (0x30, (port - GPIOA) / 0x400),
            0x4000_0000 => (0x40, 0),
            0x4000_4400 => (0x40, 17),
            0x4000_5400 => (0x40, 21),
            0x4000_7000 => (0x40, 28),
            0x4001_3800 => (0x44, 14),
            RNG => (0x34, 6),
            _ => return,
        };
        if self.clock.register(register) >> bit & 1 == 0 {
            self.unclocked += 1;
        }
    }

    /// Reads a register, as the program does.
    pub fn read(&mut self, address: u64) -> u32 {
        self.check_clock(address);
        let register = address & 0x3ff;
        match address & !0x3ff {
            0x4000_0000 => {
                self.timer.update(self.cycles);
                self.timer.read(register, self.cycles)
            }
            0x4000_4400 => match register {
                // TXE, and TC.
                0x00 if self.cycles >= self.usart.ready_at => 0xc0,
                0x00 => 0,
                0x08 => self.usart.brr,
                0x0c => self.usart.cr1,
                _ => self.plain(address),
            },
            0x4000_5400 => self.i2c.read(register),
            0x4000_3000 => match register {
                0x04 => self.watchdog.prescaler,
                0x08 => self.watchdog.reload.unwrap_or(0xfff) as u32,
                _ => 0,
            },
            0x4001_3c00 if register == 0x14 => self.exti_pending,
            0x4000_7000 => self.clock.power.read(register),
            0x4002_3800 => self.clock.read(register),
            0x4002_3c00 if register != 0 => self.flash.read(register),
            0xe000_e000 | 0xe000_ec00 => self.system.read(address),
            RNG => {
                let clocked = self.clock.frequencies().pll48 == Some(48_000);
                self.rng.read(register, clocked)
            }
            _ if address == self.board.ack.port + 0x10 => {
                u32::from(self.ack) << self.board.ack.number
            }
            // The inputs of the other ports: what the chip itself drives.
            _ if address & !0x1fff == GPIOA && register == 0x10 => self.plain(address + 4),
            _ => self.plain(address),
        }
    }

    /// Returns the speed of the console, in bits a second.
    pub fn console_speed(&self) -> u64 {
        self.clock.frequencies().apb1 * 1000 / u64::from(self.usart.brr.max(1))
    }

    fn write_rcc(&mut self, register: u64, value: u32) {
        let before = self.clock.frequencies();
        self.clock.write(register, value);
        if before != self.clock.frequencies() {
            self.system.set_cycle(self.clock.core);
            if self.timer.running() || self.usart.cr1 != 0 || self.i2c.is_on() {
                self.clock.fault.get_or_insert("clocks change under their users".into());
            }
        }
        match register {
            // AHB2RSTR: USB.
            0x14 if value & 1 << 7 != 0 => self.usb_at = None,
            // APB1RSTR: I2C1, USART2, TIM2.
            0x20 => {
                if value & 1 << 21 != 0 {
                    self.i2c.reset();
                }
                if value & 1 << 17 != 0 {
                    self.usart = Usart::default();
                }
                if value & 1 != 0 {
                    self.timer = Timer::default();
                }
            }
            _ => {}
        }
    }

    /// Writes a register, as the program does.
    pub fn write(&mut self, address: u64, value: u32) {
        self.check_clock(address);
        let register = address & 0x3ff;
        match address & !0x3ff {
            0x4000_0000 => {
                self.timer.update(self.cycles);
                if !self.timer.running() {
                    self.timer.unit = self.clock.timers();
                }
                self.timer.write(register, value, self.cycles);
            }
            0x4000_4400 => match register {
                0x04 => {
                    self.console.push(value as u8);
                    // Ten bits of BRR cycles each.
                    let bit = u64::from(self.usart.brr.max(1)) * self.clock.apb1();
                    self.usart.ready_at = self.cycles + 10 * bit;
                }
                0x08 => self.usart.brr = value,
                0x0c => self.usart.cr1 = value,
                _ => _ = self.plain.insert(address, value),
            },
            0x4000_5400 => {
                // §27.6.2: FREQ is the clock of APB1 in MHz.
                if register == 4 && u64::from(value & 0x3f) * 1000 != self.clock.frequencies().apb1
                {
                    self.i2c.misuse += 1;
                }
                self.i2c.write(register, value);
            }
            0x4002_3800 => self.write_rcc(register, value),
            0x4000_7000 => self.clock.write_power(register, value),
            0x4002_3c00 if register == 0 => {
                self.plain.insert(address, value);
                self.clock.set_latency(value & 7);
            }
            0x4002_3c00 => self.flash.write(register, value),
            0x4000_3000 => self.write_watchdog(register, value),
            0x4001_3c00 if register == 0x14 => self.exti_pending &= !value,
            0xe000_e000 | 0xe000_ec00 => self.system.write(address, value, self.cycles),
            RNG if register == 0 => self.rng.cr = value,
            _ => {
                self.plain.insert(address, value);
                if address & !0x1fff == GPIOA {
                    self.outputs_touched = true;
                    if register == 0x18 {
                        // BSRR: set, and in the upper half reset; set wins.
                        let output = address - 4;
                        let level = self.plain(output) & !(value >> 16) | value & 0xffff;
                        self.plain.insert(output, level);
                    }
                }
            }
        }
    }

    fn write_watchdog(&mut self, register: u64, value: u32) {
        let dog = &mut self.watchdog;
        match (register, value & 0xffff) {
            (0, 0x5555) => dog.unlocked = true,
            (0, key @ (0xaaaa | 0xcccc)) => {
                dog.unlocked = false;
                if key == 0xcccc || dog.bites_at.is_some() {
                    // The clock is 32 kHz.
                    let steps = (dog.reload.unwrap_or(0xfff) + 1) << (dog.prescaler.min(6) + 2);
                    dog.bites_at = Some(self.cycles + steps * MHZ * 1_000_000 / 32_000);
                }
                dog.feedings += 1;
            }
            (4, prescaler) if dog.unlocked => dog.prescaler = prescaler & 7,
            (8, reload) if dog.unlocked => dog.reload = Some(u64::from(reload & 0xfff)),
            _ => {}
        }
    }
}
