//! Flags and questions that all coprocessors have in common.

use std::time::Duration;

use pblink_flash::coprocessor::{Before, Erase, Serial, SystemPorts, WantedPort, find};
use pblink_flash::{Chip, Error, Kind, Progress, Region};

use crate::duration;
use crate::hardware::confirm::{Consent, ask_yes_no};
use crate::hardware::error::failed;
use crate::hardware::progress::Bar;
use crate::settings::limits::Limits;

/// Of `--baud`, in bits per second.
const BAUD: Limits = Limits::number(9600, 4_000_000, 115_200);

/// Way into the board's loader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum How {
    /// The adapter's wires DTR and RTS do it.
    DefaultReset,
    /// It is in its loader already.
    NoReset,
}

impl From<How> for Before {
    fn from(how: How) -> Self {
        match how {
            How::DefaultReset => Self::DefaultReset,
            How::NoReset => Self::NoReset,
        }
    }
}

/// Reads `--serial`.
fn port(text: &str) -> Result<String, String> {
    match text.trim() {
        "" => {
            Err("name a port, such as /dev/ttyUSB0, or leave --serial out to have it found"
                .to_owned())
        }
        _ => Ok(text.to_owned()),
    }
}

/// The way to the board, and the leave to change it.
#[derive(Debug, clap::Args)]
pub struct BoardArgs {
    /// Serial port of the board. Default: the only one that is the chip's own USB, or a USB adapter of a kind that boards
    /// with this chip have; other ports are never touched.
    #[arg(long, alias = "port", short_alias = 'p', value_name = "PORT", value_parser = port)]
    pub serial: Option<String>,
    /// Longest wait for the port to appear; a plain number is seconds.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration::parse_or_seconds)]
    pub wait: Duration,
    /// Bits per second. Default: a speed that is safe. On a bad line pblink retries at a lower one.
    #[arg(short, long, value_name = "N", value_parser = BAUD.parser())]
    pub baud: Option<u32>,
    /// Way into the board's loader.
    #[arg(long, value_enum, default_value_t = How::DefaultReset, value_name = "HOW")]
    pub before: How,
    /// Erase only the sectors that are written.
    #[arg(long)]
    pub no_erase: bool,
    /// Do not ask before anything is erased. Needed where there is no terminal to ask on.
    #[arg(short, long)]
    pub yes: bool,
}

impl BoardArgs {
    /// Returns the part of the flash that is erased.
    pub(super) fn erase(&self) -> Erase {
        if self.no_erase { Erase::Needed } else { Erase::All }
    }

    /// Finds the port of the board with this chip, asks, and opens it: returns its path, too. `note` is shown before
    /// anything is waited for.
    ///
    /// # Errors
    /// There is none, it cannot be opened, or the user does not agree.
    pub(super) fn open(
        &self,
        chip: Chip,
        regions: &[Region],
        note: Option<String>,
        progress: &mut Bar,
    ) -> anyhow::Result<(String, Serial)> {
        let name = chip.name();
        // As on an STM32, to replace a program is what is expected of this verb; to lose files is not.
        let mut ask = |question: &str| ask_yes_no(question, self.no_erase);
        let mut consent = Consent::of(self.yes, &mut ask);
        match self.no_erase {
            false => consent.check(
                "all of the board's flash would be erased",
                ", and --no-erase to keep what is not written",
            )?,
            true => consent.check("what is on the board would be replaced", "")?,
        }
        if let Some(note) = note {
            progress.note(&note);
        }
        let wanted = WantedPort { path: self.serial.clone(), wait: self.wait };
        let mut ports = SystemPorts(chip);
        let found = find(&mut ports, &wanted, progress).map_err(failed)?;
        let wired = format!(
            "If an STM32 with a pblink program is wired to this {name}, it resets it while it is flashed: hold the STM32 in \
             its bootloader (pblink config pull --no-start), or pull the reset wire."
        );
        if !consent.asks() {
            progress.note(&format!("note: {wired}"));
        }
        let port = &found.path;
        let change = match self.no_erase {
            false => format!(
                "All of the flash of the {name} on {port} will be erased, with all files and passwords that are on it."
            ),
            true => {
                let names: Vec<_> = regions.iter().map(|region| region.name.as_str()).collect();
                format!(
                    "{} will be written to the {name} on {port}, in place of what is there; the rest of its flash stays.",
                    names.join(", ")
                )
            }
        };
        if !consent.ask(&format!("{change}\n{wired}\nGo on?"))? {
            return Err(failed(Error::new(
                Kind::Cancelled,
                "stopped before anything was changed",
                "run the command again when you like",
            )));
        }
        let open = found.open(&mut ports, progress).map_err(failed)?;
        Ok((found.path, open))
    }
}
