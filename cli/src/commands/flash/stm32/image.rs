//! Which bytes go where.

use std::fs;
use std::path::Path;

use anyhow::Context;
use pblink_flash::stm32::PROGRAM;
use pblink_flash::{Error, Kind, Region, Result};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::commands::build::images;
use crate::exit::{Exit, Failed};
use crate::source;

/// The part of `target/pblink/manifest.json` that matters here.
#[derive(Debug, Deserialize)]
struct Manifest {
    images: Vec<Built>,
}

#[derive(Debug, Deserialize)]
struct Built {
    board: String,
    file: String,
    address: Option<String>,
    sha256: String,
}

/// What `pblink build` made for the STM32.
pub(super) fn built(folder: Option<&Path>) -> anyhow::Result<Region> {
    let folder = source::find(folder)?.join("target/pblink");
    let fail = |what: String| Failed::with(Exit::Failure, what);
    let path = folder.join("manifest.json");
    let text = fs::read_to_string(&path).map_err(|error| {
        fail(format!(
            "there is no image: {} cannot be read ({error})\n  \
             run `pblink build stm32`, or name a file with --image",
            path.display()
        ))
    })?;
    let manifest: Manifest =
        serde_json::from_str(&text).with_context(|| format!("{} is damaged", path.display()))?;
    let image = manifest.images.into_iter().find(|image| image.board == "stm32");
    let image = image.and_then(|image| Some((address(image.address.as_deref()?)?, image)));
    let Some((address, image)) = image else {
        return Err(fail(format!(
            "{} lists no image for the STM32\n  run `pblink build stm32`, or name a file with --image",
            path.display()
        )));
    };
    let file = folder.join(&image.file);
    let bytes = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let sum: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    if sum != image.sha256 {
        return Err(fail(format!(
            "{} is not what was built: its check sum is not that of the manifest\n  \
             run `pblink build stm32` again",
            file.display()
        )));
    }
    Ok(Region { name: image.file, address, bytes })
}

/// A file that the user names, as `FILE` or `FILE@ADDR`.
pub(super) fn read(text: &str) -> Result<Region> {
    // A file name may have an @ itself.
    let (file, at) = match text.rsplit_once('@').map(|(file, at)| (file, address(at))) {
        Some((file, Some(at))) => (file, Some(at)),
        _ => (text, None),
    };
    let name = Path::new(file).file_name().unwrap_or_default().to_string_lossy().into_owned();
    let bytes = fs::read(file).map_err(|error| {
        let cause = format!("{file} cannot be read: {error}");
        Error::new(Kind::Image, cause, "check the name behind --image").from_source(error)
    })?;
    if bytes.starts_with(b"DfuSe") {
        let cause = format!(
            "{file} is a DfuSe file, as MicroPython publishes them, and not a program itself"
        );
        let remedy = "name an ELF or .bin file, or write it with `dfu-util -a 0 -D FILE`";
        return Err(Error::new(Kind::Image, cause, remedy));
    }
    if !bytes.starts_with(b"\x7fELF") {
        return Ok(Region { name, address: at.unwrap_or(PROGRAM), bytes });
    }
    if at.is_some() {
        let cause = format!("{file} is an ELF file, which has its own addresses");
        return Err(Error::new(Kind::Image, cause, "leave the address behind the @ out"));
    }
    let flash = images::flash(&bytes).map_err(|why| {
        let remedy = "name the ELF file of a program for the STM32, or its bytes (.bin)";
        Error::new(Kind::Image, format!("{file} cannot be flashed: {why}"), remedy)
    })?;
    Ok(Region { name, address: flash.address, bytes: flash.bytes })
}

/// A number, in hexadecimal if it begins with `0x`.
fn address(text: &str) -> Option<u32> {
    match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}
