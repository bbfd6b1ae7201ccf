//! Images to flash: files that the user names, or those that `pblink build` made.

use std::io::Read;
use std::path::{Path, PathBuf};

use pblink_flash::{Error, Kind, Region};
use pblink_image::file;
use pblink_image::manifest::{ESP32C3, ESP8266, FILE, Image, Manifest, sha256};

use super::checkout;
use super::error::failed;
use crate::exit::{Exit, Failed};
use crate::output::diagnostics;

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

/// Reads the named files, and of a folder with a manifest what is for the board.
///
/// # Errors
/// If one cannot be read; [`Exit::Config`] for a folder that has nothing for the board.
pub(crate) fn read(named: &[Named], board: &str) -> anyhow::Result<Vec<Region>> {
    let mut regions = Vec::new();
    for Named { path, address } in named {
        if path.is_dir() && *address == 0 {
            regions.extend(of_folder(path, board, &how_to_get(board))?);
            continue;
        }
        let bytes = bytes(path).map_err(|error| {
            let cause = format!("cannot read the image {}: {error}", path.display());
            failed(Error::new(Kind::Image, cause, REMEDY).from_source(error))
        })?;
        file::check(&path.to_string_lossy(), &bytes, *address == 0)
            .map_err(|error| failed(error.into()))?;
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        regions.push(Region { name, address: *address, bytes });
    }
    Ok(regions)
}

/// Reads a file, unless it is longer than any program with all that a compiler adds to it.
pub(crate) fn bytes(path: &Path) -> std::io::Result<Vec<u8>> {
    const MOST: u64 = 256 << 20;
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(MOST + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > MOST {
        true => Err(std::io::Error::other("it has more than 256 MB")),
        false => Ok(bytes),
    }
}

/// Returns true if a folder is among these: what is in it was made by `pblink build`.
pub(crate) fn has_folder(named: &[Named]) -> bool {
    named.iter().any(|named| named.path.is_dir())
}

/// Returns the files that `pblink build` made for a board, each compared with its hash. Where there are no sources: those
/// of the application around the current folder, else those that are part of this program.
///
/// # Errors
/// [`Exit::Config`] if there are none, or they are not what was built.
pub(crate) fn built(board: &str, source: Option<&Path>) -> anyhow::Result<Vec<Region>> {
    let why = match checkout::find(source) {
        Ok(folder) => return of_folder(&folder.join("target/pblink"), board, &how_to_get(board)),
        Err(why) if source.is_some() => return Err(why),
        Err(why) => why,
    };
    match built_here() {
        Some(folder) => of_folder(&folder, board, &how_to_get(board)),
        None => embedded(board, MANIFEST, FILES).ok_or(why)?,
    }
}

/// Returns the folder with what was built of the application around the current folder.
fn built_here() -> Option<PathBuf> {
    let here = std::env::current_dir().ok()?;
    let mut folders = here.ancestors().map(|folder| folder.join("target/pblink"));
    folders.find(|folder| folder.join(FILE).is_file())
}

// `MANIFEST` and `FILES`: build.rs writes them, empty without the feature `embedded-images`.
include!(concat!(env!("OUT_DIR"), "/embedded.rs"));

/// Returns the images for a board that are part of this program, if there are any.
fn embedded(
    board: &str,
    manifest: &str,
    files: &[(&str, &[u8])],
) -> Option<anyhow::Result<Vec<Region>>> {
    let manifest: Manifest = serde_json::from_str(manifest).ok()?;
    manifest.images.iter().find(|image| image.board == board && image.flashable)?;
    diagnostics::note(format_args!(
        "there are no sources of pblink here: this takes the program for the {board} that is part of \
         pblink {}",
        env!("CARGO_PKG_VERSION")
    ));
    let read = |name: &str| {
        let file = files.iter().find(|(file, _)| *file == name);
        file.map(|(_, bytes)| bytes.to_vec()).ok_or_else(|| std::io::ErrorKind::NotFound.into())
    };
    Some(of_manifest(manifest, Path::new("pblink"), board, "name a file with --image", read))
}

/// Returns what to do when there is no image for a board.
fn how_to_get(board: &str) -> String {
    let mut text = format!("run `pblink build {board}`, or name a file with --image");
    if matches!(board, ESP8266 | ESP32C3) {
        text += &format!(
            "\n  releases of pblink have one that is built: unpack pblink-{board}-VERSION.tar.gz, and name its folder \
             with --image"
        );
    }
    text
}

/// Returns the files for a board in a folder with a manifest. `again`: what to do without them.
fn of_folder(folder: &Path, board: &str, again: &str) -> anyhow::Result<Vec<Region>> {
    let path = folder.join(FILE);
    let config = |message: String| Failed::with(Exit::Config, message);
    let text = std::fs::read_to_string(&path).map_err(|e| {
        config(format!(
            "there are no images in {}, {FILE} is missing ({e}): {again}",
            folder.display()
        ))
    })?;
    let manifest: Manifest = serde_json::from_str(&text)
        .map_err(|e| config(format!("{} cannot be understood ({e}): {again}", path.display())))?;
    of_manifest(manifest, folder, board, again, |name| std::fs::read(folder.join(name)))
}

/// Returns the files for a board that a manifest names, each compared with its hash.
fn of_manifest(
    manifest: Manifest,
    folder: &Path,
    board: &str,
    again: &str,
    read: impl Fn(&str) -> std::io::Result<Vec<u8>>,
) -> anyhow::Result<Vec<Region>> {
    let config = |message: String| Failed::with(Exit::Config, message);
    let (images, others): (Vec<_>, Vec<_>) = (manifest.images.into_iter())
        .filter(|image| image.board == board)
        .partition(|image| image.flashable);
    if images.is_empty() {
        return Err(config(match others.is_empty() {
            true => format!("nothing was built for the {board}: {again}"),
            false => format!(
                "what was built for the {board} is for the emulator only\n  \
                 `pblink doctor` says what is missing for one that can be flashed; or {again}"
            ),
        }));
    }
    let region = |image: Image| {
        let path = folder.join(&image.file);
        let bytes = read(&image.file)
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
    };
    images.into_iter().map(region).collect()
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

    #[test]
    fn what_is_part_of_the_program_is_compared_with_its_hash() {
        let bytes: &[u8] = b"a program";
        let manifest = |sum: &str| {
            serde_json::json!({ "version": "0.1.0", "images": [
                { "board": "stm32", "file": "demo.bin", "address": "0x08000000", "sha256": sum, "flashable": true },
                { "board": "esp8266", "file": "x.elf", "address": null, "sha256": "", "flashable": false },
            ] })
            .to_string()
        };
        let good = manifest(&sha256(bytes));
        let files = [("demo.bin", bytes)];
        let regions = embedded("stm32", &good, &files).unwrap().unwrap();
        assert_eq!((regions[0].address, &*regions[0].bytes), (0x0800_0000, bytes));
        let why = embedded("stm32", &manifest("00"), &files).unwrap().unwrap_err().to_string();
        assert!(why.contains("is not what the manifest says"), "{why}");
        let why = embedded("stm32", &good, &[]).unwrap().unwrap_err().to_string();
        assert!(why.contains("cannot read pblink/demo.bin"), "{why}");
        // Without images, and for a board that has none.
        assert!(embedded("stm32", "", &[]).is_none());
        assert!(embedded("esp8266", &good, &files).is_none());
    }
}
