//! Files as Espressif's SDK makes them, known by their places in flash.
//!
//! Sources: the SDK's getting started guide, "Flash maps" (with and without updates over the air), and
//! `SYSTEM_PARTITION_*` in its `user_interface.h`.

use std::fmt;

use super::layout::SystemSectors;
use crate::Region;
use crate::program::MAGIC;

/// First byte of a program that `boot.bin` starts.
const USER_MAGIC: u8 = 0xea;

/// Places of the code beside a program that the ROM starts: SDK 2 and 3, and the older ones.
const CODE: [u32; 3] = [0x1_0000, 0x2_0000, 0x4_0000];

/// Places of `user1.bin`, and of `user2.bin` in flash of halves of 256 KB, 512 KB and 1 MB.
const USER: [u32; 4] = [0x1000, 0x4_1000, 0x8_1000, 0x10_1000];

/// A layout of the SDK. What it was compiled for stands in the header of its first file: with another size the SDK does
/// not start ("mismatch map"), or looks for its parameters where they are not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SdkLayout {
    /// `boot.bin`, and a program for it at this address.
    Boot(u32),
    /// A program, and its code at this address.
    Flash(u32),
    /// A program, in however many files, that registers its partitions: SDK 3.
    Partitions,
}

impl SdkLayout {
    /// Returns the layout of these files; `None` if they are in none of them, as a single file of MicroPython or Arduino
    /// with whatever else beside it.
    pub fn of(files: &[Region]) -> Option<Self> {
        files.iter().find(|file| file.address == 0 && file.bytes.first() == Some(&MAGIC))?;
        let at = |places: &[u32], begins: &[u8]| {
            let fits = |file: &&Region| {
                let first = file.bytes.first();
                places.contains(&file.address)
                    && (begins.is_empty() || first.is_some_and(|first| begins.contains(first)))
            };
            files.iter().find(fits).map(|file| file.address)
        };
        at(&USER, &[MAGIC, USER_MAGIC])
            .map(Self::Boot)
            .or_else(|| at(&CODE, &[]).map(Self::Flash))
            .or_else(|| SystemSectors::are_registered(files).then_some(Self::Partitions))
    }
}

impl fmt::Display for SdkLayout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boot(user) => write!(f, "boot.bin, and a program for it at {user:#x}"),
            Self::Flash(code) => write!(f, "a program, and its code at {code:#x}"),
            Self::Partitions => f.write_str("a program that registers its partitions"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(list: &[(u32, u8)]) -> Vec<Region> {
        let file = |&(address, first): &(u32, u8)| {
            let mut bytes = vec![0x55; 4096];
            bytes[0] = first;
            Region { name: format!("{address:#x}"), address, bytes }
        };
        list.iter().map(file).collect()
    }

    #[test]
    fn each_map_of_the_guide_is_recognised() {
        let (blank, data) = ((0x3f_e000, 0xff), (0x3f_c000, 5));
        for (list, layout) in [
            (&[(0, 0xe9), (0x1_0000, 0)][..], SdkLayout::Flash(0x1_0000)),
            (&[(0, 0xe9), (0x4_0000, 0), blank, data], SdkLayout::Flash(0x4_0000)),
            (&[(0x2_0000, 0), (0, 0xe9)], SdkLayout::Flash(0x2_0000)),
            (&[(0, 0xe9), (0x1000, 0xea), blank, data], SdkLayout::Boot(0x1000)),
            (&[(0, 0xe9), (0x10_1000, 0xea)], SdkLayout::Boot(0x10_1000)),
            (&[(0, 0xe9), (0x4_1000, 0xea)], SdkLayout::Boot(0x4_1000)),
            (&[(0, 0xe9), (0x8_1000, 0xe9)], SdkLayout::Boot(0x8_1000)),
        ] {
            assert_eq!(SdkLayout::of(&files(list)), Some(layout), "{list:x?}");
        }
    }

    #[test]
    fn programs_with_a_file_system_or_alone_are_no_layout_of_the_sdk() {
        for list in [
            &[(0, 0xe9)][..],
            &[(0, 0xe9), (0x1000, 0)],
            &[(0, 0xe9), (0x20_0000, 0xe9)],
            &[(0, 0xe9), (0x3f_c000, 5)],
            &[(0x1000, 0xea)],
            &[(0, 0xea), (0x1_0000, 0)],
            &[],
        ] {
            assert_eq!(SdkLayout::of(&files(list)), None, "{list:x?}");
        }
    }

    #[test]
    fn a_program_in_one_file_is_known_by_the_partitions_that_it_registers() {
        let table = [4_u32, 0xf_b000, 0x1000, 5, 0xf_c000, 0x1000, 6, 0xf_d000, 0x3000];
        let mut all = files(&[(0, 0xe9)]);
        all[0].bytes[64..100].copy_from_slice(&table.map(u32::to_le_bytes).concat());
        assert_eq!(SdkLayout::of(&all), Some(SdkLayout::Partitions));
        // More than one is as good.
        all[0].bytes.extend(table.map(u32::to_le_bytes).concat());
        assert_eq!(SdkLayout::of(&all), Some(SdkLayout::Partitions));
        all.iter_mut().for_each(|file| file.address = 0x1_0000);
        assert_eq!(SdkLayout::of(&all), None, "it does not start by itself");
    }
}
