//! A bench in which the exact release image of the STM32 runs, instruction by instruction.
//!
//! ```text
//!  release ELF on a Cortex-M4 (Unicorn)
//!    of each [board]; registers: [system] NVIC, SysTick, VTOR; [clock] RCC, power; [chip] GPIO, EXTI, TIM2, USART2, IWDG;
//!      [i2c] the I2C1 slave; [flash] programming of the keys' sector; [rom] what the boot loader leaves behind
//!      wires, in virtual time; [published]: micropython-iot's Pyboard in its place, without a core
//!    [esp] the ESP8266: `pblink_protocol`'s Coprocessor, as I2C master with faults; or
//!    [esp_chip] its program as it is linked for the chip, on `pblink-lx106`, pin by pin: [bus] joins both
//!      TCP, in virtual time
//!    [server] the server: `pblink_protocol`'s Endpoint; with keys, the secure link in it: [session]
//! ```
//!
//! Nothing here waits for real time: one instruction is one cycle of the core, and a sleeping chip skips
//! to the next event. What such a model cannot prove is listed in `docs/HARDWARE.md`.

pub mod bench;
pub mod board;
pub mod bus;
pub mod chip;
pub mod clock;
pub mod cpu;
pub mod elf;
pub mod esp;
pub mod esp_chip;
pub mod flash;
pub mod i2c;
pub mod lines;
pub mod neighbours;
mod power;
pub mod published;
pub mod rom;
pub mod server;
pub mod session;
pub mod speed;
mod stops;
pub mod system;
pub mod world;
