//! Numbers of the serial protocol.
//!
//! Source: Espressif's "Serial Protocol" (esptool's documentation, ESP8266), and the values that esptool
//! expects. A request is `0, command, size (2), checksum (4), data`, a response `1, command, size (2),
//! value (4), data, error, 0`; both little-endian, each in a SLIP frame.

/// Bytes before the data of a request or response.
pub const HEADER: usize = 8;

/// Bytes of a data command before what it carries: length, number of the block, two of zero.
pub const BLOCK_HEADER: usize = 16;

/// The most that a data command carries. esptool uses this size with a stub.
pub const BLOCK: usize = 0x4000;

/// The longest request.
pub const FRAME: usize = HEADER + BLOCK_HEADER + BLOCK;

/// Flash is erased in these.
pub const SECTOR: u32 = 0x1000;

/// Flash can also be erased in these, which is quicker.
pub const ERASE_BLOCK: u32 = 0x1_0000;

/// The largest flash that the chip can address: 24 bits.
pub const LARGEST_FLASH: u32 = 0x100_0000;

/// The longest packet of READ_FLASH.
pub const PACKET: u32 = SECTOR;

/// The stub's first output when it runs, as a frame without a header.
pub const GREETING: [u8; 4] = *b"OHAI";

/// The number of answers to SYNC.
pub const SYNC_ANSWERS: usize = 8;

/// Commands. Those from 0xd0 are the stub's only.
pub mod command {
    #![allow(missing_docs, reason = "the published names")]
    pub const FLASH_BEGIN: u8 = 0x02;
    pub const FLASH_DATA: u8 = 0x03;
    pub const FLASH_END: u8 = 0x04;
    pub const SYNC: u8 = 0x08;
    pub const WRITE_REG: u8 = 0x09;
    pub const READ_REG: u8 = 0x0a;
    pub const SPI_SET_PARAMS: u8 = 0x0b;
    pub const SPI_ATTACH: u8 = 0x0d;
    pub const CHANGE_BAUDRATE: u8 = 0x0f;
    pub const FLASH_DEFL_BEGIN: u8 = 0x10;
    pub const FLASH_DEFL_DATA: u8 = 0x11;
    pub const FLASH_DEFL_END: u8 = 0x12;
    pub const SPI_FLASH_MD5: u8 = 0x13;
    pub const ERASE_FLASH: u8 = 0xd0;
    pub const ERASE_REGION: u8 = 0xd1;
    pub const READ_FLASH: u8 = 0xd2;
    pub const RUN_USER_CODE: u8 = 0xd3;
}

/// Why a command was refused: the first of the two status bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Error {
    /// The data is longer or shorter than the command wants, or than it says.
    Length = 0xc0,
    /// The data of a command has been garbled.
    Checksum = 0xc1,
    /// Blocks or packets of this size cannot be used.
    BlockSize = 0xc2,
    /// This is not a request.
    NotARequest = 0xc3,
    /// The flash chip did not do it.
    Flash = 0xc4,
    /// The flash chip cannot be unlocked.
    Unlock = 0xc5,
    /// There was no BEGIN before.
    NotBegun = 0xc6,
    /// The compressed data cannot be decompressed.
    Inflate = 0xc7,
    /// Less was sent than was announced.
    NotEnough = 0xc8,
    /// More was sent than was announced.
    TooMuch = 0xc9,
    /// An address or length is not aligned, or beyond the end of flash. Not of the published ones.
    Range = 0xca,
    /// This block is neither the next nor a repetition of the last one. Not of the published ones.
    Sequence = 0xcb,
    /// The command does not exist.
    Unknown = 0xff,
}
