//! The three files of a program, from the linker's ELF file, as Espressif's own tools make them.

use espflash::flasher::{FlashData, FlashFrequency, FlashMode, FlashSettings, FlashSize};
use espflash::image_format::idf::IdfBootloaderFormat;
use espflash::target::{Chip, XtalFrequency};

use super::{BOOTLOADER, TABLE, check};
use crate::{Error, Region, Result};

/// Returns what belongs into the flash: bootloader, table of partitions and program, each with its address.
///
/// The header says 2 MB, the smallest that these chips have: a larger flash works as well, and the program needs no more.
///
/// # Errors
/// The file is no ELF file of an ESP32-C3 program, or it is too large for the table.
pub fn regions(elf: &[u8]) -> Result<Vec<Region>> {
    let settings = FlashSettings::new(
        Some(FlashMode::Dio),
        Some(FlashSize::_2Mb),
        Some(FlashFrequency::_40Mhz),
    );
    let flash = FlashData::new(settings, 0, None, Chip::Esp32c3, XtalFrequency::_40Mhz);
    let unusable = |why: String| {
        Error::new(
            format!("no image for an ESP32-C3 can be made of it: {why}"),
            "take the ELF file that `pblink build esp32c3` or cargo makes for riscv32imc-unknown-none-elf",
        )
    };
    let made = IdfBootloaderFormat::new(elf, &flash, None, None, Some(TABLE), None)
        .map_err(|error| unusable(error.to_string()))?;
    let regions: Vec<_> = made
        .flash_segments()
        .map(|part| {
            let name = match part.addr {
                BOOTLOADER => "esp32c3-bootloader.bin",
                TABLE => "esp32c3-partitions.bin",
                _ => "esp32c3.bin",
            };
            Region { name: name.to_owned(), address: part.addr, bytes: part.data.into_owned() }
        })
        .collect();
    for region in regions.iter().filter(|region| region.address != TABLE) {
        check(&region.bytes).map_err(|flaw| unusable(flaw.to_string()))?;
    }
    Ok(regions)
}
