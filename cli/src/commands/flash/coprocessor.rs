//! Flags and questions that all coprocessors have in common.

use std::time::Duration;

use pblink_flash::esp8266::{Serial, SystemPorts, WantedPort, find};
use pblink_flash::{Chip, Error, Kind, Progress, Region};

use crate::hardware::confirm::{Consent, ask_yes_no};
use crate::hardware::error::failed;
use crate::hardware::progress::Bar;
use crate::settings::limits::Limits;

/// Of `--baud`, in bits per second.
pub(super) const BAUD: Limits = Limits::number(9600, 4_000_000, 115_200);

/// Way into the board's loader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum How {
    /// The adapter's wires DTR and RTS do it.
    DefaultReset,
    /// It is in its loader already.
    NoReset,
}

/// Reads `--serial`.
pub(super) fn port(text: &str) -> Result<String, String> {
    match text.trim() {
        "" => {
            Err("name a port, such as /dev/ttyUSB0, or leave --serial out to have it found"
                .to_owned())
        }
        _ => Ok(text.to_owned()),
    }
}

/// The board that is meant, and what is to happen to it.
pub(super) struct Wanted {
    pub(super) chip: Chip,
    /// Its serial port; none: the only adapter that such boards have.
    pub(super) serial: Option<String>,
    pub(super) wait: Duration,
    pub(super) no_erase: bool,
    pub(super) yes: bool,
}

impl Wanted {
    /// Finds the board's port, asks, and opens it: returns its path, too. `note` is shown before anything is waited for.
    ///
    /// # Errors
    /// There is none, it cannot be opened, or the user does not agree.
    pub(super) fn open(
        &self,
        regions: &[Region],
        note: Option<String>,
        progress: &mut Bar,
    ) -> anyhow::Result<(String, Serial)> {
        let name = self.chip.name();
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
        let mut ports = SystemPorts(self.chip);
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
