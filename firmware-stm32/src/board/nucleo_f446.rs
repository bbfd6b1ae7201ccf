//! The Nucleo-F446RE of ST. All wires are on its ten-pin Arduino header CN5; the console comes out of the USB of its
//! debug probe.
//!
//! | Nucleo | STM32 | what | ESP8266 |
//! |---|---|---|---|
//! | D15 | PB8, I2C1 | scl | GPIO0 |
//! | D14 | PB9, I2C1 | sda | GPIO2 |
//! | D10 | PB6 | syn | GPIO5 |
//! | D8 | PA9 | reset, low 200 ms | RST |
//! | D9 | PC7, EXTI 7 | ack | GPIO4 |
//! | the probe's serial port | PA2, USART2 | console, 115200 baud, 8N1 | |
//!
//! The settings are in the last flash sector (7, at `0x0806_0000`), the keys in the one below it. What survives a reset is at the end
//! of the RAM.

use embassy_stm32::Peripherals;
use embassy_stm32::interrupt::typelevel::EXTI9_5;
use pblink_image::map::{self, Map};

use super::{Interrupts, Taken};
use crate::stm32::console::Console;
use crate::stm32::i2c::I2cSlave;

/// The interrupt of `ack`.
pub(super) type Ack = EXTI9_5;

pub(super) const MAP: &Map = &map::NUCLEO_F446;

pub(super) fn take(p: Peripherals) -> Taken {
    Taken {
        console: Console::new(p.USART2, p.PA2, 115_200, Interrupts),
        bus: I2cSlave::new(p.I2C1, p.PB8, p.PB9, Interrupts),
        syn: p.PB6.into(),
        ack: p.PC7.into(),
        reset: p.PA9.into(),
        watchdog: p.IWDG,
        noise: None,
    }
}
