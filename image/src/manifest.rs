//! `manifest.json`: what was built, and where it belongs.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::sizes::Sizes;
use crate::{Error, Result};

/// The manifest's name, beside the images.
pub const FILE: &str = "manifest.json";

/// The STM32, as a manifest names it.
pub const STM32: &str = "stm32";

/// The ESP8266, as a manifest names it.
pub const ESP8266: &str = "esp8266";

/// The ESP32-C3, as a manifest names it.
pub const ESP32C3: &str = "esp32c3";

/// The images of all boards, of the last build of each.
#[derive(Debug, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of pblink that they were built with; empty if it is not known.
    #[serde(default)]
    pub version: String,
    /// The settings that are compiled into the STM32's program.
    #[serde(default)]
    pub config: Option<Summary>,
    /// The images.
    pub images: Vec<Image>,
    /// The memory that each program needs.
    #[serde(default)]
    pub sizes: Vec<Sizes>,
}

/// The settings that are compiled into a program, without the password.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Their origin: the configuration file, or "defaults".
    pub source: String,
    /// The board's id.
    pub id: String,
    /// The server's address.
    pub server: String,
    /// The server's port.
    pub port: u16,
    /// Milliseconds without data after which the link counts as down.
    pub timeout_ms: u32,
    /// The network's name; empty: the one that the ESP8266 remembers.
    pub ssid: String,
    /// True if there is a password, which itself appears nowhere.
    pub password: bool,
    /// Of the encoded settings, but without the password: it could be guessed from the sum.
    pub sha256: String,
}

/// One image.
#[derive(Debug, Serialize, Deserialize)]
pub struct Image {
    /// [`STM32`], [`ESP8266`] or [`ESP32C3`].
    pub board: String,
    /// Its name, beside the manifest.
    pub file: String,
    /// Its place, in words.
    #[serde(default)]
    pub place: String,
    /// For the STM32 in the chip's address space, for a coprocessor in its flash; none if it cannot be
    /// flashed.
    pub address: Option<String>,
    /// Bytes.
    #[serde(default)]
    pub size: usize,
    /// Of its bytes, see [`sha256`].
    pub sha256: String,
    /// False: it is for the emulator.
    pub flashable: bool,
    /// True if there is a WiFi password in it: only its owner can read the file.
    #[serde(default)]
    pub secret: bool,
}

/// The place of an image.
#[derive(Debug, Clone, Copy)]
pub enum Place {
    /// Into flash.
    Flash(u32),
    /// Into no chip.
    Emulator,
}

impl Image {
    /// Writes an image into `folder` and describes it.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(
        board: &str,
        place: Place,
        bytes: &[u8],
        (folder, file): (&Path, &str),
        secret: bool,
    ) -> Result<Self> {
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

    /// Returns true if its file is still the one that is described.
    fn is_there(&self, folder: &Path) -> bool {
        std::fs::read(folder.join(&self.file)).is_ok_and(|bytes| sha256(&bytes) == self.sha256)
    }
}

impl Manifest {
    /// One without images, of this version of pblink.
    pub fn new(version: &str) -> Self {
        Self { version: version.to_owned(), config: None, images: Vec::new(), sizes: Vec::new() }
    }

    /// Reads what an earlier build left in `folder`.
    fn read(folder: &Path) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(folder.join(FILE)).ok()?).ok()
    }

    /// Takes over what an earlier build by this version left of `board`, if it is still whole.
    pub fn keep(&mut self, board: &str, folder: &Path) {
        let Some(old) = Self::read(folder) else { return };
        let mut images: Vec<_> = old.images.into_iter().filter(|i| i.board == board).collect();
        if old.version == self.version && images.iter().all(|image| image.is_there(folder)) {
            self.images.append(&mut images);
            self.sizes.extend(old.sizes.into_iter().filter(|sizes| sizes.board == board));
            if board == STM32 {
                self.config = old.config;
            }
        }
    }

    /// Writes it, and removes the last one's images that are not in it: they must not be flashed.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let names = |manifest: &Self| -> Vec<String> {
            manifest.images.iter().map(|image| image.file.clone()).collect()
        };
        for old in Self::read(folder).iter().flat_map(names) {
            let ours = Path::new(&old).file_name().is_some_and(|name| name == &*old);
            if ours && !names(self).contains(&old) {
                let _ = std::fs::remove_file(folder.join(old));
            }
        }
        let path = folder.join(FILE);
        let mut json =
            serde_json::to_string_pretty(self).map_err(|why| cannot_write(&path, &why))?;
        json.push('\n');
        // A password could be guessed from the check sum of the image that holds it.
        let secret = self.images.iter().any(|image| image.secret);
        write(&path, json.as_bytes(), secret)
    }
}

/// The SHA-256 in hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Writes a file anew. A secret one can only be read by its owner, from its first moment.
///
/// # Errors
/// The file cannot be replaced or written.
pub fn write(path: &Path, bytes: &[u8], secret: bool) -> Result<()> {
    if let Err(why) = std::fs::remove_file(path)
        && why.kind() != std::io::ErrorKind::NotFound
    {
        return Err(cannot_write(path, &why));
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    if secret {
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    }
    #[cfg(not(unix))]
    let _ = secret;
    options
        .open(path)
        .and_then(|mut file| file.write_all(bytes))
        .map_err(|why| cannot_write(path, &why))
}

fn cannot_write(path: &Path, why: &dyn std::error::Error) -> Error {
    Error::new(
        format!("cannot write {}: {why}", path.display()),
        "make its folder one that you may write to and that has room, and try again",
    )
}
