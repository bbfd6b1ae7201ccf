//! The Pyboard v1.x (STM32F405RG), wired like the published micropython-iot.
//!
//! | Pyboard | STM32 | what | ESP8266 |
//! |---|---|---|---|
//! | X9 | PB6, I2C1 | scl | GPIO0 |
//! | X10 | PB7, I2C1 | sda | GPIO2 |
//! | X11 | PC4 | syn | GPIO5 |
//! | X12 | PC5 | reset, low 200 ms | RST |
//! | Y8 | PB15, EXTI 15 | ack | GPIO4 |
//! | X3 | PA2, USART2 | console, 115200 baud, 8N1 | |
//!
//! The settings are in the last flash sector (11, at `0x080e_0000`), the keys in the one below it. What survives a reset is in CCM.

use embassy_stm32::Peripherals;
use embassy_stm32::interrupt::typelevel::EXTI15_10;
use pblink_image::map::{self, Map};

use super::{Interrupts, Taken};
use crate::stm32::console::Console;
use crate::stm32::i2c::I2cSlave;
use crate::stm32::rng;

/// The interrupt of `ack`.
pub(super) type Ack = EXTI15_10;

pub(super) const MAP: &Map = &map::PYBOARD;

pub(super) fn take(p: Peripherals) -> Taken {
    Taken {
        console: Console::new(p.USART2, p.PA2, 115_200, Interrupts),
        bus: I2cSlave::new(p.I2C1, p.PB6, p.PB7, Interrupts),
        syn: p.PC4.into(),
        ack: p.PB15.into(),
        reset: p.PC5.into(),
        watchdog: p.IWDG,
        noise: rng::draw(p.RNG).ok(),
    }
}
