//! Images for the STM32, and their addresses.

use std::path::Path;

use pblink_flash::stm32::PROGRAM;
use pblink_flash::{Error, Kind, Region, Result};
use pblink_image::stm32;

use crate::hardware::images::{REMEDY, bytes, number};

/// Reads a file that the user names, as `FILE` or `FILE@ADDR`.
pub(super) fn read(text: &str) -> Result<Region> {
    // A file name may have an @ itself.
    let (file, at) = match text.rsplit_once('@').map(|(file, at)| (file, number(at))) {
        Some((file, Some(at))) => (file, Some(at)),
        _ => (text, None),
    };
    let name = Path::new(file).file_name().unwrap_or_default().to_string_lossy().into_owned();
    let bytes = bytes(Path::new(file)).map_err(|error| {
        let cause = format!("{file} cannot be read: {error}");
        Error::new(Kind::Image, cause, REMEDY).from_source(error)
    })?;
    pblink_image::file::check(file, &bytes, at.is_none_or(|at| at == PROGRAM))?;
    if !bytes.starts_with(b"\x7fELF") {
        return Ok(Region { name, address: at.unwrap_or(PROGRAM), bytes });
    }
    if at.is_some() {
        let cause = format!("{file} is an ELF file, which has its own addresses");
        return Err(Error::new(Kind::Image, cause, "leave the address behind the @ out"));
    }
    let flash = stm32::flash(&bytes).map_err(|why| {
        let remedy = "name the ELF file of a program for the STM32, or its bytes (.bin)";
        Error::new(Kind::Image, format!("{file} cannot be flashed: {why}"), remedy)
    })?;
    Ok(Region { name, address: flash.address, bytes: flash.bytes })
}
