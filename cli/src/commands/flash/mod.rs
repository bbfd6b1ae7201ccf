//! `pblink flash`: programs onto boards. The work itself is done by `pblink_flash`; here are the flags,
//! the choice of port and image, and what the user sees.

mod esp8266;
pub mod stm32;

use crate::exit::Exit;
use crate::global::Global;

/// Arguments of `pblink flash`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pblink flash esp8266                      what `pblink build` made, over the one serial adapter
  pblink flash stm32                        what `pblink build` made, by probe or USB, whichever is there")]
pub struct Args {
    /// Board to flash.
    #[command(subcommand)]
    pub board: Board,
}

/// Board to flash.
#[derive(Debug, clap::Subcommand)]
pub enum Board {
    /// The ESP8266, over a serial port.
    Esp8266(esp8266::Args),
    /// The STM32, by a debug probe or over its own USB.
    Stm32(stm32::Args),
}

/// Runs the verb.
pub fn run(args: Args, global: &Global) -> anyhow::Result<Exit> {
    match args.board {
        Board::Esp8266(args) => esp8266::run(args, global),
        Board::Stm32(args) => stm32::run(args, global),
    }
}
