//! `pblink flash`: programs onto boards. The work itself is done by `pblink_flash`; here are the flags,
//! the choice of port and image, and what the user sees.

mod coprocessor;
#[cfg(feature = "esp32c3")]
mod esp32c3;
mod esp8266;
mod report;
pub mod stm32;

use crate::exit::Exit;
use crate::global::Global;

/// Arguments of `pblink flash`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pblink flash esp32c3                      what `pblink build` made, over the one USB or serial adapter
  pblink flash esp8266                      the same for the other coprocessor
  pblink flash stm32                        what `pblink build` made, by probe or USB, whichever is there")]
pub struct Args {
    /// Board to flash.
    #[command(subcommand)]
    pub board: Board,
}

/// Board to flash.
#[derive(Debug, clap::Subcommand)]
pub enum Board {
    /// The ESP32-C3, over its own USB or a serial port.
    #[cfg(feature = "esp32c3")]
    Esp32c3(esp32c3::Args),
    /// The ESP8266, over a serial port.
    Esp8266(esp8266::Args),
    /// The STM32, by a debug probe or over its own USB.
    Stm32(stm32::Args),
}

/// Runs the verb.
pub fn run(args: Args, global: &Global) -> anyhow::Result<Exit> {
    match args.board {
        #[cfg(feature = "esp32c3")]
        Board::Esp32c3(args) => esp32c3::run(args, global),
        Board::Esp8266(args) => esp8266::run(args, global),
        Board::Stm32(args) => stm32::run(args, global),
    }
}
