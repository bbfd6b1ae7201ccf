//! Flags that choose the way to an STM32.

use std::time::Duration;

use pblink_flash::stm32::{Selector, Target, Via, Wanted};
use pblink_image::map::Map;

use crate::duration;
use crate::settings::BoardKind;

const HEADING: &str = "The way to the STM32";

/// Way to an STM32.
#[derive(Debug, Clone, clap::Args)]
pub struct Way {
    /// Way to the board: a debug probe, the chip's own USB bootloader, or whichever is there.
    #[arg(long, value_enum, value_name = "WAY", default_value_t = By::Auto, help_heading = HEADING)]
    pub via: By,
    /// Probe or bootloader to use if there are several: USB vendor and product, and a serial number if
    /// even these are not enough.
    #[arg(long, value_name = "VID:PID[:SERIAL]", help_heading = HEADING)]
    pub probe: Option<Selector>,
    /// Kind of board that is there. Without it: the one that the program was built for, else a Pyboard; where
    /// pblink.toml is read, its board.kind.
    #[arg(long, value_enum, value_name = "KIND", help_heading = HEADING)]
    pub kind: Option<BoardKind>,
    /// Chip that a probe looks for, if it is none of these kinds.
    #[arg(long, value_name = "NAME", conflicts_with = "kind", help_heading = HEADING)]
    pub chip: Option<String>,
    /// Longest wait for the probe or bootloader to appear; a plain number is seconds.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration::parse_or_seconds,
        help_heading = HEADING)]
    pub wait: Duration,
    /// Do not start the program afterwards: the board stays in its bootloader, where the next command
    /// finds it without a button being pressed again; with a probe, it does nothing until then.
    #[arg(long, help_heading = HEADING)]
    pub no_start: bool,
}

/// Way to the board.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum By {
    /// Whichever is there.
    Auto,
    /// A debug probe (ST-Link, J-Link, CMSIS-DAP v2, ...).
    Probe,
    /// The chip's USB bootloader.
    Dfu,
}

impl Way {
    /// Starts the program, or keeps it from running.
    pub(crate) fn start(&self, target: &mut dyn Target) -> pblink_flash::Result<()> {
        if self.no_start { target.hold() } else { target.start() }
    }

    /// Returns the device that is meant; `usual` is the board if no flag names another.
    pub(crate) fn wanted(&self, usual: &'static Map) -> Wanted {
        let part = self.kind.map_or(usual, BoardKind::map).part;
        Wanted {
            via: match self.via {
                By::Auto => None,
                By::Probe => Some(Via::Probe),
                By::Dfu => Some(Via::Dfu),
            },
            selector: self.probe.clone(),
            chip: self.chip.clone().unwrap_or_else(|| part.to_owned()),
            wait: self.wait,
        }
    }
}
