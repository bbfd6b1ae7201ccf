//! The start of the chip after a reset: its ROM loads the second boot loader from the beginning of flash, and that one
//! starts the application that a table of partitions names.
//!
//! Sources: "Boot Mode Selection" in the documentation of esptool for the ROM's words; "Bootloader", "Partition Tables"
//! and "App Image Format" in Espressif's ESP-IDF Programming Guide.

use md5::{Digest, Md5};
use sha2::Sha256;

use super::CHIP_ID;
use super::image::{APP, ENTRY, FLAGS_END, HEADERS, MD5_MARK, TABLE, TABLE_SIZE};
use crate::espressif::image::Image;

/// Pins at the reset when GPIO9 was low, and when it was not.
pub const PINS: [u32; 2] = [0x5, 0xc];

/// The reason for a reset, as the ROM says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// Power, or the button RESET.
    Power,
    /// A program or a loader asked for it.
    Software,
    /// The watchdog of the RTC.
    Watchdog,
}

impl Cause {
    fn words(self) -> &'static str {
        match self {
            Self::Power => "0x1 (POWERON)",
            Self::Software => "0x3 (RTC_SW_SYS_RST)",
            Self::Watchdog => "0x10 (RTCWDT_RTC_RST)",
        }
    }
}

/// Returns the first output of the ROM after a reset.
pub fn words(cause: Cause, loader: bool) -> String {
    let (pins, mode) = match loader {
        true => (PINS[0], "DOWNLOAD(USB/UART0/1)"),
        false => (PINS[1], "SPI_FAST_FLASH_BOOT"),
    };
    let saved = if cause == Cause::Software { "Saved PC:0x40048b82\r\n" } else { "" };
    let waits = if loader { "waiting for download\r\n" } else { "" };
    let cause = cause.words();
    format!(
        "ESP-ROM:esp32c3-api1-20210207\r\nBuild:Feb  7 2021\r\nrst:{cause},boot:{pins:#x} ({mode})\r\n{saved}{waits}"
    )
}

/// The outcome of a start from flash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    /// The output of ROM and second boot loader.
    pub words: String,
    /// A program runs.
    pub program: bool,
}

/// Starts from flash.
pub fn start(flash: &[u8]) -> Start {
    let mut words = String::new();
    let program = second_loader(flash, &mut words) && application(flash, &mut words);
    Start { words, program }
}

/// The ROM: loads the second boot loader, and returns true if it runs.
fn second_loader(flash: &[u8], words: &mut String) -> bool {
    let image = match image(flash) {
        Ok(image) => image,
        Err(Damage::Header) => {
            let header = flash.first_chunk().copied().map(u32::from_be_bytes).unwrap_or_default();
            // It repeats them until a watchdog resets the chip.
            *words += &format!("invalid header: {header:#010x}\r\n").repeat(5);
            return false;
        }
        Err(Damage::Sum(right, wrong)) => {
            *words += &format!(
                "Checksum failure. Calculated {right:#04x} stored {wrong:#04x}\r\nets_main.c 333 \r\n"
            );
            return false;
        }
        Err(Damage::Hash) => {
            *words += "SHA-256 comparison failed:\r\n";
            return false;
        }
    };
    *words += "SPIWP:0xee\r\nmode:DIO, clock div:1\r\n";
    for (address, bytes) in &image.segments {
        *words += &format!("load:{address:#010x},len:{:#x}\r\n", bytes.len());
    }
    let entry = flash[ENTRY..].first_chunk().copied().map(u32::from_le_bytes).unwrap_or_default();
    *words +=
        &format!("entry {entry:#010x}\r\nI (24) boot: ESP-IDF v5.5.1 2nd stage bootloader\r\n");
    true
}

/// The second boot loader: returns true if an application runs.
fn application(flash: &[u8], words: &mut String) -> bool {
    let Some(partitions) = partitions(flash) else {
        *words += "E (60) boot: Failed to verify partition table\r\n";
        return false;
    };
    // The factory's application, else the first one; data about updates over the air are not read.
    let apps = || partitions.iter().filter(|partition| partition.kind == APP);
    let chosen = apps().find(|partition| partition.subtype == 0).or_else(|| apps().next());
    let bytes = chosen.and_then(|app| flash.get(app.offset..app.offset.checked_add(app.size)?));
    match (chosen, bytes.map(image)) {
        (Some(app), Some(Ok(_))) => {
            *words +=
                &format!("I (110) boot: Loaded app from partition at offset {:#x}\r\n", app.offset);
            true
        }
        (Some(app), Some(Err(damage))) => {
            let why = match damage {
                Damage::Header => {
                    format!(
                        "image at {:#x} has invalid magic byte (nothing flashed here?)",
                        app.offset
                    )
                }
                Damage::Sum(right, wrong) => {
                    format!("Checksum failed. Calculated {right:#x} read {wrong:#x}")
                }
                Damage::Hash => "Image hash failed - image is corrupt".to_owned(),
            };
            *words += &format!("E (70) esp_image: {why}\r\n");
            *words += "E (80) boot: Factory app partition is not bootable\r\n";
            *words += "E (90) boot: No bootable app partitions in the partition table\r\n";
            false
        }
        _ => {
            *words += "E (90) boot: No bootable app partitions in the partition table\r\n";
            false
        }
    }
}

/// The fault of an image.
#[derive(Debug, PartialEq, Eq)]
enum Damage {
    /// No image of this chip begins here.
    Header,
    /// The check sum that it should have, and the one that it has.
    Sum(u8, u8),
    /// The SHA-256 behind it.
    Hash,
}

fn image(bytes: &[u8]) -> Result<Image, Damage> {
    let image = Image::read(bytes, HEADERS).ok_or(Damage::Header)?;
    let chip = u16::from_le_bytes([bytes[12], bytes[13]]);
    if chip != CHIP_ID {
        return Err(Damage::Header);
    }
    if !image.is_intact() {
        return Err(Damage::Sum(image.sums.0, image.sums.1));
    }
    // The last byte of the headers: a hash is appended.
    if bytes[FLAGS_END] == 1 {
        let hash = bytes.get(image.length..image.length + 32);
        if hash != Some(&Sha256::digest(&bytes[..image.length])[..]) {
            return Err(Damage::Hash);
        }
    }
    Ok(image)
}

struct Partition {
    kind: u8,
    subtype: u8,
    offset: usize,
    size: usize,
}

/// Returns the partitions of the table, if its MD5 is right.
fn partitions(flash: &[u8]) -> Option<Vec<Partition>> {
    let table = flash.get(TABLE..TABLE + TABLE_SIZE)?;
    let mut partitions = Vec::new();
    for (index, row) in table.chunks_exact(32).enumerate() {
        let number = |at: usize| row[at..].first_chunk().copied().map(u32::from_le_bytes);
        match (row[0], row[1]) {
            (0xaa, 0x50) => partitions.push(Partition {
                kind: row[2],
                subtype: row[3],
                offset: number(4)? as usize,
                size: number(8)? as usize,
            }),
            _ if row.starts_with(&MD5_MARK) => {
                let right = Md5::digest(&table[..index * 32]);
                return (row[16..] == right[..] && !partitions.is_empty()).then_some(partitions);
            }
            _ => return None,
        }
    }
    None
}
