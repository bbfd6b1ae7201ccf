//! Contents of flash that start, for tests.

use md5::{Digest, Md5};
use sha2::Sha256;

use super::CHIP_ID;
use crate::espressif::image;

/// Bytes of both headers of an image.
pub const HEADERS: usize = 24;
/// The place of the address at which a program begins.
pub const ENTRY: usize = 4;
/// The place of the byte that says whether a hash is appended.
pub const FLAGS_END: usize = 23;
/// The place of the table of partitions in flash, and its most bytes with its MD5.
pub const TABLE: usize = 0x8000;
pub const TABLE_SIZE: usize = 0xc00;
/// The beginning of the row with the MD5 of all rows before it.
pub const MD5_MARK: [u8; 16] = [
    0xeb, 0xeb, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
];
/// The kind of a partition with an application.
pub const APP: u8 = 0;

/// The three parts of a flash that starts, with their addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Regions {
    /// The second boot loader, at 0.
    pub bootloader: Vec<u8>,
    /// The table of partitions, at 0x8000.
    pub table: Vec<u8>,
    /// The application, at 0x1_0000.
    pub app: Vec<u8>,
}

impl Regions {
    /// Makes those with an application of these bytes.
    pub fn new(program: &[u8]) -> Self {
        Self { bootloader: bootloader(&[0x13; 5000]), table: table(), app: app(program) }
    }

    /// Returns addresses in flash and contents.
    pub fn all(&self) -> [(u32, &[u8]); 3] {
        [(0, &self.bootloader), (TABLE as u32, &self.table), (0x1_0000, &self.app)]
    }
}

/// Returns a second boot loader: an image of one segment with these bytes, a multiple of 4.
pub fn bootloader(segment: &[u8]) -> Vec<u8> {
    image(0x403c_c710, 0x403c_c710, segment)
}

/// Returns an application: an image of one segment with these bytes, a multiple of 4.
pub fn app(segment: &[u8]) -> Vec<u8> {
    image(0x4200_0020, 0x4200_0020, segment)
}

/// Returns a table with partitions for data at 0x9000 and 0xf000, and for an application at 0x1_0000.
pub fn table() -> Vec<u8> {
    let rows: [(u8, u8, u32, u32, &str); 3] = [
        (1, 2, 0x9000, 0x6000, "nvs"),
        (1, 1, 0xf000, 0x1000, "phy_init"),
        (APP, 0, 0x1_0000, 0x3f_0000, "factory"),
    ];
    let mut table = Vec::new();
    for (kind, subtype, offset, size, name) in rows {
        table.extend([0xaa, 0x50, kind, subtype]);
        table.extend(offset.to_le_bytes());
        table.extend(size.to_le_bytes());
        table.extend(name.bytes().chain(std::iter::repeat(0)).take(20));
    }
    let hash = Md5::digest(&table);
    table.extend(MD5_MARK);
    table.extend(hash);
    table.resize(TABLE_SIZE, 0xff);
    table
}

fn image(entry: u32, address: u32, segment: &[u8]) -> Vec<u8> {
    // DIO, 4 MB and 40 MHz; no pin for write protection; a hash is appended.
    let mut headers = vec![0, 0, 2, 0x20];
    headers.extend(entry.to_le_bytes());
    headers.extend([0xee, 0, 0, 0]);
    headers.extend(CHIP_ID.to_le_bytes());
    headers.resize(HEADERS, 0);
    headers[FLAGS_END] = 1;
    let mut image = image::make(&headers, &[(address, segment.to_vec())]);
    let hash = Sha256::digest(&image);
    image.extend(hash);
    image
}
