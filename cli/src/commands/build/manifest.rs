//! `target/pblink/manifest.json`: what was built, and where it belongs.

use std::io::Write;
use std::path::Path;

use anyhow::Context;
use serde::Serialize;
use sha2::{Digest, Sha256};

/// The images of one build.
#[derive(Debug, Serialize)]
pub(super) struct Manifest {
    /// Version of pblink that they were built with.
    version: &'static str,
    images: Vec<Image>,
}

/// One image.
#[derive(Debug, Serialize)]
pub(super) struct Image {
    board: &'static str,
    /// Its name, beside the manifest.
    file: String,
    /// Where it belongs in the chip's address space; none if it cannot be flashed.
    address: Option<String>,
    size: usize,
    sha256: String,
    flashable: bool,
}

impl Image {
    /// Writes an image and describes it.
    pub(super) fn write(
        board: &'static str,
        address: Option<u32>,
        bytes: &[u8],
        path: &Path,
    ) -> anyhow::Result<Self> {
        std::fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let sha256 = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self {
            board,
            file,
            address: address.map(|address| format!("{address:#010x}")),
            size: bytes.len(),
            sha256,
            flashable: address.is_some(),
        })
    }
}

impl Manifest {
    pub(super) fn new(images: Vec<Image>) -> Self {
        Self { version: env!("CARGO_PKG_VERSION"), images }
    }

    pub(super) fn write(&self, path: &Path) -> anyhow::Result<()> {
        let mut json = serde_json::to_string_pretty(self)?;
        json.push('\n');
        std::fs::write(path, json).with_context(|| format!("cannot write {}", path.display()))
    }

    pub(super) fn print(&self, out: &mut impl Write) -> std::io::Result<()> {
        for image in &self.images {
            let place = match &image.address {
                Some(address) => format!("for flash at {address}"),
                None => "for the emulator; it cannot be flashed".to_owned(),
            };
            let Image { board, file, size, .. } = image;
            writeln!(out, "{board:<8} target/pblink/{file:<22} {size:>8} bytes, {place}")?;
        }
        Ok(())
    }
}
