//! GPIO and IO_MUX: ESP8266 Technical Reference, chapter 1 and appendix.

use std::collections::HashMap;

use crate::memory::Registers;

const GPIO: u32 = 0x6000_0300;
const OUT: u32 = GPIO;
const OUT_SET: u32 = GPIO + 0x04;
const OUT_CLEAR: u32 = GPIO + 0x08;
const ENABLE: u32 = GPIO + 0x0c;
const ENABLE_SET: u32 = GPIO + 0x10;
const ENABLE_CLEAR: u32 = GPIO + 0x14;
const IN: u32 = GPIO + 0x18;
const STATUS: u32 = GPIO + 0x1c;
const STATUS_CLEAR: u32 = GPIO + 0x24;
/// The first of the pins' own registers.
const PIN: u32 = GPIO + 0x28;
const LAST_PIN: u32 = PIN + 4 * 15;
const OPEN_DRAIN: u32 = 1 << 2;

/// IO_MUX: the registers of the pads.
const MUX: std::ops::RangeInclusive<u32> = 0x6000_0804..=0x6000_0843;
/// The selection of a function: bits 4, 5 and 8.
const FUNCTION: u32 = 0x13 << 4;
/// Pads whose function 0 is GPIO, by pin.
const PADS: [(u32, u32); 4] =
    [(0, 0x6000_0834), (2, 0x6000_0838), (4, 0x6000_083c), (5, 0x6000_0840)];

/// UART_CLKDIV of UART0.
const UART0_DIVISOR: u32 = 0x6000_0014;

/// The pins as the program drives them, and as others do.
#[derive(Default)]
pub struct Pins {
    out: u32,
    enable: u32,
    status: u32,
    pins: [u32; 16],
    plain: HashMap<u32, u32>,
    /// Levels that others and the pull-ups make of the pins.
    outside: u32,
    /// The divisor of the console's clock, if the program has set it.
    pub uart_divisor: Option<u32>,
    /// A level may have changed by what the program did.
    pub touched: bool,
}

impl Pins {
    /// Makes pins after a reset: all are inputs. `outside` are the levels that others make of them.
    pub fn new(outside: u32) -> Self {
        Self { outside, ..Self::default() }
    }

    fn is_gpio(&self, pin: u32) -> bool {
        let pad = PADS.iter().find(|(wanted, _)| *wanted == pin);
        pad.is_some_and(|(_, mux)| self.mux(*mux) & FUNCTION == 0)
    }

    /// Returns what a pad's register holds. After a reset, those that have another function than GPIO by
    /// default have it.
    fn mux(&self, register: u32) -> u32 {
        self.plain.get(&register).copied().unwrap_or(0)
    }

    /// Returns what the program makes of a pin: `None` if it leaves it alone.
    pub fn drives(&self, pin: u32) -> Option<bool> {
        if self.enable >> pin & 1 == 0 || !self.is_gpio(pin) {
            return None;
        }
        let high = self.out >> pin & 1 != 0;
        let open_drain = self.pins[pin as usize] & OPEN_DRAIN != 0;
        if high && open_drain { None } else { Some(high) }
    }

    /// Returns the level of a pin.
    pub fn level(&self, pin: u32) -> bool {
        self.drives(pin).unwrap_or(self.outside >> pin & 1 != 0)
    }

    /// Returns the level that others make of a pin.
    pub fn outside(&self, pin: u32) -> bool {
        self.outside >> pin & 1 != 0
    }

    /// Sets the level that others make of a pin.
    pub fn set_outside(&mut self, pin: u32, level: bool) {
        let before = self.level(pin);
        self.outside = self.outside & !(1 << pin) | u32::from(level) << pin;
        let after = self.level(pin);
        // Kinds of interrupt: 1 rising, 2 falling, 3 both; levels are not modelled.
        let kind = self.pins[pin as usize] >> 7 & 7;
        if before != after && matches!((kind, after), (1 | 3, true) | (2 | 3, false)) {
            self.status |= 1 << pin;
        }
    }

    /// Returns true if the interrupt of the pins is asked for.
    pub fn interrupts(&self) -> bool {
        self.status != 0
    }
}

impl Registers for Pins {
    fn read(&mut self, address: u32) -> Option<u32> {
        Some(match address {
            OUT => self.out,
            ENABLE => self.enable,
            IN => (0..16).fold(0, |bits, pin| bits | u32::from(self.level(pin)) << pin),
            STATUS => self.status,
            PIN..=LAST_PIN => self.pins[((address - PIN) / 4) as usize],
            UART0_DIVISOR => self.uart_divisor.unwrap_or(80_000_000 / 115_200),
            _ if MUX.contains(&address) => self.mux(address),
            _ => return None,
        })
    }

    fn write(&mut self, address: u32, value: u32) -> Option<()> {
        match address {
            OUT => self.out = value,
            OUT_SET => self.out |= value,
            OUT_CLEAR => self.out &= !value,
            ENABLE => self.enable = value,
            ENABLE_SET => self.enable |= value,
            ENABLE_CLEAR => self.enable &= !value,
            STATUS_CLEAR => self.status &= !value,
            PIN..=LAST_PIN => self.pins[((address - PIN) / 4) as usize] = value,
            UART0_DIVISOR => self.uart_divisor = Some(value),
            _ if MUX.contains(&address) => _ = self.plain.insert(address, value),
            _ => return None,
        }
        self.touched = true;
        Some(())
    }
}
