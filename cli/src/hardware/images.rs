//! Images to flash: files that the user names, or those that `pblink build` made.

use std::path::{Path, PathBuf};

use pblink_flash::{Error, Kind, Region};
use pblink_image::manifest::{FILE, Manifest, sha256};

use super::checkout;
use super::error::failed;
use crate::exit::{Exit, Failed};

/// A file and its address, as on the command line: `FILE` or `FILE@ADDRESS`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// The file.
    pub path: PathBuf,
    /// Its address in flash.
    pub address: u32,
}

impl std::str::FromStr for Named {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // A path may have an @ of its own; an address follows the last one.
        let (path, address) = match text.rsplit_once('@') {
            None => (text, 0),
            Some((path, address)) => match number(address) {
                Some(address) => (path, address),
                None if address.starts_with(|c: char| c.is_ascii_digit()) => {
                    return Err(format!("{address} is not an address; write it like 0x10000"));
                }
                None => (text, 0),
            },
        };
        if path.is_empty() {
            return Err("the file is missing before the @".to_owned());
        }
        Ok(Self { path: path.into(), address })
    }
}

/// Parses `0x1000` or `4096`.
pub(crate) fn number(text: &str) -> Option<u32> {
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

/// Remedy when a file cannot be read. A wrong address is taken for a part of its name.
pub(crate) const REMEDY: &str =
    "check the name behind --image; an address is written like FILE@0x10000";

/// Reads the named files.
pub(crate) fn read(named: &[Named]) -> anyhow::Result<Vec<Region>> {
    named
        .iter()
        .map(|Named { path, address }| {
            let bytes = std::fs::read(path).map_err(|error| {
                let cause = format!("cannot read the image {}: {error}", path.display());
                failed(Error::new(Kind::Image, cause, REMEDY).from_source(error))
            })?;
            let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
            Ok(Region { name, address: *address, bytes })
        })
        .collect()
}

/// Returns the files that `pblink build` made for a board, each compared with its hash.
///
/// # Errors
/// [`Exit::Config`] if there are none, or they are not what was built.
pub(crate) fn built(board: &str, source: Option<&Path>) -> anyhow::Result<Vec<Region>> {
    let folder = checkout::find(source)?.join("target/pblink");
    let path = folder.join(FILE);
    let again = format!("run `pblink build {board}`, or name a file with --image");
    let config = |message: String| Failed::with(Exit::Config, message);
    let text = std::fs::read_to_string(&path).map_err(|e| {
        config(format!("nothing was built, {} is missing ({e}): {again}", path.display()))
    })?;
    let manifest: Manifest = serde_json::from_str(&text)
        .map_err(|e| config(format!("{} cannot be understood ({e}): {again}", path.display())))?;
    let (images, others): (Vec<_>, Vec<_>) = (manifest.images.into_iter())
        .filter(|image| image.board == board)
        .partition(|image| image.flashable);
    if images.is_empty() {
        return Err(config(match others.is_empty() {
            true => format!("nothing was built for the {board}: {again}"),
            false => format!(
                "what was built for the {board} is for the emulator only\n  \
                 `pblink doctor` says what is missing for one that can be flashed; or name a file with \
                 --image"
            ),
        }));
    }
    images
        .into_iter()
        .map(|image| {
            let path = folder.join(&image.file);
            let bytes = std::fs::read(&path)
                .map_err(|e| config(format!("cannot read {} ({e}): {again}", path.display())))?;
            let address = image.address.as_deref().and_then(number);
            match address {
                Some(address) if sha256(&bytes) == image.sha256 => {
                    Ok(Region { name: image.file, address, bytes })
                }
                _ => Err(config(format!(
                    "{} is not what the manifest says, it was changed after it was built: {again}",
                    path.display()
                ))),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_have_addresses() {
        let parse = |text: &str| text.parse::<Named>();
        let named = |path: &str, address| Ok(Named { path: path.into(), address });
        assert_eq!(parse("a.bin"), named("a.bin", 0));
        assert_eq!(parse("a.bin@0x10000"), named("a.bin", 0x10000));
        assert_eq!(parse("a.bin@4096"), named("a.bin", 4096));
        assert_eq!(parse("me@home/a.bin"), named("me@home/a.bin", 0));
        assert_eq!(parse("me@home/a.bin@0x1000"), named("me@home/a.bin", 0x1000));
        assert!(parse("a.bin@0x").unwrap_err().contains("0x10000"));
        assert!(parse("a.bin@99999999999").unwrap_err().contains("is not an address"));
        assert!(parse("@0x1000").unwrap_err().contains("file"));
    }
}
