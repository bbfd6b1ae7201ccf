//! The Black Pill (STM32F411CE) of WeAct, and others like it. The five wires are neighbours on its long side, from B5
//! to B9.
//!
//! | Black Pill | STM32 | what | ESP8266 |
//! |---|---|---|---|
//! | B6 | PB6, I2C1 | scl | GPIO0 |
//! | B7 | PB7, I2C1 | sda | GPIO2 |
//! | B8 | PB8 | syn | GPIO5 |
//! | B9 | PB9 | reset, low 200 ms | RST |
//! | B5 | PB5, EXTI 5 | ack | GPIO4 |
//! | A2 | PA2, USART2 | console, 115200 baud, 8N1 | |
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

pub(super) const MAP: &Map = &map::BLACK_PILL;

pub(super) fn take(p: Peripherals) -> Taken {
    Taken {
        console: Console::new(p.USART2, p.PA2, 115_200, Interrupts),
        bus: I2cSlave::new(p.I2C1, p.PB6, p.PB7, Interrupts),
        syn: p.PB8.into(),
        ack: p.PB5.into(),
        reset: p.PB9.into(),
        watchdog: p.IWDG,
        noise: None,
    }
}
