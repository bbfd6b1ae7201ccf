//! The tables that `pblink build` prints.

use std::io::Write;
use std::path::Path;

use pblink_image::manifest::{FILE, Image, Manifest};
use pblink_image::sizes::Sizes;

/// Prints the sizes of all programs, then all images with their places.
pub(super) fn print(
    manifest: &Manifest,
    folder: &Path,
    out: &mut impl Write,
) -> std::io::Result<()> {
    sizes(&manifest.sizes, out)?;
    writeln!(out, "\nin {}:", folder.display())?;
    for Image { board, file, size, address, secret, .. } in &manifest.images {
        let place = match address {
            Some(address) => format!("for flash at {address}"),
            None => "for the emulator; it cannot be flashed".to_owned(),
        };
        let secret = if *secret { "; with the WiFi password" } else { "" };
        writeln!(out, "{board:<8} {file:<30} {size:>8} bytes, {place}{secret}")?;
    }
    writeln!(out, "         {FILE}")
}

/// Writes the table of all programs.
fn sizes(sizes: &[Sizes], out: &mut impl Write) -> std::io::Result<()> {
    let columns = ["flash", "RAM", "code RAM"];
    let [flash, ram, code] = columns;
    writeln!(out, "{:<8} {:<26} {flash:>17} {ram:>17} {code:>17}", "board", "program")?;
    for Sizes { board, program, memories } in sizes {
        let cells = columns.map(|column| {
            let memory = memories.iter().find(|memory| memory.name == column);
            memory.map_or(String::new(), |m| format!("{} of {}", m.used, m.of))
        });
        let [flash, ram, code] = cells;
        let row = format!("{board:<8} {program:<26} {flash:>17} {ram:>17} {code:>17}");
        writeln!(out, "{}", row.trim_end())?;
    }
    Ok(())
}
