//! The sectors that Espressif's SDK keeps for itself, and what they hold at first.

use super::elf::{FlashFrequency, FlashMode, FlashParameters, FlashSize, Image, patch};
use crate::{Error, Region, Result};

/// A sector of the flash.
const SECTOR: u32 = 0x1000;
/// `SYSTEM_PARTITION_RF_CAL` and the next two in the SDK's `user_interface.h`, with their sizes.
const KINDS: [(u32, u32); 3] = [(4, SECTOR), (5, SECTOR), (6, 3 * SECTOR)];

/// Returns all that an erased chip needs, by address: the program from the linker's ELF file, the SDK's initial data
/// (`bin/esp_init_data_default_v08.bin`) and its `bin/blank.bin`. Flash size and places are those that the
/// program registers.
///
/// # Errors
/// An [`Error`] if the ELF file makes no image, or registers places that do not go with it.
pub fn regions(
    elf: &[u8],
    mode: FlashMode,
    frequency: FlashFrequency,
    init_data: &[u8],
    blank: &[u8],
) -> Result<Vec<Region>> {
    let mut flash = FlashParameters { mode, frequency, size: FlashSize::Mb1 };
    let mut image = Image::from_elf(elf, flash)?;
    let sectors = SystemSectors::registered(&image.clone().into_regions())?;
    let wrong = |cause: String| {
        let remedy = "correct the table of partitions in the ESP8266's program";
        Error::new(cause, remedy)
    };
    flash.size = sectors.flash_size().ok_or_else(|| {
        let at = sectors.parameters;
        wrong(format!(
            "the program keeps the SDK's parameters at {at:#x}, which no flash size allows"
        ))
    })?;
    patch(&mut image.boot.bytes, flash)?;
    let mut regions = image.into_regions();
    regions.extend(sectors.regions(init_data, blank)?);
    regions.sort_by_key(|region| region.address);
    for pair in regions.windows(2) {
        if pair[0].end() > pair[1].address.into() {
            let (first, second) = (&pair[0].name, &pair[1].name);
            return Err(wrong(format!("{first} and {second} overlap in flash")));
        }
    }
    Ok(regions)
}

/// The places of the SDK's own data. The program registers them with `system_partition_table_regist`, which
/// refuses (and with it the program stops) unless
/// - the parameters are the last three sectors of the flash size in the image's header, and
/// - that size is 1, 2 or 4 MB (or a larger one that no image of ours has).
///
/// So the header must have the size that the program was compiled for, not that of the chip, which may
/// be larger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SystemSectors {
    /// Calibration of the radio, one sector.
    pub rf_cal: u32,
    /// The radio's initial data, one sector.
    pub phy_data: u32,
    /// Parameters, such as the network to remember; three sectors, the last ones of the flash.
    pub parameters: u32,
}

impl SystemSectors {
    /// Returns those of a flash of this size, as the SDK's documentation recommends them.
    pub const fn of(size: FlashSize) -> Self {
        let end = size.bytes();
        Self { rf_cal: end - 5 * SECTOR, phy_data: end - 4 * SECTOR, parameters: end - 3 * SECTOR }
    }

    /// Returns those that a program registers: finds its table of partitions among its bytes, in any of the
    /// files of its image.
    ///
    /// # Errors
    /// An [`Error`] if there is no table, or more than one.
    pub fn registered(files: &[Region]) -> Result<Self> {
        let mut found = tables(files);
        match (found.next(), found.next()) {
            (Some(one), None) => Ok(one),
            (first, _) => Err(Error::new(
                format!(
                    "the program registers {} places for the SDK's own data",
                    if first.is_none() { "no" } else { "several" }
                ),
                "build it again with `pblink build esp8266`, from unchanged sources",
            )),
        }
    }

    /// Returns true if a program registers places, once or more often.
    pub(super) fn are_registered(files: &[Region]) -> bool {
        tables(files).next().is_some()
    }

    /// Returns the flash size that the image's header must have; `None` if no size goes with these sectors.
    pub fn flash_size(self) -> Option<FlashSize> {
        let fits = |size: &FlashSize| {
            // The SDK refuses 512 KB.
            *size != FlashSize::Kb512 && Self::of(*size).parameters == self.parameters
        };
        FlashSize::ALL.into_iter().find(fits)
    }

    /// Returns the bytes that belong there before the program starts for the first time: the SDK's files
    /// `bin/esp_init_data_default_v08.bin` and `bin/blank.bin`.
    ///
    /// # Errors
    /// An [`Error`] if a file is empty or too long for its sector.
    pub fn regions(self, init_data: &[u8], blank: &[u8]) -> Result<Vec<Region>> {
        let file = |name: &str, address, bytes: &[u8]| {
            if bytes.is_empty() || bytes.len() > SECTOR as usize {
                return Err(Error::new(
                    format!("the SDK's {name} has {} bytes instead of 1 to {SECTOR}", bytes.len()),
                    "download the SDK again: https://github.com/espressif/ESP8266_NONOS_SDK",
                ));
            }
            Ok(Region { name: name.to_owned(), address, bytes: bytes.to_vec() })
        };
        Ok(vec![
            file("blank.bin", self.rf_cal, blank)?,
            file("esp_init_data_default_v08.bin", self.phy_data, init_data)?,
            // Where Espressif's guide writes the second one.
            file("blank.bin", self.parameters + SECTOR, blank)?,
        ])
    }
}

fn word(bytes: &[u8]) -> u32 {
    bytes.iter().rev().fold(0, |word, byte| word << 8 | u32::from(*byte))
}

/// Returns the tables of partitions among the words of files.
fn tables(files: &[Region]) -> impl Iterator<Item = SystemSectors> {
    files.iter().flat_map(|file| {
        // Words, of which those in RAM begin behind headers of whole words.
        file.bytes
            .chunks_exact(4)
            .map(word)
            .collect::<Vec<_>>()
            .windows(9)
            .filter_map(table)
            .collect::<Vec<_>>()
    })
}

/// Three entries of a `partition_item_t`: kind, address, size.
fn table(words: &[u32]) -> Option<SystemSectors> {
    let entries = words.chunks_exact(3);
    let ours = entries.zip(KINDS).all(|(entry, (kind, size))| entry[0] == kind && entry[2] == size);
    ours.then(|| SystemSectors { rf_cal: words[1], phy_data: words[4], parameters: words[7] })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(words: &[u32]) -> Region {
        let bytes = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        Region { name: "boot".into(), address: 0, bytes }
    }

    const TABLE: [u32; 9] = [4, 0xf_b000, 0x1000, 5, 0xf_c000, 0x1000, 6, 0xf_d000, 0x3000];

    #[test]
    fn the_sectors_are_those_of_the_sdk_s_documentation() {
        for (size, rf_cal, phy_data, parameters) in [
            (FlashSize::Kb512, 0x7_b000, 0x7_c000, 0x7_d000),
            (FlashSize::Mb1, 0xf_b000, 0xf_c000, 0xf_d000),
            (FlashSize::Mb2, 0x1f_b000, 0x1f_c000, 0x1f_d000),
            (FlashSize::Mb4, 0x3f_b000, 0x3f_c000, 0x3f_d000),
        ] {
            let sectors = SystemSectors::of(size);
            assert_eq!(sectors, SystemSectors { rf_cal, phy_data, parameters });
            let runs = (size != FlashSize::Kb512).then_some(size);
            assert_eq!(sectors.flash_size(), runs);
        }
    }

    #[test]
    fn the_registered_table_is_found_among_other_words() {
        let mut words = vec![0xe9, 1, 4, 0xf_b000, 0x1000, 5];
        words.extend(TABLE);
        words.push(7);
        let found = SystemSectors::registered(&[file(&[1, 2]), file(&words)]).unwrap();
        assert_eq!(found, SystemSectors::of(FlashSize::Mb1));
        assert_eq!(found.flash_size(), Some(FlashSize::Mb1));
    }

    #[test]
    fn no_table_and_two_tables_are_errors() {
        let none = SystemSectors::registered(&[file(&TABLE[..8])]).unwrap_err();
        assert!(none.cause().contains("registers no places"), "{none}");
        let two = SystemSectors::registered(&[file(&TABLE), file(&TABLE)]).unwrap_err();
        assert!(two.cause().contains("several"), "{two}");
    }

    #[test]
    fn blank_and_initial_data_have_their_places() {
        let sectors = SystemSectors::of(FlashSize::Mb4);
        let regions = sectors.regions(&[5; 128], &[0xff; 4096]).unwrap();
        let places: Vec<_> = regions.iter().map(|r| (r.address, r.bytes.len())).collect();
        assert_eq!(places, [(0x3f_b000, 4096), (0x3f_c000, 128), (0x3f_e000, 4096)]);
        for (init, blank) in [(0, 4096), (128, 4097), (4097, 1)] {
            let refused = sectors.regions(&vec![0; init], &vec![0; blank]);
            assert!(refused.unwrap_err().cause().contains("instead of 1 to 4096"));
        }
    }
}
