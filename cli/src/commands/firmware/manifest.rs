//! `target/pblink/manifest.json`: what was built, and where it belongs.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

use anyhow::Context;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::settings::Summary;
use super::sizes::Sizes;

/// The images of both boards, of the last build of each.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Manifest {
    /// Version of pblink that they were built with.
    version: String,
    /// The settings that are compiled into the STM32's program.
    #[serde(default)]
    pub(super) config: Option<Summary>,
    pub(super) images: Vec<Image>,
    pub(super) sizes: Vec<Sizes>,
}

/// One image.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Image {
    pub(super) board: String,
    /// Its name, beside the manifest.
    pub(super) file: String,
    /// Where it goes, in words.
    place: String,
    /// For the STM32 in the chip's address space, for the ESP8266 in its flash; none if it cannot be
    /// flashed.
    pub(super) address: Option<String>,
    size: usize,
    sha256: String,
    flashable: bool,
    /// Whether there is a WiFi password in it: only its owner can read the file.
    secret: bool,
}

/// Where an image goes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place {
    /// Into flash.
    Flash(u32),
    /// Into no chip.
    Emulator,
}

impl Image {
    /// Writes an image into `folder` and describes it.
    pub(super) fn write(
        board: &str,
        place: Place,
        bytes: &[u8],
        (folder, file): (&Path, &str),
        secret: bool,
    ) -> anyhow::Result<Self> {
        write(&folder.join(file), bytes, secret)?;
        let (place, address) = match place {
            Place::Flash(address) => ("flash of the chip", Some(format!("{address:#010x}"))),
            Place::Emulator => ("emulator only", None),
        };
        Ok(Self {
            board: board.to_owned(),
            file: file.to_owned(),
            place: place.to_owned(),
            flashable: address.is_some(),
            address,
            size: bytes.len(),
            sha256: sha256(bytes),
            secret,
        })
    }

    /// Whether its file is still the one that is described.
    fn is_there(&self, folder: &Path) -> bool {
        std::fs::read(folder.join(&self.file)).is_ok_and(|bytes| sha256(&bytes) == self.sha256)
    }
}

impl Manifest {
    pub(super) fn new() -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            config: None,
            images: Vec::new(),
            sizes: Vec::new(),
        }
    }

    /// What an earlier build left in `folder`.
    fn read(folder: &Path) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(folder.join(FILE)).ok()?).ok()
    }

    /// Takes over what an earlier build by this version left of `board`, if it is still whole.
    pub(super) fn keep(&mut self, board: &str, folder: &Path) {
        let Some(old) = Self::read(folder) else { return };
        let mut images: Vec<_> = old.images.into_iter().filter(|i| i.board == board).collect();
        if old.version == self.version && images.iter().all(|image| image.is_there(folder)) {
            self.images.append(&mut images);
            self.sizes.extend(old.sizes.into_iter().filter(|sizes| sizes.board == board));
            if board == super::STM32 {
                self.config = old.config;
            }
        }
    }

    /// Writes it, and removes images of the last one that are none any more: nobody shall flash them.
    pub(super) fn write(&self, folder: &Path) -> anyhow::Result<()> {
        let names = |manifest: &Self| -> Vec<String> {
            manifest.images.iter().map(|image| image.file.clone()).collect()
        };
        for old in Self::read(folder).iter().flat_map(names) {
            let ours = Path::new(&old).file_name().is_some_and(|name| name == &*old);
            if ours && !names(self).contains(&old) {
                let _ = std::fs::remove_file(folder.join(old));
            }
        }
        let mut json = serde_json::to_string_pretty(self)?;
        json.push('\n');
        // A password could be guessed from the check sum of the image that holds it.
        let secret = self.images.iter().any(|image| image.secret);
        write(&folder.join(FILE), json.as_bytes(), secret)
    }

    pub(super) fn print(&self, folder: &Path, out: &mut impl Write) -> std::io::Result<()> {
        super::sizes::print(&self.sizes, out)?;
        writeln!(out, "\nin {}:", folder.display())?;
        for Image { board, file, size, address, secret, .. } in &self.images {
            let place = match address {
                Some(address) => format!("for flash at {address}"),
                None => "for the emulator; it cannot be flashed".to_owned(),
            };
            let secret = if *secret { "; with the WiFi password" } else { "" };
            writeln!(out, "{board:<8} {file:<30} {size:>8} bytes, {place}{secret}")?;
        }
        writeln!(out, "         {FILE}")
    }
}

/// The manifest's name.
pub(super) const FILE: &str = "manifest.json";

/// In hexadecimal.
pub(super) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Writes a file anew. A secret one can only be read by its owner, from its first moment.
pub(super) fn write(path: &Path, bytes: &[u8], secret: bool) -> anyhow::Result<()> {
    let cannot = || format!("cannot write {}", path.display());
    if let Err(why) = std::fs::remove_file(path)
        && why.kind() != std::io::ErrorKind::NotFound
    {
        return Err(why).with_context(cannot);
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    if secret {
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    }
    #[cfg(not(unix))]
    let _ = secret;
    options.open(path).and_then(|mut file| file.write_all(bytes)).with_context(cannot)
}
