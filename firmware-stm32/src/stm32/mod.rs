//! The drivers for the STM32F405, F411 and F446, straight on their registers. Sections are those of the reference
//! manual RM0090 (STM32F405/415, F407/417, F427/437, F429/439), revision 19. The peripherals that are used here are the
//! same in RM0383 (STM32F411) and RM0390 (STM32F446).
//!
//! | module | peripheral | RM0090 |
//! |---|---|---|
//! | [`i2c`] | I2C as slave, with interrupts and without DMA | 27 |
//! | [`wires`] | GPIO, and EXTI for the edges of `ack` | 8, 12 |
//! | [`console`] | USART, transmitter only | 30 |
//! | [`flash`] | programming of words of the keys' sector | 3 |
//! | [`watchdog`] | independent watchdog | 21 |
//! | [`clock`] | RCC: 84 MHz from the internal oscillator | 7 |
//! | [`start`] | what the boot loader leaves behind, and the cause of the start | 7, 12 |
//! | `rng` | random numbers, of the STM32F405 only | 24 |
//!
//! # Other pins
//! Any I2C with its pins, any pins for `syn` and reset, and any pin for `ack`, with the interrupt that
//! serves the EXTI line of its number:
//! ```no_run
//! use embassy_stm32::gpio::Level;
//! use embassy_stm32::interrupt::typelevel;
//! use embassy_stm32::{bind_interrupts, peripherals};
//! use pblink_protocol::time::Duration;
//! use pblink_stm32::hardware::Hardware;
//! use pblink_stm32::stm32::i2c::{ErrorHandler, EventHandler, I2cSlave};
//! use pblink_stm32::stm32::wires::{AckHandler, AckSynReset, Reset, WiringError};
//!
//! bind_interrupts!(struct Irqs {
//!     I2C2_EV => EventHandler<peripherals::I2C2>;
//!     I2C2_ER => ErrorHandler<peripherals::I2C2>;
//!     EXTI9_5 => AckHandler<typelevel::EXTI9_5>;
//! });
//!
//! type Board = Hardware<I2cSlave<'static, peripherals::I2C2>, AckSynReset<'static>>;
//!
//! fn hardware() -> Result<Board, WiringError> {
//!     pblink_stm32::stm32::start::take_over();
//!     let restart = pblink_stm32::stm32::start::restart_cause();
//!     let p = embassy_stm32::init(pblink_stm32::stm32::clock::config());
//!     let bus = I2cSlave::new(p.I2C2, p.PB10, p.PB11, Irqs);
//!     // Through a transistor, so a high level resets.
//!     let pulse = Duration::from_millis(200);
//!     let reset = Reset { pin: p.PA0.into(), active: Level::High, pulse };
//!     let (syn, ack) = (p.PC1.into(), p.PA8.into());
//!     let wires = AckSynReset::new::<typelevel::EXTI9_5>(syn, ack, reset, Irqs)?;
//!     Ok(Hardware { bus, reset_pulse: wires.pulse(), wires, vault: None, restart })
//! }
//! ```

pub mod clock;
pub mod console;
pub mod flash;
pub mod i2c;
#[cfg(feature = "stm32f405")]
pub mod rng;
pub mod start;
pub mod watchdog;
pub mod wires;
