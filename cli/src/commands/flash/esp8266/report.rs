//! The result of flashing an ESP8266, for people and for programs.

use std::io::Write;

use pblink_flash::esp8266::{self, Boot, Device, Flashed, Verified};
use serde_json::json;

/// Result of flashing an ESP8266.
pub(super) struct Report {
    pub(super) port: String,
    pub(super) device: Device,
    pub(super) loader: &'static str,
    pub(super) baud: u32,
    pub(super) flashed: Vec<Flashed>,
    pub(super) boot: Boot,
}

impl Report {
    pub(super) fn json(&self) -> serde_json::Value {
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
            "chip": self.device.chip,
            "mac": self.device.mac.to_string(),
            "flash_id": format!("{:#08x}", self.device.flash_id),
            "flash_size": self.device.flash_size,
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

    pub(super) fn print(&self, out: &mut impl Write) -> std::io::Result<()> {
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
                    writeln!(out, "(it speaks at another speed than {} baud)", esp8266::BOOT_BAUD)?;
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
