//! The drivers for the STM32F405, straight on its registers. Sections are those of the reference
//! manual RM0090 (STM32F405/415, F407/417, F427/437, F429/439), revision 19.
//!
//! | module | peripheral | RM0090 |
//! |---|---|---|
//! | [`i2c`] | I2C as slave, with interrupts and without DMA | 27 |
//! | [`wires`] | GPIO, and EXTI for the edges of `ack` | 8, 12 |
//! | [`console`] | USART, transmitter only | 30 |
//! | [`watchdog`] | independent watchdog | 21 |

pub mod console;
pub mod i2c;
pub mod watchdog;
pub mod wires;
