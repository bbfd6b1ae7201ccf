//! The result of flashing a coprocessor, for people and for programs.

use std::io::Write;

use pblink_flash::coprocessor::{Boot, Flashed, Verified};
use serde_json::json;

use crate::output::json::line;

/// Result of flashing a coprocessor.
pub(super) struct Report {
    pub(super) port: String,
    /// Name of the chip.
    pub(super) chip: String,
    /// Address of its network interface.
    pub(super) mac: String,
    /// JEDEC id of its flash, if the loader tells it.
    pub(super) flash_id: Option<u32>,
    /// Bytes of its flash.
    pub(super) flash_size: u32,
    pub(super) loader: &'static str,
    pub(super) baud: u32,
    pub(super) flashed: Vec<Flashed>,
    pub(super) boot: Boot,
}

impl Report {
    /// Prints it: as JSON in a line, or for people.
    pub(super) fn show(&self, json: bool) -> anyhow::Result<()> {
        let mut out = std::io::stdout().lock();
        if json {
            writeln!(out, "{}", line(&self.json())?)?;
        } else {
            self.print(&mut out)?;
        }
        Ok(())
    }

    fn json(&self) -> serde_json::Value {
        let regions: Vec<_> = self
            .flashed
            .iter()
            .map(|part| {
                json!({
                    "name": part.name,
                    "address": format!("{:#010x}", part.address),
                    "bytes": part.length,
                    "written": part.written,
                    "verified": verified(part.verified).0,
                })
            })
            .collect();
        json!({
            "port": self.port,
            "chip": self.chip,
            "mac": self.mac,
            "flash_id": self.flash_id.map(|id| format!("{id:#08x}")),
            "flash_size": self.flash_size,
            "loader": self.loader,
            "baud": self.baud,
            "regions": regions,
            "boot": {
                "greeting": self.boot.greeting,
                "lines": self.boot.lines,
                "restarts": self.boot.restarts,
                "warning": self.boot.warning(),
            },
        })
    }

    fn print(&self, out: &mut impl Write) -> std::io::Result<()> {
        for part in &self.flashed {
            let done = if part.written { "written" } else { "unchanged" };
            writeln!(
                out,
                "{:#010x}  {:<28} {:>8} bytes, {done}, {}",
                part.address,
                part.name,
                part.length,
                verified(part.verified).1
            )?;
        }
        match &self.boot.greeting {
            Some(greeting) => writeln!(out, "the board says: {greeting}"),
            None => {
                self.boot
                    .lines
                    .iter()
                    .try_for_each(|line| writeln!(out, "the board says: {line}"))?;
                if self.boot.garbled {
                    let baud = self.boot.chip.boot_baud();
                    writeln!(out, "(it speaks at another speed than {baud} baud)")?;
                }
                Ok(())
            }
        }
    }
}

/// Describes the verification in one word, and in a few.
fn verified(verified: Verified) -> (&'static str, &'static str) {
    match verified {
        Verified::Fully => ("full", "every byte verified"),
        Verified::Sampled => ("sampled", "64 bytes of every sector verified"),
        Verified::No => ("no", "not verified"),
    }
}
